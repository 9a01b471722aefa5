"""Average pooling, kept exact: integer pixels are stored as integer sums."""

from typing import Any

import numpy as np
import numpy.typing as npt

_EXACT_IN_FLOAT32 = 2**24


def pooled_dtype(pixel_dtype: npt.DTypeLike, downsample: int) -> np.dtype[np.generic]:
    """Choose what pooled pixels are stored in.

    Args:
        pixel_dtype: Type of the pixels: uint8, uint16 or float32.
        downsample: Side of the square that is pooled, px.

    Returns:
        For integers the smallest unsigned type that holds the sum of a square at full intensity; for floats
        float32.
    """
    dtype = np.dtype(pixel_dtype)
    if dtype.kind == "f":
        return np.dtype(np.float32)
    return np.min_scalar_type(_max_of(dtype) * downsample**2)


def pool(stack: npt.NDArray[Any], downsample: int) -> npt.NDArray[Any]:
    """Pool a stack over squares, leaving out the rest at the bottom and right edge ("valid" pooling).

    Args:
        stack: `(channel, y, x)`, uint8, uint16 or float32.
        downsample: Side of the square, px; at most the field's sides.

    Returns:
        `(channel, y // downsample, x // downsample)` in `pooled_dtype`: sums for integers, means for floats.
    """
    num_channels, height, width = stack.shape
    rows, columns = height // downsample, width // downsample
    target = pooled_dtype(stack.dtype, downsample)
    total: np.dtype[Any] = np.dtype(np.float64) if stack.dtype.kind == "f" else target
    squares = stack[:, : rows * downsample, : columns * downsample]
    # Rows first: adding whole rows is contiguous, and leaves few pixels for the strided pass.
    summed_rows: npt.NDArray[Any] = np.zeros((num_channels, rows, columns * downsample), total)
    for offset in range(downsample):
        np.add(summed_rows, squares[:, offset::downsample], out=summed_rows, casting="unsafe")
    sums: npt.NDArray[Any] = np.zeros((num_channels, rows, columns), total)
    for offset in range(downsample):
        sums += summed_rows[:, :, offset::downsample]
    if stack.dtype.kind == "f":
        sums /= downsample**2
    return sums.astype(target, copy=False)


def means(pooled: npt.NDArray[Any], downsample: int) -> npt.NDArray[np.float32]:
    """Turn what `pool` stored into means.

    Args:
        pooled: Result of `pool`, any leading axes.
        downsample: The `downsample` it was made with.

    Returns:
        Float32 means, the same shape; correctly rounded.
    """
    if pooled.dtype.kind == "f":
        return pooled.astype(np.float32)
    area = downsample**2
    exact = _max_of(pooled.dtype) < _EXACT_IN_FLOAT32
    quotient = np.divide(pooled, area, dtype=np.float32 if exact else np.float64, casting="unsafe")
    return quotient.astype(np.float32, copy=False)


def _max_of(dtype: np.dtype[Any]) -> int:
    return int(np.iinfo(dtype.name).max)
