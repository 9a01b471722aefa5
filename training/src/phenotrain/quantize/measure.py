"""How much a graph of lower precision changes the answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import balanced_accuracy_score

from phenoserve.engine import Graph

MAX_LOSS = 0.005
"""Largest loss of balanced accuracy, as a share: half a point."""


class WorseError(RuntimeError):
    """A graph of lower precision loses too much accuracy."""


@dataclass(frozen=True)
class Change:
    """A graph of lower precision against the first one, on the same held-out sites.

    Attributes:
        min_cosine: Least cosine of a site's two embeddings.
        mean_cosine: Mean of the cosines.
        accuracy: Balanced accuracy of the classifier.
        accuracy_fp32: That of the first graph.
        num_sites: Sites.
    """

    min_cosine: float
    mean_cosine: float
    accuracy: float
    accuracy_fp32: float
    num_sites: int

    @property
    def loss(self) -> float:
        """By how much the accuracy dropped; negative where it rose."""
        return self.accuracy_fp32 - self.accuracy

    @property
    def note(self) -> str | None:
        """Say where a single site is more than `MAX_LOSS`, so that the sites cannot show a loss as small; else None."""
        if self.num_sites * MAX_LOSS >= 1 - 1e-9:
            return None
        return (
            f"{self.num_sites} held-out sites cannot show a loss of {100 * MAX_LOSS} points: one of them is "
            f"{100 / self.num_sites:.1f} points. {round(1 / MAX_LOSS)} sites or more could."
        )

    def require_as_good(self, precision: str) -> None:
        """Refuse a loss of more than `MAX_LOSS`.

        Raises:
            WorseError: If the loss is larger.
        """
        if self.loss > MAX_LOSS + 1e-9:
            raise WorseError(
                f"At {precision} the balanced accuracy on {self.num_sites} held-out sites is {self.accuracy:.4f} and "
                f"{self.accuracy_fp32:.4f} at fp32: {100 * self.loss:.2f} points are lost, {100 * MAX_LOSS} allowed. "
                "Calibrate on more sites (`--calibration-sites`), or serve the bundle as it is."
            )


def measure_change(
    first: Graph,
    other: Graph,
    read_stack: Callable[[int], np.ndarray],
    rows: Sequence[int],
    targets: np.ndarray,
    on_site: Callable[[int, int], None],
) -> Change:
    """Answer sites by both graphs.

    Args:
        first: The graph at fp32.
        other: The graph at lower precision.
        read_stack: Gives the raw stack of a row.
        rows: Rows of the held-out sites.
        targets: Index of the true treatment of each, `(len(rows),)`.
        on_site: Called with the number of sites done and to do, before the first and after each.
    """
    cosines: list[float] = []
    predicted: list[tuple[int, int]] = []
    on_site(0, len(rows))
    for number, row in enumerate(rows, start=1):
        stack = read_stack(row)[np.newaxis].astype(np.float32)
        answers = [graph.run(stack) for graph in (first, other)]
        one, two = (answer["embedding"][0].astype(np.float64) for answer in answers)
        size = np.linalg.norm(one) * np.linalg.norm(two)
        cosines.append(float(one @ two / size) if size > 0 else 0.0)
        predicted.append((int(answers[0]["logits"].argmax()), int(answers[1]["logits"].argmax())))
        on_site(number, len(rows))
    accuracies = [
        float(balanced_accuracy_score(targets, answers)) for answers in zip(*predicted, strict=True)
    ]
    return Change(min(cosines), float(np.mean(cosines)), accuracies[1], accuracies[0], len(rows))
