"""Balanced accuracy, with a bootstrap over wells and a permutation test within plates."""

from typing import Final

import numpy as np

from phenotrain.evaluate.metrics import Classification, Interval, Level

NUM_RESAMPLES: Final = 1999
_RESAMPLES_AT_ONCE: Final = 100


def classify(
    model: str,
    level: Level,
    probabilities: np.ndarray,
    true: np.ndarray,
    wells: np.ndarray,
    plates: np.ndarray,
    rng: np.random.Generator,
) -> Classification:
    """Compare the most probable class of every unit with the true one.

    Args:
        model: Where the probabilities come from.
        level: `well` when a unit is a well; only then labels may be permuted.
        probabilities: `(num_units, num_classes)`.
        true: True class index, `(num_units,)`; every class occurs.
        wells: Well index of every unit, `(num_units,)`.
        plates: Plate index of every unit, `(num_units,)`.
        rng: Source of the resampling.

    Returns:
        The metrics of this model at this level.
    """
    num_classes = probabilities.shape[1]
    predicted = probabilities.argmax(axis=1)
    confusion = np.zeros((num_classes, num_classes), dtype=int)
    np.add.at(confusion, (true, predicted), 1)
    return Classification(
        model=model,
        level=level,
        num_units=len(true),
        accuracy=float((predicted == true).mean()),
        balanced_accuracy=balanced_accuracy(predicted, true),
        interval=bootstrap_interval(predicted == true, true, wells, rng),
        p_value=permutation_p(predicted, true, plates, rng) if level == "well" else None,
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
    )


def balanced_accuracy(predicted: np.ndarray, true: np.ndarray) -> float:
    """Mean over the classes in `true` of the share of the class that is predicted right."""
    return float(np.mean([(predicted[true == label] == label).mean() for label in np.unique(true)]))


def bootstrap_interval(
    is_right: np.ndarray, true: np.ndarray, wells: np.ndarray, rng: np.random.Generator
) -> Interval:
    """Draw wells with replacement within each class; 95 % percentile interval of the balanced accuracy.

    Where every unit of a class is right, or the class has one well, resampling shows no spread: with few
    wells the interval is too narrow.
    """
    recalls: list[np.ndarray] = []
    for label in np.unique(true):
        members = true == label
        _, well = np.unique(wells[members], return_inverse=True)
        num_right = np.bincount(well, weights=is_right[members])
        num_units = np.bincount(well)
        drawn = rng.integers(len(num_units), size=(NUM_RESAMPLES, len(num_units)))
        recalls.append(num_right[drawn].sum(axis=1) / num_units[drawn].sum(axis=1))
    low, high = np.quantile(np.mean(recalls, axis=0), [0.025, 0.975])
    return Interval(float(low), float(high))


def permutation_p(
    predicted: np.ndarray, true: np.ndarray, plates: np.ndarray, rng: np.random.Generator
) -> float:
    """One-sided p of the balanced accuracy when labels are exchanged among the wells of each plate.

    Returns:
        `(1 + number of permutations that do at least as well) / (1 + number of permutations)`
        (Phipson and Smyth 2010).
    """
    order = np.argsort(plates, kind="stable")
    predicted, true, plates = predicted[order], true[order], plates[order]
    # A right unit adds one over its class's size, so the sums differ from recalls by a constant factor.
    gain = 1 / np.bincount(true)[true]
    observed = gain[predicted == true].sum()
    num_as_good = 0
    for start in range(0, NUM_RESAMPLES, _RESAMPLES_AT_ONCE):
        num_now = min(_RESAMPLES_AT_ONCE, NUM_RESAMPLES - start)
        # Sorting plate number plus a draw in [0, 1) shuffles within plates and keeps plates in place.
        _, plate = np.unique(plates, return_inverse=True)
        shuffled = np.argsort(plate + rng.random((num_now, len(plate))), axis=1)
        gains = np.where(true[shuffled] == predicted, gain[shuffled], 0).sum(axis=1)
        num_as_good += int((gains >= observed - 1e-9).sum())
    return (1 + num_as_good) / (1 + NUM_RESAMPLES)
