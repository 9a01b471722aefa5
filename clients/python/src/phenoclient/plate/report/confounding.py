"""Whether treatments could be told apart by where their wells lie; `phenotrain` says it in the same words."""

from collections import defaultdict
from collections.abc import Callable
from itertools import combinations

from phenoclient.plate.report.results import Results, Well
from phenoclient.plate.sites import natural, well_position

_MAX_NAMED = 4


def confounding(results: Results) -> tuple[str, ...]:
    """Says which treatments never share a plate, a row, a column or a position, as far as the plate map tells.

    Positions are told only where they repeat from plate to plate, and where neither rows nor columns say it already.

    Returns:
        Clauses such as `no column holds both EMPTY and IFN-a`; none where nothing is confounded.
    """
    wells = [(name, well) for well in results.wells if (name := _name(results, well)) is not None]
    treated = sorted({name for name, _ in wells} - {results.control}, key=natural)
    places: dict[str, Callable[[Well], object]] = {
        "plate": lambda well: well.plate,
        "row": lambda well: well_position(well.name)[0],
        "column": lambda well: well_position(well.name)[1],
        "position": lambda well: well.name,
    }
    if len({well.name for _, well in wells}) == len(wells):
        del places["position"]
    clauses, told = list[str](), set[tuple[str, str]]()
    for place, level_of in places.items():
        levels: defaultdict[str, set[object]] = defaultdict(set)
        for name, well in wells:
            levels[name].add(level_of(well))
        pairs = combinations((results.control, *treated), 2)
        apart = {
            (one, other) for one, other in pairs if one in levels and levels[one].isdisjoint(levels[other])
        }
        if place == "position":
            apart -= told
        elif place != "plate":
            told |= apart
        clauses += _clauses(apart, treated, results.control, place)
    return tuple(clauses)


def _name(results: Results, well: Well) -> str | None:
    """What a well holds, the control under the bundle's name; None where nobody has told."""
    if results.role(well) is None:
        return None
    return results.given(well) or str(well.known("treatment"))


def _clauses(apart: set[tuple[str, str]], treated: list[str], control: str, place: str) -> list[str]:
    clauses = list[str]()
    from_control = [name for name in treated if (control, name) in apart]
    if from_control:
        more = f" and {len(from_control) - _MAX_NAMED} more" if len(from_control) > _MAX_NAMED else ""
        some = "any of " if len(from_control) > 1 else ""
        clauses.append(
            f"no {place} holds both {control} and {some}{', '.join(from_control[:_MAX_NAMED])}{more}"
        )
    pairs = list(combinations(treated, 2))
    if pairs and all(pair in apart for pair in pairs):
        clauses.append(f"no {place} holds two treatments")
    return clauses
