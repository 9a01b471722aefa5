"""Palette TIFFs that are grey after all.

Some programs save grey images with a palette that maps every index to its own grey (BBBC013 is such a set).
The indices are then the intensities, and calling the image grey in its header makes it an ordinary one.
TIFF 6.0, sections 2 and 5: tag 262 is the colour space (1 grey, 3 palette), tag 320 the palette as all reds,
all greens, all blues in 16 bits.
"""

import struct
from typing import NamedTuple

import numpy as np

_PHOTOMETRIC, _COLOR_MAP = 262, 320
_GREY, _PALETTE = 1, 3
_NUM_COLOURS = 256
_ENTRY_SIZE = 12


class _Entry(NamedTuple):
    at: int
    num_values: int
    value: int


def relabel_grey_palette(data: bytes) -> bytes:
    """Call a palette TIFF grey where its 8-bit palette is the plain grey ramp.

    Args:
        data: Whole content of a TIFF file.

    Returns:
        The content with the colour space of its first page set to grey; the very same content where the page
        is not a palette image, its palette is another, or the header cannot be followed.
    """
    order = "<" if data[:2] == b"II" else ">"
    try:
        entries = _first_directory(data, order)
        photometric = entries.get(_PHOTOMETRIC)
        palette = entries.get(_COLOR_MAP)
        if photometric is None or palette is None or palette.num_values != 3 * _NUM_COLOURS:
            return data
        (colour_space,) = struct.unpack_from(f"{order}H", data, photometric.at + 8)
        reds_greens_blues = np.frombuffer(data, f"{order}u2", palette.num_values, palette.value)
    except (struct.error, ValueError):
        return data
    ramp = np.arange(_NUM_COLOURS)
    colours = reds_greens_blues.reshape(3, _NUM_COLOURS)
    # Programs scale 255 to 65535 (times 257) or to 65280 (times 256).
    if colour_space != _PALETTE or not any((colours == ramp * scale).all() for scale in (257, 256)):
        return data
    relabelled = bytearray(data)
    struct.pack_into(f"{order}H", relabelled, photometric.at + 8, _GREY)
    return bytes(relabelled)


def _first_directory(data: bytes, order: str) -> dict[int, _Entry]:
    version, at = struct.unpack_from(f"{order}HI", data, 2)
    if version != 42:  # a BigTIFF is laid out otherwise
        return {}
    (num_entries,) = struct.unpack_from(f"{order}H", data, at)
    entries: dict[int, _Entry] = {}
    for index in range(num_entries):
        start = at + 2 + index * _ENTRY_SIZE
        tag, _, count, value = struct.unpack_from(f"{order}HHII", data, start)
        entries[tag] = _Entry(start, count, value)
    return entries
