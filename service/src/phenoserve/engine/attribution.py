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
"""Pixels of all fields of one pass: it takes the memory and about the time of one field of 1024 by 1024."""


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


@dataclass(frozen=True, slots=True, eq=False)
class AttributionPasses:
    """The passes of one attribution: a batch of subsets each, made when it is asked for and not kept.

    Whoever runs them may do something else between two of them; `stain_attribution` runs them in a row.

    Attributes:
        stack: Raw intensities `(channel, y, x)`.
        present: Every subset, as `subsets` has them.
        replacements: What takes the place of an absent stain, each broadcastable to the stack.
        batch_size: Stacks of one pass, at most.
    """

    stack: Shaped[np.ndarray, "channel y x"]
    present: Bool[np.ndarray, "subset channel"]
    replacements: Sequence[Shaped[np.ndarray, "_channel _y _x"]]
    batch_size: int

    @classmethod
    def of(
        cls,
        stack: Shaped[np.ndarray, "channel y x"],
        replacements: Sequence[Shaped[np.ndarray, "_channel _y _x"]] | None = None,
        *,
        max_batch_px: int = MAX_BATCH_PX,
    ) -> "AttributionPasses":
        """Plan the passes.

        Args:
            stack: Raw intensities `(channel, y, x)`; 1 to `MAX_CHANNELS` channels.
            replacements: As in `stain_attribution`.
            max_batch_px: As in `stain_attribution`.

        Raises:
            ValueError: If the channels are too many, a replacement has another shape than the stack, or there is none
                in the sequence.
        """
        present = subsets(len(stack))
        if replacements is None:
            replacements = [np.zeros((1, 1, 1), stack.dtype)]
        elif not replacements or any(other.shape != stack.shape for other in replacements):
            raise ValueError(
                f"Expected at least one replacement, each of the stack's shape {stack.shape}. "
                f"Received: {[other.shape for other in replacements]}"
            )
        batch_size = max(1, max_batch_px // (stack.shape[1] * stack.shape[2]))
        return cls(stack, present, replacements, min(batch_size, len(present)))

    def __len__(self) -> int:
        return len(self.replacements) * self._num_a_replacement

    @property
    def _num_a_replacement(self) -> int:
        return -(-len(self.present) // self.batch_size)

    def stacks(self, index: int) -> Shaped[np.ndarray, "batch channel y x"]:
        """Make the stacks of one pass, in the stack's pixel type.

        Args:
            index: Which pass, from 0 to `len(self) - 1`.
        """
        number, place = divmod(index, self._num_a_replacement)
        present = self.present[place * self.batch_size :][: self.batch_size]
        return np.where(present[:, :, np.newaxis, np.newaxis], self.stack, self.replacements[number])

    def attribution(self, logits: Sequence[Float[np.ndarray, "batch treatment"]]) -> StainAttribution:
        """The attribution, once every pass was run.

        Args:
            logits: The logits of every pass, in order.

        Raises:
            ValueError: If a logit is not finite.
        """
        rows = np.concatenate(logits).astype(np.float64)
        worth = rows.reshape(len(self.replacements), len(self.present), -1).mean(axis=0)
        return StainAttribution(shapley_values(worth), baseline=worth[0], full=worth[-1])


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
    passes = AttributionPasses.of(stack, replacements, max_batch_px=max_batch_px)
    return passes.attribution([logits_of(passes.stacks(index)) for index in range(len(passes))])


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
