"""Stacks that no model should trust: made from good ones, to see whether they are flagged."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

_BLUR_SIGMA_PX: Final = 8.0
_MAGNIFICATION: Final = 2


def blank(stack: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    """Every stain at its median everywhere, as of an empty well or a closed shutter."""
    return np.broadcast_to(np.median(stack, axis=(1, 2), keepdims=True), stack.shape).astype(stack.dtype)


def saturated(stack: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    """Every stain overexposed until half of its pixels stand at the largest value."""
    top = np.iinfo(stack.dtype).max if stack.dtype.kind == "u" else float(stack.max())
    gain = top / np.maximum(np.median(stack, axis=(1, 2), keepdims=True), 1e-6)
    return np.minimum(stack * gain, top).astype(stack.dtype)


def shuffled_channels(stack: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The stains in an order in which none keeps its place; a stack of one stain cannot be shuffled."""
    return stack[np.roll(np.arange(len(stack)), int(rng.integers(1, max(len(stack), 2))))]


def swapped_channels(stack: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Two stains in each other's place; a stack of one stain stays as it is."""
    order = np.arange(len(stack))
    pair = rng.permutation(order)[:2]
    order[pair] = order[pair[::-1]]
    return stack[order]


def copied_channel(stack: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One stain in the place of another too; a stack of one stain stays as it is."""
    order = np.arange(len(stack))
    pair = rng.permutation(order)[:2]
    order[pair] = pair[0]
    return stack[order]


def out_of_focus(stack: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    """Every stain blurred by a Gaussian of 8 raw pixels."""
    blurred = np.asarray(gaussian_filter(stack.astype(np.float64), (0, _BLUR_SIGMA_PX, _BLUR_SIGMA_PX)))
    return _like(blurred, stack)


def other_cells(stack: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    """The middle of the field magnified twice, in place of a cell type of twice the size."""
    _, height, width = stack.shape
    part = (-(-height // _MAGNIFICATION), -(-width // _MAGNIFICATION))
    top, left = (height - part[0]) // 2, (width - part[1]) // 2
    middle = stack[:, top : top + part[0], left : left + part[1]].astype(np.float64)
    enlarged = np.asarray(zoom(middle, (1, _MAGNIFICATION, _MAGNIFICATION), order=1, mode="nearest"))
    return _like(enlarged[:, :height, :width], stack)


CORRUPTIONS: Final[Mapping[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]]] = MappingProxyType(
    {
        "blank": blank,
        "saturated": saturated,
        "shuffled channels": shuffled_channels,
        "two channels swapped": swapped_channels,
        "a channel copied over another": copied_channel,
        "out of focus": out_of_focus,
        "cells twice as large": other_cells,
    }
)
"""By the name the report uses: a stack `(channel, y, x)` and a source of randomness to a stack of the same kind."""


def _like(values: np.ndarray, stack: np.ndarray) -> np.ndarray:
    return (np.rint(values) if stack.dtype.kind == "u" else values).astype(stack.dtype)
