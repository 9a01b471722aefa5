"""Whether classes could be told apart by where their wells lie: by plate, row, column or position."""

import re
from itertools import combinations
from typing import Final

import numpy as np
import pandas as pd

from phenotrain.grouping import class_names, plate_names, treated_names

_WELL: Final = re.compile(r"([A-Za-z]+)0*(\d+)(?:\.([a-z])(\d))?")
_MAX_NAMED: Final = 4


def confounding(
    sites: pd.DataFrame, roles: np.ndarray, treatments: tuple[str, ...], control: str
) -> tuple[str, ...]:
    """Say which classes never share a plate, a row, a column or a position.

    Rows, columns and positions are those of all wells that were learned from or held out, since a model learns on one
    side what helps it on the other; plates are those of the test wells, the ones that are compared. Positions are told
    only where they repeat from plate to plate, and where neither rows nor columns say it already.

    Args:
        sites: Sites table; wells such as `B02`, or `A01.a1` of 1536. Where another form occurs, rows and columns are
            not known, and positions stand for them.
        roles: Role of every site, `(num_sites,)`.
        treatments: Classes, with or without the control.
        control: Name of the control.

    Returns:
        Clauses such as `no column holds both EMPTY and IFN-a`; none where nothing is confounded.
    """
    treated = treated_names(treatments, control)
    frame = pd.DataFrame(
        {
            "well_id": sites["well_id"].to_numpy(dtype=str),
            "class": sites["treatment"].to_numpy(dtype=str),
            "is_test": roles == "test",
            "test plate": plate_names(sites),
            "position": sites["well"].to_numpy(dtype=str),
        }
    )
    is_used = (roles != "unused") & frame["class"].isin(class_names(treated, control)).to_numpy(dtype=bool)
    wells = frame[is_used].drop_duplicates("well_id")
    parsed = [found for found in map(_WELL.fullmatch, wells["position"]) if found is not None]
    places = ["position"] if wells["position"].nunique() < len(wells) else []
    if len(parsed) == len(wells):
        places = ["row", "column", *places]
        wells = wells.assign(
            row=[f"{found[1].upper()}{found[3] or ''}" for found in parsed],
            column=[f"{found[2]}.{found[4] or ''}" for found in parsed],
        )
    clauses: list[str] = []
    told: set[tuple[str, str]] = set()
    for place in ("test plate", *places):
        used = wells[wells["is_test"]] if place == "test plate" else wells
        levels = {str(name): set(own[place]) for name, own in used.groupby("class")}
        apart = {
            pair
            for pair in combinations((control, *treated), 2)
            if pair[0] in levels and pair[1] in levels and levels[pair[0]].isdisjoint(levels[pair[1]])
        }
        if place == "position":
            apart -= told
        elif place != "test plate":
            told |= apart
        clauses += _clauses(apart, treated, control, place)
    return tuple(clauses)


def _clauses(apart: set[tuple[str, str]], treated: tuple[str, ...], control: str, place: str) -> list[str]:
    clauses: list[str] = []
    from_control = [name for name in treated if (control, name) in apart]
    if from_control:
        more = f" and {len(from_control) - _MAX_NAMED} more" if len(from_control) > _MAX_NAMED else ""
        some = "any of " if len(from_control) > 1 else ""
        named = ", ".join(from_control[:_MAX_NAMED])
        clauses.append(f"no {place} holds both {control} and {some}{named}{more}")
    pairs = list(combinations(treated, 2))
    if pairs and all(pair in apart for pair in pairs):
        clauses.append(f"no {place} holds two treatments")
    return clauses
