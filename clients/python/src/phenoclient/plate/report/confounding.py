"""Whether treatments could be told apart by where their wells lie: by plate, row, column or position.

`phenotrain` tells it of a screen before training by the same rule; `tests/cases/confounding.json` holds both to the
same cases. A place is confounded where a predictor that knows nothing else does well: it sees the places and treatments
of all other wells and says of each well the treatment of which the largest share lies there.
"""

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Bool, Float, Int

from phenoclient.plate.reading.sites import natural, well_position
from phenoclient.plate.report.results import Results, Well

_MIN_SKILL = 0.6
"""Share of the way from chance to always right from which on a place is named"""

_MIN_SKILL_DISJOINT = 0.5
"""The same where no place holds both"""

_NUM_PERMUTATIONS = 9999
_SIGNIFICANCE = 0.05
_NUM_KINDS = 3
"""Rows, columns and positions are each asked about"""

_MAX_NAMED = 4
_PLATE, _POSITION = "plate", "position"
_PLACES: dict[str, Callable[[Well], object]] = {
    _PLATE: lambda well: well.plate,
    "row": lambda well: well_position(well.name)[0],
    "column": lambda well: well_position(well.name)[1],
    _POSITION: lambda well: well.name,
}


def confounding(results: Results) -> tuple[str, ...]:
    """Says which treatments their plate, row, column or position tells apart, as far as the plate map tells them.

    Told are the control and all treatments together where their places tell them apart; else single treatments of
    which chance would do so in less than 5 % of screens; and the treatments among themselves. Of plates, disjoint ones
    are always named. Positions are named only where they repeat from plate to plate, and where rows and columns do not
    say it.

    Returns:
        Clauses such as `no column holds both EMPTY and IFN-a`; none where nothing is confounded.
    """
    wells = [well for well in results.wells if results.role(well) is not None]
    names = np.array([str(well.known("treatment")) for well in wells], dtype=np.str_)
    control = next(
        (str(well.known("treatment")) for well in wells if results.is_control(well)), results.control
    )
    plates = _coded([well.plate for well in wells])
    clauses, named = list[str](), set[str]()
    for place, level_of in _PLACES.items():
        if place == _POSITION and len({well.name for well in wells}) == len(wells):
            continue
        found = _Place(place, _coded([level_of(well) for well in wells]), names, plates, control)
        for subject, clause in (("control", found.control_clause()), ("treated", found.treated_clause())):
            if clause is None or (place == _POSITION and subject in named):
                continue
            clauses.append(clause)
            if place != _PLATE:
                named.add(subject)
    return tuple(clauses)


