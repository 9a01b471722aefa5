"""Random fields: smooth noise at a given scale, and small spots at given points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Field = NDArray[np.floating]
"""One value a pixel, `(y, x)`; float32 throughout, which NumPy's type stubs cannot follow."""


def fine_noise(rng: np.random.Generator, field_px: int, scale_px: float) -> Field:
    """Gaussian noise of unit variance with a Gaussian correlation of a few pixels.

    Args:
        rng: Source of the noise.
        field_px: Side of the field in pixels.
        scale_px: Standard deviation of the smoothing kernel in pixels.

    Returns:
        Noise of mean 0 and variance 1 in expectation, `(y, x)`.
    """
    white = rng.standard_normal((field_px, field_px), dtype=np.float32)
    smooth = ndimage.gaussian_filter(white, scale_px, mode="wrap", truncate=3.0)
    # A kernel of standard deviation s averages about 4 pi s^2 pixels in two dimensions.
    smooth *= np.float32(2.0 * np.sqrt(np.pi) * scale_px)
    return smooth


def coarse_noise(rng: np.random.Generator, field_px: int, scale_px: int) -> Field:
    """Smooth noise of about unit variance on the scale of cells, drawn on a coarse grid and interpolated.

    Args:
        rng: Source of the noise.
        field_px: Side of the field in pixels.
        scale_px: Standard deviation of the smoothing kernel and spacing of the grid, in pixels.

    Returns:
        Noise of mean 0 and variance about 1, `(y, x)`.
    """
    coarse = fine_noise(rng, field_px // scale_px + 2, 1.0)
    return _stretch(_stretch(coarse, scale_px, field_px).T, scale_px, field_px).T


def _stretch(values: Field, factor: int, length: int) -> Field:
    """Interpolate linearly along the first axis: `factor` steps between neighbours, cut at `length`."""
    step = (np.arange(factor, dtype=np.float32) / factor)[None, :, None]
    between = values[:-1, None] * (1 - step) + values[1:, None] * step
    return between.reshape(-1, values.shape[1])[:length]


def splat(
    field_px: int,
    y_px: NDArray[np.floating],
    x_px: NDArray[np.floating],
    sigma_px: NDArray[np.floating],
    amplitude: NDArray[np.floating],
) -> Field:
    """Add up Gaussian spots.

    Args:
        field_px: Side of the field in pixels.
        y_px: Centres of the spots in pixels, `(spot,)`; they may lie outside the field.
        x_px: The same along x, `(spot,)`.
        sigma_px: Standard deviation of each spot in pixels, `(spot,)`.
        amplitude: Peak of each spot, `(spot,)`.

    Returns:
        The sum of the spots, `(y, x)`; each spot is cut off at three of the largest standard deviations.
    """
    total = np.zeros(field_px * field_px, dtype=np.float32)
    if y_px.size == 0:
        return total.reshape(field_px, field_px)
    reach = int(np.ceil(3 * sigma_px.max()))
    offset = np.arange(-reach, reach + 1)
    rows = np.round(y_px).astype(np.int64)[:, None] + offset
    columns = np.round(x_px).astype(np.int64)[:, None] + offset
    spread = (2 * sigma_px**2)[:, None]
    profile_y = np.exp(-((rows - y_px[:, None]) ** 2) / spread) * amplitude[:, None]
    profile_x = np.exp(-((columns - x_px[:, None]) ** 2) / spread)
    profile_y *= (rows >= 0) & (rows < field_px)
    profile_x *= (columns >= 0) & (columns < field_px)
    index = rows.clip(0, field_px - 1)[:, :, None] * field_px + columns.clip(0, field_px - 1)[:, None, :]
    weights = profile_y[:, :, None] * profile_x[:, None, :]
    total[:] = np.bincount(index.ravel(), weights.ravel(), minlength=total.size)
    return total.reshape(field_px, field_px)


def ramp(values: Field, start: float, stop: float) -> Field:
    """Rise linearly from 0 at `start` to 1 at `stop`, constant outside; `start` may exceed `stop`."""
    return np.clip((values - np.float32(start)) * np.float32(1.0 / (stop - start)), 0.0, 1.0)
