"""A number with its 95 % interval and what chance would give, from replicates of it."""

from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np

MetricName = Literal["balanced_accuracy", "auroc", "average_precision", "f1", "brier", "calibration_error"]
METRICS: Final[tuple[MetricName, ...]] = get_args(MetricName)

SIGNIFICANCE: Final = 0.05
MIN_WELLS: Final = 3
"""Fewest wells of a class that give an interval: resampling two of them says nothing about their spread."""
FEW_WELLS: Final = 10
"""Fewer wells of a class than this carry numbers, but no verdict that one model is better than another."""
_LARGEST: Final[dict[MetricName, float]] = {"brier": 2.0}
_ROUNDING: Final = 1e-9


@dataclass(frozen=True)
class Interval:
    """95 % interval of a bootstrap over wells."""

    low: float
    high: float


@dataclass(frozen=True)
class Estimate:
    """A metric, how far it may be off, and what the same predictions reach by chance.

    Attributes:
        value: On all scored units.
        interval: 95 %, from wells drawn with replacement within their class; None with fewer than `MIN_WELLS` in one.
        chance: Mean over permutations of the true labels among the wells of each plate.
    """

    value: float
    interval: Interval | None
    chance: float

    @property
    def contains_chance(self) -> bool:
        """Whether the interval holds the chance level, so that the value says nothing; never without an interval."""
        if self.interval is None:
            return False
        return self.interval.low - _ROUNDING <= self.chance <= self.interval.high + _ROUNDING


@dataclass(frozen=True)
class Difference:
    """How much better one model's balanced accuracy is than another's, on the same wells.

    Attributes:
        model: Name of the first model.
        other: Name of the second one.
        level: `site` or `well`.
        value: Balanced accuracy of `model` minus that of `other`.
        interval: 95 %, from the same draws of wells for both; None with fewer than `MIN_WELLS` wells of a class.
        smallest_class: Wells of the class that has fewest.
    """

    model: str
    other: str
    level: str
    value: float
    interval: Interval | None
    smallest_class: int

    @property
    def is_positive(self) -> bool:
        """Whether the whole interval lies above zero: `model` is better than `other`."""
        return self.interval is not None and self.interval.low > _ROUNDING


def estimate(
    name: MetricName, replicates: np.ndarray, permuted: np.ndarray | float, smallest_class: int
) -> Estimate:
    """Make an estimate out of a metric's replicates.

    Args:
        name: The metric, for the range that the interval is cut to.
        replicates: Its value on the units, then on every bootstrap draw of them, `(1 + num_draws,)`.
        permuted: Its values under permuted labels, or their expectation where that is known.
        smallest_class: Wells of the class that has fewest.

    Returns:
        The first replicate, the interval of the others, and the mean of `permuted`.
    """
    return Estimate(
        float(replicates[0]),
        centred_interval(replicates, 0.0, _LARGEST.get(name, 1.0)) if smallest_class >= MIN_WELLS else None,
        float(np.mean(permuted)),
    )


def centred_interval(replicates: np.ndarray, smallest: float, largest: float) -> Interval:
    """95 % percentile interval, moved by the bootstrap's own estimate of the bias, cut to a range.

    A resampled calibration error or average precision is on the average larger than the one it was resampled
    from. Subtracting that difference (Efron and Tibshirani 1993, section 10.3) keeps the interval around the
    value; for a mean such as the balanced accuracy it does nothing.

    Args:
        replicates: The value, then the bootstrap's, `(1 + num_draws,)`.
        smallest: Lower end of the metric's range.
        largest: Upper end of it.
    """
    bias = replicates[1:].mean() - replicates[0]
    low, high = np.clip(np.quantile(replicates[1:], [0.025, 0.975]) - bias, smallest, largest)
    return Interval(float(low), float(high))