class _Place:
    """The wells by one kind of place.

    Args:
        place: Its name.
        levels: Which place every well is in, `(well,)`.
        names: What every well holds, `(well,)`.
        plates: Which plate it is on, `(well,)`.
        control: What the control is called.
    """

    def __init__(
        self,
        place: str,
        levels: Int[np.ndarray, " well"],
        names: np.ndarray,
        plates: Int[np.ndarray, " well"],
        control: str,
    ) -> None:
        self._place, self._control = place, control
        self._levels, self._names, self._plates = levels, names, plates
        self._treated = sorted(set(names.tolist()) - {control}, key=natural)
        self._of = {name: set(levels[names == name].tolist()) for name in (control, *self._treated)}

    def control_clause(self) -> str | None:
        """What the place says of the control against the treatments."""
        if not self._of[self._control] or not self._treated:
            return None
        apart = [name for name in self._treated if self._of[name].isdisjoint(self._of[self._control])]
        if self._place == _PLATE and apart:
            return self._disjoint(apart)
        is_treated = (self._names != self._control)[np.newaxis]
        reached = float(_balanced_accuracy(self._levels, is_treated)[0])
        if len(apart) == len(self._treated) and _skill(reached, 2) >= _MIN_SKILL_DISJOINT:
            return self._disjoint(apart)
        if _skill(reached, 2) >= _MIN_SKILL:
            return self._partial(f"{self._control} from the treatments", reached, 2)
        separable = [name for name in self._treated if self._tells(name)]
        if not separable:
            return None
        if set(separable) <= set(apart):
            return self._disjoint(separable)
        return f"the {self._place} alone tells {self._control} from {_named(separable)}"

    def treated_clause(self) -> str | None:
        """What the place says of the treatments among themselves."""
        num_treated = len(self._treated)
        if num_treated < 2:
            return None
        is_disjoint = all(self._of[a].isdisjoint(self._of[b]) for a, b in combinations(self._treated, 2))
        reached = _accuracy_among(self._levels, self._names, self._treated)
        if is_disjoint and (self._place == _PLATE or _skill(reached, num_treated) >= _MIN_SKILL):
            return f"no {self._place} holds two treatments"
        if _skill(reached, num_treated) >= _MIN_SKILL:
            return self._partial("the treatments apart", reached, num_treated)
        return None

    def _disjoint(self, names: Sequence[str]) -> str:
        some = "any of " if len(names) > 1 else ""
        return f"no {self._place} holds both {self._control} and {some}{_named(names)}"

    def _partial(self, what: str, reached: float, num_classes: int) -> str:
        return f"the {self._place} alone tells {what} (balanced accuracy {reached:.2f}, chance {1 / num_classes:.2f})"

    def _tells(self, name: str) -> bool:
        """Whether the place tells one treatment from the control, and chance seldom would."""
        is_ours = np.isin(self._names, (self._control, name))
        levels, plates = self._levels[is_ours], self._plates[is_ours]
        is_treated = self._names[is_ours] == name
        reached = float(_balanced_accuracy(levels, is_treated[np.newaxis])[0])
        if _skill(reached, 2) < _MIN_SKILL:
            return False
        generator = np.random.default_rng(0)
        drawn = np.tile(is_treated, (_NUM_PERMUTATIONS, 1))
        for plate in np.unique(plates):
            own = np.flatnonzero(plates == plate)
            drawn[:, own] = generator.permuted(drawn[:, own], axis=1)
        by_chance = _balanced_accuracy(levels, drawn)
        p_value = (1 + int((by_chance >= reached - 1e-9).sum())) / (1 + _NUM_PERMUTATIONS)
        return p_value <= _SIGNIFICANCE / len(self._treated) / _NUM_KINDS


def _balanced_accuracy(
    levels: Int[np.ndarray, " well"], is_treated: Bool[np.ndarray, "row well"]
) -> Float[np.ndarray, " row"]:
    """Tells two classes apart by their places, each well by all the others; the balanced accuracy of every row.

    A well of a place in which no other lies, or as large a share of both classes, counts half.
    """
    at = np.eye(levels.max() + 1)[levels]
    counts = np.stack([~is_treated @ at, is_treated @ at]).astype(np.float64)
    sizes = counts.sum(axis=2, keepdims=True)
    shares = counts / sizes
    others = (counts - 1) / np.maximum(sizes - 1, 1)
    right = 0.5 * (1 + np.sign(others - shares[::-1]))
    return ((counts * right).sum(axis=2) / sizes[:, :, 0]).mean(axis=0)


def _accuracy_among(levels: Int[np.ndarray, " well"], names: np.ndarray, classes: Sequence[str]) -> float:
    """Tells several classes apart likewise. Classes whose share is equally large count in parts."""
    num_levels = int(levels.max()) + 1
    counts = np.stack([np.bincount(levels[names == name], minlength=num_levels) for name in classes], axis=1)
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


def _coded(levels: Sequence[object]) -> Int[np.ndarray, " well"]:
    """Values as whole numbers from 0 on, equal for equal ones."""
    codes = {level: code for code, level in enumerate(dict.fromkeys(levels))}
    return np.array([codes[level] for level in levels], dtype=np.int64)


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return f"{', '.join(names[:_MAX_NAMED])}{more}"
