"""A line a well, and what wells were given against what they are predicted to be."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phenoclient.plate.columns import LEARNED, METADATA, ROLE, SEPARATOR
from phenoclient.plate.reading.sites import natural
from phenoclient.plate.report.log_odds import mean_log_odds
from phenoclient.plate.report.notices import in_words
from phenoclient.plate.report.results import Results, Row, Well
from phenoclient.plate.tables import write_table

LOG_ODDS = "log_odds_"
_PLACE = ("Metadata_experiment", "Metadata_Plate", "Metadata_Well")
_GIVEN = ("treatment", "treatment_conc", "treatment_conc_unit")

_TESTS: dict[str | None, tuple[str, str]] = {
    "no": (
        "wells that are not among those the bundle learned from",
        "By the names of experiment, plate and well, the bundle did not learn from these.",
    ),
    "perhaps": (
        "wells that the bundle may have learned from",
        (
            "This is no test of the bundle unless these are other wells of the same names: the names of their plates "
            "and wells agree with some that it learned from, and nothing tells them apart for certain."
        ),
    ),
    "yes": ("wells that the bundle learned from", "This is no test of the bundle: it has seen these wells."),
    None: (
        "wells",
        "The bundle does not tell which wells it learned from. This is no test of it where these are among them.",
    ),
}


@dataclass(frozen=True)
class WellLine:
    """What there is to say of a well.

    Attributes:
        plate: Experiment and plate.
        name: Such as `A01`.
        row: Its numbers, by column of the table a well.
        notices: The service's notices about its sites, in words.
    """

    plate: str
    name: str
    row: Mapping[str, Any]
    notices: tuple[str, ...]


@dataclass(frozen=True)
class Confusion:
    """Wells by what they were given and what they are predicted to be.

    Attributes:
        title: Which wells.
        words: Whether that is a test of the bundle.
        is_caution: Whether they say that it is none.
        predicted: Treatments that are predicted of any, in the bundle's order.
        lines: For each treatment given, its name, its wells by `predicted`, and how many of them are predicted right.
        num_wells: Wells in all.
        num_right: Wells that are predicted to be what they were given.
    """

    title: str
    words: str
    is_caution: bool
    predicted: tuple[str, ...]
    lines: tuple[tuple[str, tuple[int, ...], int], ...]
    num_wells: int
    num_right: int


def well_lines(results: Results, failed: Sequence[Row]) -> list[WellLine]:
    """A line a well, by plate and well; wells whose sites all failed are among them."""
    num_failed = Counter(
        tuple(row.get(name) for name in _PLACE) for row in failed if row.get("Metadata_Well")
    )
    lines = [_line(results, well, num_failed.pop(_place(well.rows[0]), 0)) for well in results.wells]
    of_failed = {_place(row): row for row in failed}
    for place, number in num_failed.items():
        columns = (*_PLACE, *(f"{METADATA}{name}" for name in _GIVEN), ROLE)
        row = {name: of_failed[place].get(name) for name in columns} | {"num_sites": 0, "num_failed": number}
        plate = " ".join(str(part) for part in place[:2] if part)
        lines.append(WellLine(plate, str(place[2]), row, ()))
    return sorted(lines, key=lambda line: (natural(line.plate), natural(line.name)))


def write_well_table(path: Path, lines: Sequence[WellLine]) -> None:
    """Writes the lines as CSV.

    Raises:
        PlateError: If the file cannot be written.
    """
    write_table(
        path, [line.row for line in lines], list(dict.fromkeys(name for line in lines for name in line.row))
    )


def strongest(lines: Iterable[WellLine], control: str) -> list[WellLine]:
    """The lines in the order of the log odds of anything but the control, the largest first; those without last."""

    def rank(line: WellLine) -> float:
        return line.row.get(f"{LOG_ODDS}{control}", float("inf"))

    return sorted(lines, key=rank)


def _place(row: Row) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in _PLACE)


def _line(results: Results, well: Well, num_failed: int) -> WellLine:
    predicted = results.predicted(well)
    row: dict[str, Any] = {name: well.rows[0].get(name) for name in _PLACE}
    row |= {f"{METADATA}{name}": well.known(name) for name in _GIVEN}
    row |= {ROLE: results.role(well), LEARNED: well.learned_from}
    row |= {"predicted_treatment": predicted, "predicted_probability": results.probability(well, predicted)}
    row |= {f"{LOG_ODDS}{name}": mean_log_odds(well, results, name) for name in results.treatments}
    row |= {
        "num_sites": len(well.rows),
        "num_failed": num_failed,
        "num_out_of_distribution": well.num_out_of_distribution if well.knows_distribution else None,
        "notices": SEPARATOR.join(well.notices) or None,
    }
    return WellLine(well.plate, well.name, row, tuple(map(in_words, well.notices)))


def confusions(results: Results) -> list[Confusion]:
    """Wells that were given what the bundle knows, apart by whether the bundle learned from them."""
    groups: defaultdict[str | None, list[tuple[str, str]]] = defaultdict(list)
    for well in results.wells:
        given = results.given(well)
        if given is not None:
            groups[well.learned_from].append((given, results.predicted(well)))
    return [
        _confusion(results.treatments, groups[key], _TESTS[key], is_caution=key != "no")
        for key in _TESTS
        if groups[key]
    ]


def unknown_to_the_bundle(results: Results) -> Counter[str]:
    """Wells by a treatment that was given and that the bundle has no name of."""
    known: Callable[[Well], str | None] = results.given
    return Counter(
        str(well.known("treatment"))
        for well in results.wells
        if results.role(well) is not None and known(well) is None
    )


def _confusion(
    treatments: Sequence[str], pairs: Sequence[tuple[str, str]], wording: tuple[str, str], *, is_caution: bool
) -> Confusion:
    counts = Counter(pairs)
    predicted = tuple(name for name in treatments if any(found == name for _, found in counts))
    lines = tuple(
        (given, tuple(counts[given, name] for name in predicted), counts[given, given])
        for given in treatments
        if any(name == given for name, _ in counts)
    )
    which, words = wording
    num_right = sum(right for _, _, right in lines)
    return Confusion(f"{len(pairs)} {which}", words, is_caution, predicted, lines, len(pairs), num_right)
