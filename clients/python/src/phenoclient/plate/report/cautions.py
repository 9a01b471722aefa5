"""What a dose response does not show by itself: how few its wells are, and what else differs between them."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from phenoclient.plate.reading.sites import well_position
from phenoclient.plate.report.results import Well

MIN_WELLS = 10
"""Fewer wells than this are said to be few: a percentile or a median of them is hardly one"""

_FACTORS: dict[str, Callable[[Well], object]] = {
    "plates": lambda well: well.plate,
    "rows": lambda well: well_position(well.name)[0],
    "columns": lambda well: well_position(well.name)[1],
}


def cautions(wells: Sequence[Well], controls: Sequence[Well]) -> tuple[str, ...]:
    """Sentences on a treatment's wells, each of a known dose, and the untreated wells of the same plates."""
    return tuple(filter(None, (_few(wells), _confounded(wells), _uncompared(wells, controls))))


def _few(wells: Sequence[Well]) -> str | None:
    counts = Counter(well.known("treatment_conc") for well in wells).values()
    if min(counts) >= MIN_WELLS:
        return None
    number = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
    return f"Only {number} well{'' if number == '1' else 's'} a dose."


def _confounded(wells: Sequence[Well]) -> str | None:
    """Which of plates, rows, columns and positions differ wherever doses do."""
    factors = dict(_FACTORS)
    if len({well.plate for well in wells}) > 1:
        factors["positions"] = lambda well: well_position(well.name)
    names = list[str]()
    for name, level_of in factors.items():
        doses: defaultdict[object, set[float]] = defaultdict(set)
        for well in wells:
            doses[level_of(well)].add(well.known("treatment_conc"))
        if len(doses) > 1 and all(len(found) == 1 for found in doses.values()):
            names.append(name)
    if not names:
        return None
    return f"Each dose has {_joined(names)} of its own: what differs between doses may be theirs."


def _uncompared(wells: Sequence[Well], controls: Sequence[Well]) -> str | None:
    """What the untreated wells do not share with the treated ones."""
    plates = sorted({well.plate for well in wells} - {well.plate for well in controls})
    if not controls:
        return "No well of its plates is known to be untreated: there is nothing to compare with."
    said = list[str]()
    if plates:
        said.append(f"No well is known to be untreated on plate {', '.join(plates)}.")
    if len(controls) < MIN_WELLS:
        number = f"all {len(controls)} untreated wells" if len(controls) > 1 else "the one untreated well"
        said.append(f"The band is the range of {number}.")
    apart = [
        name
        for name, level_of in _FACTORS.items()
        if name != "plates" and {level_of(well) for well in wells}.isdisjoint(map(level_of, controls))
    ]
    if apart:
        said.append(
            f"No untreated well stands in its {_joined(apart)}: the difference from the band may be theirs."
        )
    return " ".join(said)


def _joined(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
