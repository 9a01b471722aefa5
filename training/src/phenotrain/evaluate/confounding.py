"""Whether classes could be told apart by where their wells lie: by plate, row, column or position.

A place is confounded where a predictor that knows nothing else does well: it sees the places and classes of all other
wells and says of each well the class of which the largest share lies there. What it reaches, in balanced accuracy, a
model may owe to an edge or a gradient.
"""

import re
from collections.abc import Sequence
from itertools import combinations
from typing import Final

import numpy as np
import pandas as pd

from phenotrain.evaluate.estimates import SIGNIFICANCE
from phenotrain.grouping import class_names, plate_names, treated_names

MIN_SKILL: Final = 0.6
"""Share of the way from chance to always right from which on a place is told: a balanced accuracy of 0.8 for two
classes, which three wells of four in a place of their own reach."""

MIN_SKILL_DISJOINT: Final = 0.5
"""The same where no place holds both: one class is always told, and of the other every well lies alone."""

NUM_PERMUTATIONS: Final = 9999
_WELL: Final = re.compile(r"([A-Za-z]+)0*(\d+)(?:\.([a-z])(\d))?")
_MAX_NAMED: Final = 4
_PLATE: Final = "test plate"
_POSITION: Final = "position"
_NUM_KINDS: Final = 3
"""Rows, columns and positions are each asked about."""


