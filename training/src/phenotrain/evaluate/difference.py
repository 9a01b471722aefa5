"""Whether one set of answers is better than another for the same wells."""

from dataclasses import dataclass

import numpy as np

from phenotrain.evaluate.draws import bootstrap_counts
from phenotrain.evaluate.estimates import MIN_WELLS, Difference, centred_interval


@dataclass(frozen=True)
class Answers:
    """What was answered for every unit, and what is true.

    Attributes:
        predicted: Class of every unit, `(num_units,)`, in any spelling that compares equal.
        true: True class, same shape.
        wells: Name of the unit's well, same shape; several sites of a well may stand alone.
    """

    predicted: np.ndarray
    true: np.ndarray
    wells: np.ndarray

    def __post_init__(self) -> None:
        if not len(self.predicted) == len(self.true) == len(self.wells):
            raise ValueError(
                "Expected one predicted class, true class and well a unit. Received: "
                f"{len(self.predicted)}, {len(self.true)} and {len(self.wells)}."
            )


def balanced_accuracy_difference(
    first: Answers, second: Answers, *, names: tuple[str, str] = ("first", "second"), seed: int = 0
) -> Difference:
    """Subtract the second balanced accuracy from the first, with a paired bootstrap over wells.

    Wells are drawn with replacement within each class, the same draw for both, so what makes a well hard for
    both cancels.

    Args:
        first: One set of answers.
        second: Another, for the same wells in any order.
        names: What to call them.
        seed: Seed of the draws.

    Returns:
        The difference and its 95 % interval.

    Raises:
        ValueError: If the two are about different wells, or a well has two true classes.
    """
    wells, right, sizes, labels = _by_well(first)
    other_wells, other_right, other_sizes, other_labels = _by_well(second)
    if not (np.array_equal(wells, other_wells) and np.array_equal(labels, other_labels)):
        only = np.setxor1d(wells, other_wells)
        raise ValueError(
            f"Expected two sets of answers about the same wells with the same true classes. Received: "
            f"{len(wells)} and {len(other_wells)} wells, {len(only)} of them in one set only. "
            "Evaluate both on one split."
        )
    level = "well" if (sizes == 1).all() and (other_sizes == 1).all() else "site"
    counts = bootstrap_counts(labels, np.random.default_rng(seed))
    replicates = paired_balanced_accuracy(counts, labels, right, sizes) - paired_balanced_accuracy(
        counts, labels, other_right, other_sizes
    )
    return difference_of(replicates, names, level, int(np.unique(labels, return_counts=True)[1].min()))


def difference_of(
    replicates: np.ndarray, names: tuple[str, str], level: str, smallest_class: int
) -> Difference:
    """Make a difference out of its replicates, the observed one first, and the wells of the smallest class."""
    interval = centred_interval(replicates, -1.0, 1.0) if smallest_class >= MIN_WELLS else None
    return Difference(*names, level, float(replicates[0]), interval, smallest_class)


def paired_balanced_accuracy(
    counts: np.ndarray, labels: np.ndarray, right: np.ndarray, sizes: np.ndarray
) -> np.ndarray:
    """Balanced accuracy of every draw.

    Args:
        counts: How often each well is drawn, `(num_draws, num_wells)`.
        labels: True class of every well.
        right: Units of every well that are right.
        sizes: Units of every well.
    """
    classes = [labels == label for label in np.unique(labels)]
    return np.mean([(counts[:, own] @ right[own]) / (counts[:, own] @ sizes[own]) for own in classes], axis=0)


def _by_well(answers: Answers) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    names, first, well = np.unique(answers.wells, return_index=True, return_inverse=True)
    labels = np.asarray(answers.true)[first]
    mixed = labels[well] != answers.true
    if mixed.any():
        raise ValueError(
            f"Expected every well to have one true class. Received: two in {answers.wells[mixed][0]!r}."
        )
    right = np.bincount(well, weights=np.asarray(answers.predicted) == answers.true)
    return names, right, np.bincount(well).astype(float), labels
