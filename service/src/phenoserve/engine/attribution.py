"""Stain attribution: how much each stain of a stack adds to every logit, as exact Shapley values."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import factorial
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Float64, Shaped

MAX_CHANNELS: Final = 10
"""Most channels whose subsets are all evaluated: 1024 passes a replacement."""

MAX_BATCH_PX: Final = 2**20
"""Pixels of all fields of one batch: what the graph holds at once stays that of one field of 1024 by 1024."""


@dataclass(frozen=True, slots=True, eq=False)
class StainAttribution:
    """What every stain of one stack adds to every logit.

    Attributes:
        values: Shapley value of every stain for every treatment, `(channel, treatment)`, in units of the logits.
            A column sums to `full - baseline` of its treatment.
        baseline: Logits with every stain removed, `(treatment,)`.
        full: Logits of the stack as it is, `(treatment,)`.
    """

    values: Float64[np.ndarray, "channel treatment"]
    baseline: Float64[np.ndarray, " treatment"]
    full: Float64[np.ndarray, " treatment"]


def subsets(num_channels: int) -> Bool[np.ndarray, "subset channel"]:
    """Every subset of the channels; True where the stain is present.

    Args:
        num_channels: Number of channels, 1 to `MAX_CHANNELS`.

    Returns:
        `(2 ** num_channels, num_channels)`. Row i holds channel c where bit c of i is set: the first row is the
        empty set, the last one the whole.

    Raises:
        ValueError: If there are no channels, or more than `MAX_CHANNELS`.
    """
    if not 1 <= num_channels <= MAX_CHANNELS:
        raise ValueError(
            f"Expected 1 to {MAX_CHANNELS} channels: every further one doubles the passes through the graph. "
            f"Received: {num_channels} channels. Attribute a selection of the stains instead."
        )
    rows = np.arange(2**num_channels, dtype=np.int64)
    return (rows[:, np.newaxis] >> np.arange(num_channels, dtype=np.int64)) % 2 == 1


def shapley_values(values: Float[np.ndarray, "subset output"]) -> Float64[np.ndarray, "channel output"]:
    """Exact Shapley values of the channels (Shapley 1953, "A value for n-person games").

    The value of a channel is what it adds to a subset of the others, averaged over all orders in which the
    channels can be added. Over the channels the values sum to that of the whole set less that of the empty one.

    Args:
        values: What every subset is worth, `(2 ** num_channels, num_outputs)`, finite, rows as in `subsets`.

    Returns:
        `(num_channels, num_outputs)`.

    Raises:
        ValueError: If the number of rows is not a power of two, is 1, or is more than `2 ** MAX_CHANNELS`, or a
            value is not finite.
    """
    num_channels = len(values).bit_length() - 1
    if len(values) != 2**num_channels:
        raise ValueError(
            "Expected values (2 ** num_channels, num_outputs), a row for every subset of the channels. "
            f"Received: {values.shape}"
        )
    if not np.isfinite(values).all():
        raise ValueError("Expected finite values of the subsets. Received: some that are NaN or infinite")
    return _weights(subsets(num_channels)) @ values.astype(np.float64)


def stain_attribution(
    logits_of: Callable[[Shaped[np.ndarray, "batch channel y x"]], Float[np.ndarray, "batch treatment"]],
    stack: Shaped[np.ndarray, "channel y x"],
    replacements: Sequence[Shaped[np.ndarray, "_channel _y _x"]] | None = None,
    *,
    max_batch_px: int = MAX_BATCH_PX,
) -> StainAttribution:
    """Attribute the logits of a stack to its stains, by a pass for every subset of them.

    A stain that is not in the subset is removed. With `replacements`, it is that stain of another stack, such as
    a control site of the same plate, and a subset is worth its mean logit over them: the interventional
    expectation (Lundberg and Lee 2017, "A unified approach to interpreting model predictions", Eq. 11). Without,
    it is a channel of zeros, which the graph's standardisation keeps at zero: the mean intensity everywhere.

    Args:
        logits_of: The graph: raw stacks `(batch, channel, y, x)` to logits `(batch, treatment)`.
        stack: Raw intensities `(channel, y, x)`; 1 to `MAX_CHANNELS` channels.
        replacements: Raw stacks of the same shape, at least one; None for zeros. The passes are
            `2 ** num_channels` for each.
        max_batch_px: Pixels (`y * x` summed over the stacks) of one call of `logits_of`; one stack goes through
            whatever its size.

    Returns:
        The attribution; its values sum to the logits' difference up to rounding in float64.

    Raises:
        ValueError: If the channels are too many, a replacement has another shape than the stack, there is none
            in the sequence, or a logit is not finite.
    """
    present = subsets(len(stack))
    others = [np.zeros_like(stack)] if replacements is None else list(replacements)
    if not others or any(other.shape != stack.shape for other in others):
        raise ValueError(
            f"Expected at least one replacement, each of the stack's shape {stack.shape}. "
            f"Received: {[other.shape for other in others]}"
        )
    batch_size = max(1, max_batch_px // (stack.shape[1] * stack.shape[2]))
    worth = np.mean([_logits(logits_of, stack, other, present, batch_size) for other in others], axis=0)
    return StainAttribution(shapley_values(worth), baseline=worth[0], full=worth[-1])


def _logits(
    logits_of: Callable[[np.ndarray], np.ndarray],
    stack: np.ndarray,
    replacement: np.ndarray,
    present: np.ndarray,
    batch_size: int,
) -> np.ndarray:
    """Logits of every subset in float64, the absent stains taken from the replacement."""
    batches = (present[start : start + batch_size] for start in range(0, len(present), batch_size))
    logits = [
        logits_of(np.where(batch[:, :, np.newaxis, np.newaxis], stack, replacement)) for batch in batches
    ]
    return np.concatenate(logits).astype(np.float64)


def _weights(present: np.ndarray) -> np.ndarray:
    r"""What the worth of every subset counts in the value of every channel, `(channel, subset)`.

    The subset S with channel c follows S without c in `|S \ c|! (C - |S|)!` of the C! orders.
    """
    num_channels = present.shape[1]
    orders = np.array([float(factorial(size)) for size in range(num_channels + 1)])
    size = present.sum(axis=1)
    last = np.where(size > 0, orders[size - 1] * orders[num_channels - size], 0.0)
    rest = num_channels - size
    following = np.where(rest > 0, orders[size] * orders[rest - 1], 0.0)
    return np.where(present, last[:, np.newaxis], -following[:, np.newaxis]).T / orders[num_channels]
