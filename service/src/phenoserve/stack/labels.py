"""Reads the labels that ImageJ gives the planes of a stack (ij.io.TiffDecoder, `labl` of IJMetadata)."""

import re
from typing import Final, cast

from phenoserve.stack.errors import DamagedTiffError

PLACE: Final = re.compile(r"(?:[czt]:\d+/\d+\s*)+(?:-\s*)?")
"""What Bio-Formats writes before the name of a plane: `c:1/6 z:1/1 - `."""

MARKS: Final = (b"labl", b"lbal")
"""Labels in the metadata's table of contents, in either byte order."""


def read_labels(metadata: object, num_channels: int) -> tuple[str, ...] | None:
    """Read the labels of a stack's channels.

    Args:
        metadata: The value of the tag IJMetadata of the first page: a dictionary, bytes where that cannot be taken
            apart, None where there is none.
        num_channels: Channels of the stack.

    Returns:
        The first line of each channel's label, empty where it has none; None where no channel has one.

    Raises:
        DamagedTiffError: If there are labels that cannot be read, or more of them than channels.
    """
    if isinstance(metadata, bytes) and any(mark in metadata[:800] for mark in MARKS):
        raise DamagedTiffError(
            "ImageJ's labels cannot be read, so what the channels are called is not known. Save the file again in Fiji."
        )
    found: object = cast("dict[str, object]", metadata).get("Labels") if isinstance(metadata, dict) else None
    labels = [found] if isinstance(found, str) else cast("list[object]", found or [])
    names = [PLACE.sub("", str(label).strip("\0 ").partition("\n")[0]).strip() for label in labels]
    if not any(names) or len(names) == 1 < num_channels:
        return None
    if len(names) > num_channels:
        raise DamagedTiffError(
            f"ImageJ's header labels {len(names)} planes, the file holds {num_channels} channels. Is it complete?"
        )
    return (*names, *[""] * (num_channels - len(names)))
