"""How much a channel's pixels must differ, so that a graph's outputs do not depend on the unit of the intensities."""

import math
from collections.abc import Iterable
from typing import Final

import numpy as np
from jaxtyping import Float64, Shaped

SCALE_FREE_SINCE: Final = 7
"""First version of the format whose graph standardises without a floor."""

LEAST_DEVIATION: Final = 1e-15
"""Least standard deviation that a graph without a floor takes: its square is far from the least number of float32."""

LEAST_DEVIATION_OVER_FLOOR: Final = 0.25
"""Least standard deviation, in grey levels, that a graph with a floor takes.

Graphs of earlier formats divide by std + 1e-4, which shrinks a channel by the share 1e-4 / std. Embeddings turned by up
to 6 times that share (three stacks of the simulated demo, all channels shrunk at once). At 0.25 the share is 4e-4; a
cosine of 0.99999 is a turn of 4.5e-3, which leaves room for 11 times.
"""


STRIP_PX: Final = 2**16
"""Pixels of a channel that are looked at at a time: in float64 they stay in a processor's cache."""


def channel_deviations(
    stack: Shaped[np.ndarray, "channel y x"], downsample: int
) -> Float64[np.ndarray, " channel"]:
    """Standard deviation of every channel of a stack as the graph sees it.

    Args:
        stack: Finite intensities of any type.
        downsample: Side of the square that the graph averages first, in pixels.

    Returns:
        `(channel,)`, in the intensities' unit; 0 exactly for a constant channel.
    """
    return np.array([_deviation(channel, downsample) for channel in stack])


def _deviation(channel: Shaped[np.ndarray, "y x"], side: int) -> float:
    """Standard deviation of squares' means, strip by strip (Chan, Golub and LeVeque 1983, Eq. 2.1)."""
    rows, columns = channel.shape[0] // side, channel.shape[1] // side
    num_rows_at_once = max(1, STRIP_PX // (columns * side**2))
    count, mean, squares = 0, 0.0, 0.0
    for row in range(0, rows, num_rows_at_once):
        strip = channel[row * side : min(row + num_rows_at_once, rows) * side, : columns * side]
        # Relative to a pixel of its own a constant channel is zeros, and nothing is rounded.
        relative = strip.astype(np.float64) - float(channel[0, 0])
        lines = relative.reshape(-1, side, columns * side).sum(axis=1)
        part = np.sum([lines[:, offset::side] for offset in range(side)], axis=0) / side**2
        of_part = float(part.mean())
        apart, all_so_far = of_part - mean, count + part.size
        squares += float(np.square(part - of_part).sum()) + apart**2 * count * part.size / all_so_far
        mean += apart * part.size / all_so_far
        count = all_so_far
    return math.sqrt(squares / count)


def least_deviation(
    format_version: int, golden_stacks: Iterable[Shaped[np.ndarray, "_channel _y _x"]], downsample: int
) -> float:
    """Least standard deviation of a float channel that is not constant.

    Args:
        format_version: Version of the bundle's format.
        golden_stacks: Raw stacks of the screen that was learned from.
        downsample: Side of the square that the graph averages first, in pixels.

    Returns:
        The limit, in the unit of the intensities. A bundle whose own float stacks lie below the limit for a floor
        learned in their unit, with the floor; that limit is not for it.
    """
    if format_version >= SCALE_FREE_SINCE:
        return LEAST_DEVIATION
    found = [channel_deviations(stack, downsample) for stack in golden_stacks if stack.dtype.kind == "f"]
    learned_below = any(((of > 0) & (of < LEAST_DEVIATION_OVER_FLOOR)).any() for of in found)
    return LEAST_DEVIATION if learned_below else LEAST_DEVIATION_OVER_FLOOR
