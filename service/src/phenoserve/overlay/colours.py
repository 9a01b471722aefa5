"""Turns pixels and heatmap values into colours that stay apart for colour-blind readers."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from cmap import Colormap
from jaxtyping import Float32, UInt8
from numpy.typing import NDArray
from PIL import Image

STAIN_COLOURS: Final = (
    (86, 180, 233),
    (204, 121, 167),
    (0, 158, 115),
    (230, 159, 0),
    (213, 94, 0),
    (0, 114, 178),
    (240, 228, 66),
    (160, 160, 160),
    (136, 34, 85),
    (68, 170, 153),
    (153, 153, 51),
    (136, 130, 222),
)
"""Colours of the stains in the composite, in order and then from the start again: Okabe and Ito's palette,
then others of its kind. The first are the least like the heatmap's colours; six together are nearly grey."""

MAX_OPACITY: Final = 0.6
"""Opacity of the greatest value of a heatmap: cells stay visible below it."""

_CONTRAST_PERCENTILES: Final = (0.5, 99.7)
_MAP_COLOURS: Final = np.asarray(Colormap("inferno").lut(256)[:, :3] * 255, dtype=np.float32)


def resize(plane: NDArray[np.generic], width: int, height: int) -> Float32[np.ndarray, "y x"]:
    """Resize one channel to `height` by `width`: averaged where it shrinks, bilinear where it grows."""
    image = Image.fromarray(np.ascontiguousarray(plane, dtype=np.float32))
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR), dtype=np.float32)


def stretch(plane: Float32[np.ndarray, "y x"]) -> Float32[np.ndarray, "y x"]:
    """Stretch intensities between the 0.5th and 99.7th percentile to 0 and 1; a flat channel becomes 0."""
    wide = plane.astype(np.float64)
    low, high = np.percentile(wide, _CONTRAST_PERCENTILES)
    if high <= low:
        low, high = wide.min(), wide.max()
    if high <= low:
        return np.zeros(plane.shape, np.float32)
    return np.clip((wide - low) / (high - low), 0, 1).astype(np.float32)


def grey(stretched: Float32[np.ndarray, "y x"]) -> Float32[np.ndarray, "y x 3"]:
    """Return stretched intensities as grey levels from 0 to 255."""
    return np.repeat(255 * stretched[..., np.newaxis], 3, axis=-1)


def stain_colour(index: int) -> tuple[int, int, int]:
    """Return the colour of the stain at `index` in the composite, 0 to 255."""
    return STAIN_COLOURS[index % len(STAIN_COLOURS)]


def composite(stretched: Sequence[Float32[np.ndarray, "y x"]]) -> Float32[np.ndarray, "y x 3"]:
    """Add the stains, each in its colour, and scale the sum so that many of them do not turn all white."""
    total = np.zeros((*stretched[0].shape, 3), np.float32)
    for index, plane in enumerate(stretched):
        total += plane[..., np.newaxis] * np.asarray(stain_colour(index), np.float32)
    return np.clip(total / max(1.0, len(stretched) / 2), 0, 255)


def blend(
    picture: Float32[np.ndarray, "y x 3"], heat: Float32[np.ndarray, "y x"]
) -> UInt8[np.ndarray, "y x 3"]:
    """Lay heat over a picture, more opaque where there is more of it.

    Args:
        picture: Colours from 0 to 255, `(y, x, 3)`.
        heat: Heatmap over its greatest value, from 0 (nothing is laid over) to 1, `(y, x)`.

    Returns:
        The picture below the colours of the map inferno, `(y, x, 3)`.
    """
    colours = _MAP_COLOURS[np.rint(heat * (len(_MAP_COLOURS) - 1)).astype(np.intp)]
    opacity = (MAX_OPACITY * heat)[..., np.newaxis]
    return np.rint(picture + opacity * (colours - picture)).astype(np.uint8)
