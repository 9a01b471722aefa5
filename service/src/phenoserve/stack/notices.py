"""Notices what makes a channel worth little: dead, saturated, the same as another, or nothing but noise."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from jaxtyping import Float64, Shaped

NoticeCode = Literal[
    "dead_channel",
    "saturated_channel",
    "noise_channel",
    "repeated_channel",
    "unmatched_channel_names",
    "swapped_channels",
]

LIMITS: Final = frozenset({255, 1023, 4095, 16383, 65535})
"""Largest numbers of 8, 10, 12, 14 and 16 bits, at which a camera or a file ends."""

FLOAT_LIMIT: Final = 1.0
"""Where float pixels end that were scaled by the largest number of their former type."""

SATURATED_SHARE: Final = 0.01
"""Share of a channel's pixels at its limit from which on it counts as saturated."""

OVEREXPOSED_SHARE: Final = 0.5
"""Share of a channel's pixels at its limit from which on it shows no cells any more."""

NOISE_CORRELATION: Final = 0.1
"""Correlation of neighbouring pixels below which a channel is nothing but noise: optics spread every point over several
pixels, so that real channels, dim ones too, lie at 0.7 and above, and independent pixels at 0."""

NOISE_SAMPLE_PX: Final = 2**16
"""About how many pixels of a channel the correlation of neighbours is taken from, in whole rows."""

REPEATED_CORRELATION: Final = 0.9999
"""Correlation (Pearson's r) of two channels from which on they count as one."""

CHUNK_PX: Final = 2**15
"""Pixels of a channel that are correlated at a time: six channels of them in float64 stay in a processor's cache."""


@dataclass(frozen=True)
class Notice:
    """One thing to know of a stack.

    Attributes:
        code: Its stable name.
        channels: Stains that it is about.
        detail: What was found, and what to do.
        is_unusable: Whether no image of cells looks so: such a stack is out of distribution, whatever a model says.
    """

    code: NoticeCode
    channels: tuple[str, ...]
    detail: str
    is_unusable: bool = False


def find_notices(array: Shaped[np.ndarray, "channel y x"], stains: Sequence[str]) -> list[Notice]:
    """Look at the pixels of a stack.

    Args:
        array: Finite intensities, uint8, uint16 or float32.
        stains: The stain of each channel.

    Returns:
        A notice for every dead channel, every saturated one, every one of noise, and every set of channels that agree.
    """
    channels = array.reshape(len(array), -1)
    lowest, highest = channels.min(axis=1), channels.max(axis=1)
    lit = [index for index in range(len(stains)) if lowest[index] != highest[index]]
    dead = [
        Notice(
            "dead_channel",
            (stain,),
            f"All pixels of {stain} are {lowest[index]:g}. Was it imaged, and is it the right file?",
            is_unusable=True,
        )
        for index, stain in enumerate(stains)
        if index not in lit
    ]
    saturated = [
        notice
        for index in lit
        if (notice := _saturation(channels[index], highest[index], stains[index])) is not None
    ]
    noise = [
        Notice(
            "noise_channel",
            (stains[index],),
            f"{stains[index]} is nothing but noise: neighbouring pixels hardly agree (correlation {correlation:.2f},"
            f" and at least {NOISE_CORRELATION} in an image). Was it imaged, and is it the right file?",
            is_unusable=True,
        )
        for index in lit
        if (correlation := _neighbour_correlation(array[index])) < NOISE_CORRELATION
    ]
    repeated = [
        Notice(
            "repeated_channel",
            tuple(stains[index] for index in group),
            f"{' and '.join(stains[index] for index in group)} show the same pixels (correlation of at least"
            f" {REPEATED_CORRELATION}). Was one file taken for several stains?",
            is_unusable=True,
        )
        for group in _repetitions(channels, lit)
    ]
    return [*dead, *saturated, *noise, *repeated]


def _saturation(channel: Shaped[np.ndarray, " pixel"], highest: np.generic, stain: str) -> Notice | None:
    is_limit = float(highest) in LIMITS or (channel.dtype.kind == "f" and float(highest) == FLOAT_LIMIT)
    num_at_limit = int(np.count_nonzero(channel == highest)) if is_limit else 0
    if num_at_limit < SATURATED_SHARE * len(channel) or num_at_limit == 0:
        return None
    return Notice(
        "saturated_channel",
        (stain,),
        f"{100 * num_at_limit / len(channel):.1f} % of the pixels of {stain} are at {highest:g}, the largest number"
        " there is: what is brighter was cut off. Expose it for less time.",
        is_unusable=num_at_limit >= OVEREXPOSED_SHARE * len(channel),
    )


def _neighbour_correlation(channel: Shaped[np.ndarray, "y x"]) -> float:
    """Correlation of pixels with the next along x and along y, over rows spread evenly; 1 where those are all alike."""
    height, width = channel.shape
    step = max(1, height * width // NOISE_SAMPLE_PX)
    here, below = channel[:-1:step].astype(np.float64), channel[1::step].astype(np.float64)
    mean = here.mean()
    here, below = here - mean, below - mean
    variance = float(np.square(here).mean())
    if variance == 0:
        return 1.0
    along_x = float((here[:, 1:] * here[:, :-1]).mean())
    along_y = float((here * below).mean())
    return 0.5 * (along_x + along_y) / variance


def _repetitions(channels: Shaped[np.ndarray, "channel pixel"], lit: Sequence[int]) -> Iterator[list[int]]:
    """Sets of channels that agree, each channel in one at most."""
    if len(lit) < 2:
        return
    agree = _correlation(channels[lit]) >= REPEATED_CORRELATION
    left = [*range(len(lit))]
    while left:
        group = [other for other in left if agree[left[0], other]]
        left = [other for other in left if other not in group]
        if len(group) > 1:
            yield [lit[index] for index in group]


def _correlation(channels: Shaped[np.ndarray, "channel pixel"]) -> Float64[np.ndarray, "channel channel"]:
    """Pearson's r of every two channels, none of them constant; in one pass, over values between 0 and 1."""
    num_channels, num_pixels = channels.shape
    lowest = channels.min(axis=1, keepdims=True).astype(np.float64)
    scale = 1 / (channels.max(axis=1, keepdims=True).astype(np.float64) - lowest)
    sums, products = np.zeros(num_channels), np.zeros((num_channels, num_channels))
    for start in range(0, num_pixels, CHUNK_PX):
        values = (channels[:, start : start + CHUNK_PX] - lowest) * scale
        sums += values.sum(axis=1)
        products += values @ values.T
    covariance = products - np.outer(sums, sums) / num_pixels
    deviations = np.sqrt(covariance.diagonal())
    return covariance / np.outer(deviations, deviations)
