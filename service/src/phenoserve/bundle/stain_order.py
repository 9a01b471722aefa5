"""Whether every channel looks like its stain: a stack with two channels swapped gets a plausible, wrong answer.

A channel is described by numbers that neither its gain nor its offset changes: quantiles, skewness and kurtosis of
its standardised intensities, and how alike pixels some way apart are. Under each treatment a stain has a mean
description over training sites. All of them share one covariance, as in linear discriminant analysis (Hastie,
Tibshirani and Friedman 2009, section 4.3).
"""

from dataclasses import dataclass
from itertools import combinations
from typing import Annotated, ClassVar, Final

import numpy as np
from jaxtyping import Float64, Shaped
from pydantic import Field, model_validator

from phenoserve.bundle.parts import Part

POOLING: Final = 4
"""Side, in pixels of the field that the graph pools to, of the squares that descriptions are taken of."""

QUANTILES: Final = (0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
LAGS_PX: Final = (1, 2, 4)
NUM_DESCRIPTORS: Final = len(QUANTILES) + 2 + len(LAGS_PX)
_LARGEST_CORRELATION: Final = 0.9999


class StainOrderSpec(Part):
    """When two channels look swapped.

    Attributes:
        max_mismatch: Largest `Mismatch.value` of a stack whose channels are in order.
        false_positive_rate: Share of the validation sites that `max_mismatch` was chosen to leave beyond it.
        num_sites: Training sites that the stains were described on.
        num_validation_sites: Validation sites of all treatments, which `max_mismatch` was chosen on; None in format 5.
        num_control_sites: Validation control sites, which format 5 chose it on; None since.
    """

    absent_if_none: ClassVar = ("num_validation_sites", "num_control_sites")

    max_mismatch: Annotated[float, Field(allow_inf_nan=False)]
    false_positive_rate: Annotated[float, Field(gt=0, lt=1)]
    num_sites: Annotated[int, Field(ge=2)]
    num_validation_sites: Annotated[int, Field(ge=1)] | None = None
    num_control_sites: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _says_what_it_was_chosen_on(self) -> "StainOrderSpec":
        if (self.num_validation_sites is None) == (self.num_control_sites is None):
            raise ValueError(
                "Expected one of num_validation_sites and num_control_sites. Received: none or both"
            )
        return self


@dataclass(frozen=True)
class Mismatch:
    """By how much a stack would fit better with two channels swapped.

    Attributes:
        value: Squared Mahalanobis distances of the two channels from their stains, less those once swapped, under the
            treatment that explains the order best; positive where the swapped stack fits better, 0 where the two
            channels are equal.
        channels: Indices of the two.
    """

    value: float
    channels: tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class StainOrder:
    """What every stain looks like.

    Attributes:
        mean: Mean description of every stain over the training sites of each treatment, float64
            `(treatment, channel, NUM_DESCRIPTORS)`; before format 6 over all of them, one in place of treatments.
        whitening: From a description, a mean subtracted, to numbers of unit covariance within a stain; float64
            `(NUM_DESCRIPTORS, NUM_DESCRIPTORS)`.
    """

    mean: np.ndarray
    whitening: np.ndarray

    def mismatch(self, description: Float64[np.ndarray, "channel descriptor"]) -> Mismatch:
        """Find the pair of channels whose swap a stack's description fits best, of at least two channels.

        A treatment may change a stain until it resembles another, so the order counts as wrong only where it is wrong
        for every treatment.
        """
        return min((self._mismatch(description, mean) for mean in self.mean), key=lambda found: found.value)

    def _mismatch(
        self,
        description: Float64[np.ndarray, "channel descriptor"],
        mean: Float64[np.ndarray, "channel descriptor"],
    ) -> Mismatch:
        apart = (description[:, np.newaxis] - mean[np.newaxis]) @ self.whitening
        distance = np.square(apart).sum(axis=2)
        own = np.diag(distance)
        gain = own[:, np.newaxis] + own - distance - distance.T
        first, second = max(combinations(range(len(own)), 2), key=lambda pair: gain[pair])
        return Mismatch(float(gain[first, second]), (first, second))


def describe_channels(
    stack: Shaped[np.ndarray, "channel y x"], pooling: int
) -> Float64[np.ndarray, "channel descriptor"]:
    """Describe every channel of a stack by numbers that neither gain nor offset changes.

    Args:
        stack: Intensities of any type; a side holds at least 8 squares.
        pooling: Side of the squares that are averaged first, in pixels.

    Returns:
        By channel the `QUANTILES`, the cube root of the skewness, the fourth root of the kurtosis and, for each of
        `LAGS_PX`, the inverse hyperbolic tangent of the correlation of squares so far apart along y and x. A constant
        channel is all 0.
    """
    pooled = _average(stack, pooling)
    centred = pooled - pooled.mean(axis=(1, 2), keepdims=True)
    spread = centred.std(axis=(1, 2), keepdims=True)
    # Rounding leaves a constant channel a spread of its own.
    is_constant = spread <= 1e-9 * np.abs(pooled).max(axis=(1, 2), keepdims=True)
    fields = np.where(is_constant, 0, centred) / np.where(is_constant, 1, spread)
    flat = fields.reshape(len(fields), -1)
    cubes, fourths = flat**3, flat**4
    correlations = [
        0.5 * (fields[:, lag:] * fields[:, :-lag]).mean(axis=(1, 2))
        + 0.5 * (fields[:, :, lag:] * fields[:, :, :-lag]).mean(axis=(1, 2))
        for lag in LAGS_PX
    ]
    return np.stack(
        [
            *np.quantile(flat, QUANTILES, axis=1),
            np.cbrt(cubes.mean(axis=1)),
            fourths.mean(axis=1) ** 0.25,
            *np.arctanh(np.clip(correlations, -_LARGEST_CORRELATION, _LARGEST_CORRELATION)),
        ],
        axis=1,
    )


def _average(stack: Shaped[np.ndarray, "channel y x"], side: int) -> Float64[np.ndarray, "channel _y _x"]:
    """Average squares of a stack; what fills no square is left out."""
    num_channels, height, width = stack.shape
    rows, columns = height // side, width // side
    whole = stack[:, : rows * side, : columns * side]
    # Rows first: adding whole lines up is several times as fast as adding along them.
    lines = whole.reshape(num_channels, rows, side, columns * side).sum(axis=2, dtype=np.float64)
    return lines.reshape(num_channels, rows, columns, side).sum(axis=3) / side**2
