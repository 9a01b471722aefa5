"""What a stack is, and how large one may be."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

STACK_DTYPES: Final = ("uint8", "uint16", "float32")
"""Data types a stack may have, as numpy writes them."""


@dataclass(frozen=True)
class Stack:
    """One field of view as it stands in its file.

    Attributes:
        array: Intensities `(channel, y, x)` in the file's data type (uint8, uint16, float32), native order.
        channel_names: Names of the channels in the order of `array`, from an OME header, empty where one has none;
            None where the file names none.
        labels: Likewise, from ImageJ's labels.
        page_names: Likewise, from what stands beside the pages (tifffile's JSON, Micro-Manager's tags, PageName, a
            description a page).
        is_picture: Whether the file says that its samples are the red, green and blue of a colour picture.
    """

    array: NDArray[np.generic]
    channel_names: tuple[str, ...] | None = None
    labels: tuple[str, ...] | None = None
    page_names: tuple[str, ...] | None = None
    is_picture: bool = False


@dataclass(frozen=True)
class StackLimits:
    """What a TIFF may ask for before any pixel is decoded.

    Attributes:
        max_decoded_bytes: Bytes of all decoded strips and tiles together, in the file's data type.
        max_field_px: Pixels of one channel, height times width.
        max_channels: Pages, or samples of one page.
        max_segments: Strips and tiles of all pages together.
        max_tag_bytes: Bytes of all tag values that lie outside their directory entry, over all pages.
    """

    max_decoded_bytes: int = 256 * 2**20
    max_field_px: int = 100_000_000
    max_channels: int = 64
    max_segments: int = 100_000
    max_tag_bytes: int = 16 * 2**20
