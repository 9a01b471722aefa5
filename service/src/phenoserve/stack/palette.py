"""Tells a lookup table that only shows intensities from a palette whose colours are the image.

A TIFF of indexed colours looks the same in both cases: pixels of 8 bits, and a table of colours. ImageJ writes one
whenever a channel of 8 bits is shown in another colour than grey, for a composite that of the channel last looked at
(ij.io.TiffEncoder, `photoInterp`), and other programs write one for plain grey. The pixels are then intensities.
"""

from typing import Final

import numpy as np
from jaxtyping import UInt16

NUM_LEVELS: Final = 256
LEVEL: Final = 257
"""One level of 8 bits as a table of 16 bits writes it; some programs write 256."""

DARKEST: Final = 64 * LEVEL
"""What the brightest entry of a ramp is at least, or every dark palette would be one."""


def is_ramp(palette: UInt16[np.ndarray, "colour index"]) -> bool:
    """Whether a palette of 8 bits runs from black to one colour in even steps, so that an index is an intensity.

    Args:
        palette: Red, green and blue of every index.
    """
    if palette.shape != (3, NUM_LEVELS):
        return False
    colours = palette.astype(np.float64)
    brightest = colours[:, -1:]
    evenly = brightest * np.linspace(0, 1, NUM_LEVELS)
    return bool(brightest.max() >= DARKEST and (np.abs(colours - evenly) <= LEVEL).all())
