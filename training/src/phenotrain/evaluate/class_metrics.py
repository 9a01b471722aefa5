"""Metrics over all classes at once, for many weightings of the wells in a few matrix products.

Every class counts alike in all of them, as in the balanced accuracy: a unit of class k weighs one over the
number of units of class k. So a screen with a hundred controls a treated well is judged by the same numbers as
one with ten, and probabilities are judged for the equal shares of classes that the heads were trained for.
"""

from typing import Final

import numpy as np

from phenotrain.evaluate.estimates import MetricName

NUM_BINS: Final = 10
"""Equal bins of the largest probability, between 0 and 1, for the calibration error."""


class WellSums:
    """What each unit contributes, were it of class k, summed over the units of every well.

    Args:
        probabilities: `(num_units, num_classes)`.
        well_of: Index of every unit's well, `(num_units,)`.
        num_wells: Number of wells.
    """

    def __init__(self, probabilities: np.ndarray, well_of: np.ndarray, num_wells: int) -> None:
        num_classes = probabilities.shape[1]
        self.num_classes = num_classes
        predicted = np.eye(num_classes)[probabilities.argmax(axis=1)]
        confidence = probabilities.max(axis=1)
        bin_of = np.clip(np.ceil(confidence * NUM_BINS).astype(int) - 1, 0, NUM_BINS - 1)
        in_bin = np.eye(NUM_BINS)[bin_of]
        squares = (probabilities**2).sum(axis=1)
        self.sizes = np.bincount(well_of, minlength=num_wells).astype(float)
        self.of_class = np.zeros((num_classes, num_wells, num_classes + 1 + 2 * NUM_BINS))
        for label in range(num_classes):
            loss = squares - 2 * probabilities[:, label] + 1
            right = in_bin * predicted[:, [label]]
            columns = np.column_stack([predicted, loss, in_bin * confidence[:, None], right])
            np.add.at(self.of_class[label], well_of, columns)

    def metrics(self, weights: list[np.ndarray]) -> dict[MetricName, np.ndarray]:
        """Compute the metrics once for every row of the weights.

        Args:
            weights: For each class, how much every well counts as one of it, `(num_rows, num_wells)`.

        Returns:
            Of every row, `(num_rows,)`: the balanced accuracy; the macro F1; the Brier score, the squared
            distance between the probabilities and the true class, between 0 and 2 (Brier 1950); and the
            expected calibration error of the most probable class (Guo et al. 2017, Eq. 3).
        """
        num_classes = self.num_classes
        # (row, true class, column): the mean of every column over the units of the class.
        means = np.stack(
            [self._means(of_class, sums) for of_class, sums in zip(weights, self.of_class, strict=True)],
            axis=1,
        )
        confusion = means[:, :, :num_classes]
        recall = np.diagonal(confusion, axis1=1, axis2=2)
        over_classes = means[:, :, num_classes:].mean(axis=1)
        confidence, right = np.split(over_classes[:, 1:], 2, axis=1)
        return {
            "balanced_accuracy": recall.mean(axis=1),
            "f1": (2 * recall / (1 + confusion.sum(axis=1))).mean(axis=1),
            "brier": over_classes[:, 0],
            "calibration_error": np.abs(confidence - right).sum(axis=1),
        }

    def _means(self, weights: np.ndarray, sums: np.ndarray) -> np.ndarray:
        used = np.flatnonzero(weights.any(axis=0))
        weights = weights[:, used]
        return weights @ sums[used] / (weights @ self.sizes[used])[:, None]

    def balanced_accuracies(self, codes: np.ndarray) -> np.ndarray:
        """Compute only the balanced accuracy, under each of many labellings with equal class sizes.

        Args:
            codes: Class of every well, `(num_rows, num_wells)`.
        """
        wells = np.arange(codes.shape[1])
        right = self.of_class[np.arange(self.num_classes), :, np.arange(self.num_classes)]
        found, sizes = right[codes, wells], self.sizes[wells]
        recalls = [
            np.where(codes == label, found, 0).sum(axis=1) / ((codes == label) @ sizes)
            for label in range(self.num_classes)
        ]
        return np.mean(recalls, axis=0)