def confounding(
    sites: pd.DataFrame, roles: np.ndarray, treatments: tuple[str, ...], control: str
) -> tuple[str, ...]:
    """Say which classes their plate, row, column or position tells apart.

    Rows, columns and positions are those of all wells that were learned from or held out, since a model learns on one
    side what helps it on the other; plates are those of the test wells, the ones that are compared. Positions are told
    only where they repeat from plate to plate, and where neither rows nor columns say it already.

    Told are the control and all treatments together where their places tell them apart by `MIN_SKILL`; else single
    treatments of which chance would do so in less than 5 % of screens; and the treatments among themselves. Of plates,
    disjoint ones are told always: what is compared with no control of its own plate is told by the plate. Where wells
    were dealt out at random hardly any of this happens.

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
            _PLATE: plate_names(sites),
            _POSITION: sites["well"].to_numpy(dtype=str),
        }
    )
    is_used = (roles != "unused") & frame["class"].isin(class_names(treated, control)).to_numpy(dtype=bool)
    wells = frame[is_used].drop_duplicates("well_id")
    parsed = [found for found in map(_WELL.fullmatch, wells[_POSITION]) if found is not None]
    places = [_POSITION] if wells[_POSITION].nunique() < len(wells) else []
    if len(parsed) == len(wells):
        places = ["row", "column", *places]
        wells = wells.assign(
            row=[f"{found[1].upper()}{found[3] or ''}" for found in parsed],
            column=[f"{found[2]}.{found[4] or ''}" for found in parsed],
        )
    clauses: list[str] = []
    told: set[str] = set()
    for place in (_PLATE, *places):
        used = wells[wells["is_test"]] if place == _PLATE else wells
        found = _Place(place, used, treated, control)
        for subject, clause in (("control", found.control_clause()), ("treated", found.treated_clause())):
            if clause is None or (place == _POSITION and subject in told):
                continue
            clauses.append(clause)
            if place != _PLATE:
                told.add(subject)
    return tuple(clauses)


def confounding_text(clauses: Sequence[str]) -> str:
    """Say what it means that classes are confounded, in two sentences; empty where none is."""
    if not clauses:
        return ""
    return (
        f"Classes are confounded with where their wells lie: {'; '.join(clauses)}. What a plate, an edge or a column "
        "does to cells may pass for an effect of the treatment."
    )


class _Place:
    """The wells by one kind of place."""

    def __init__(self, place: str, wells: pd.DataFrame, treated: tuple[str, ...], control: str) -> None:
        names = wells["class"].to_numpy(dtype=str)
        self.place, self.control = place, control
        self.treated = tuple(name for name in treated if name in names)
        self.names = names
        self.levels = np.unique(wells[place].to_numpy(dtype=str), return_inverse=True)[1]
        self.plates = wells[_PLATE].to_numpy(dtype=str)
        self.of = {name: set(self.levels[names == name].tolist()) for name in (control, *self.treated)}

    def control_clause(self) -> str | None:
        """What the place says of the control against the treatments."""
        if not self.of[self.control] or not self.treated:
            return None
        apart = [name for name in self.treated if self.of[name].isdisjoint(self.of[self.control])]
        if self.place == _PLATE and apart:
            return self._disjoint(apart)
        reached = float(balanced_accuracy(self.levels, (self.names != self.control)[np.newaxis])[0])
        if len(apart) == len(self.treated) and _skill(reached, 2) >= MIN_SKILL_DISJOINT:
            return self._disjoint(apart)
        if _skill(reached, 2) >= MIN_SKILL:
            return self._partial(f"{self.control} from the treatments", reached, 2)
        told = [name for name in self.treated if self._tells(name)]
        if not told:
            return None
        if set(told) <= set(apart):
            return self._disjoint(told)
        return f"the {self.place} alone tells {self.control} from {_named(told)}"

    def treated_clause(self) -> str | None:
        """What the place says of the treatments among themselves."""
        if len(self.treated) < 2:
            return None
        is_disjoint = all(self.of[a].isdisjoint(self.of[b]) for a, b in combinations(self.treated, 2))
        reached = accuracy_among(self.levels, self.names, self.treated)
        if is_disjoint and (self.place == _PLATE or _skill(reached, len(self.treated)) >= MIN_SKILL):
            return f"no {self.place} holds two treatments"
        if _skill(reached, len(self.treated)) >= MIN_SKILL:
            return self._partial("the treatments apart", reached, len(self.treated))
        return None

    def _disjoint(self, names: Sequence[str]) -> str:
        some = "any of " if len(names) > 1 else ""
        return f"no {self.place} holds both {self.control} and {some}{_named(names)}"

    def _partial(self, what: str, reached: float, num_classes: int) -> str:
        return f"the {self.place} alone tells {what} (balanced accuracy {reached:.2f}, chance {1 / num_classes:.2f})"

    def _tells(self, name: str) -> bool:
        """Whether the place tells one treatment from the control, and chance seldom would."""
        is_ours = np.isin(self.names, (self.control, name))
        levels, plates = self.levels[is_ours], self.plates[is_ours]
        is_treated = self.names[is_ours] == name
        reached = float(balanced_accuracy(levels, is_treated[np.newaxis])[0])
        if _skill(reached, 2) < MIN_SKILL:
            return False
        rng = np.random.default_rng(0)
        drawn = np.tile(is_treated, (NUM_PERMUTATIONS, 1))
        for plate in np.unique(plates):
            own = np.flatnonzero(plates == plate)
            drawn[:, own] = rng.permuted(drawn[:, own], axis=1)
        by_chance = balanced_accuracy(levels, drawn)
        p_value = (1 + (by_chance >= reached - 1e-9).sum()) / (1 + NUM_PERMUTATIONS)
        return bool(p_value <= SIGNIFICANCE / len(self.treated) / _NUM_KINDS)


def balanced_accuracy(levels: np.ndarray, is_treated: np.ndarray) -> np.ndarray:
    """Tell two classes apart by their places, each well by all the others.

    Args:
        levels: Place of every well, as whole numbers from 0 on, `(well,)`.
        is_treated: Class of every well, `(row, well)`; each row by itself, both classes in it.

    Returns:
        Balanced accuracy, `(row,)`. A well of a place in which no other lies, or as large a share of both classes,
        counts half.
    """
    at = np.eye(levels.max() + 1)[levels]
    counts = np.stack([~is_treated @ at, is_treated @ at]).astype(float)
    sizes = counts.sum(axis=2, keepdims=True)
    shares = counts / sizes
    others = (counts - 1) / np.maximum(sizes - 1, 1)
    right = 0.5 * (1 + np.sign(others - shares[::-1]))
    return ((counts * right).sum(axis=2) / sizes[:, :, 0]).mean(axis=0)


def accuracy_among(levels: np.ndarray, names: np.ndarray, classes: Sequence[str]) -> float:
    """Tell several classes apart by their places, each well by all the others.

    Args:
        levels: Place of every well, as whole numbers from 0 on, `(well,)`.
        names: Class of every well, `(well,)`; wells of others than `classes` are left out.
        classes: At least two classes, each with a well.

    Returns:
        Balanced accuracy. Classes whose share is equally large count in parts.
    """
    counts = np.stack(
        [np.bincount(levels[names == name], minlength=levels.max() + 1) for name in classes], axis=1
    ).astype(float)
    sizes = counts.sum(axis=0)
    reached = np.zeros(len(classes))
    for level, index in np.argwhere(counts > 0):
        shares = counts[level] / sizes
        shares[index] = (counts[level, index] - 1) / max(sizes[index] - 1, 1)
        is_best = shares >= shares.max() - 1e-12
        if is_best[index]:
            reached[index] += counts[level, index] / sizes[index] / is_best.sum()
    return float(reached.mean())


def _skill(reached: float, num_classes: int) -> float:
    return (reached - 1 / num_classes) / (1 - 1 / num_classes) + 1e-9


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return f"{', '.join(names[:_MAX_NAMED])}{more}"
