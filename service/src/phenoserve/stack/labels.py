"""Reads what a file calls its channels, where that is not OME-XML: ImageJ's labels, and names beside the pages."""

import json
import re
from typing import Final, cast

from phenoserve.stack.directory import Directories
from phenoserve.stack.errors import DamagedTiffError
from phenoserve.stack.headers import descriptions, tag_texts

PLACE: Final = re.compile(r"(?:[czt]:\d+/\d+\s*)+(?:-\s*)?")
"""What Bio-Formats writes before the name of a plane: `c:1/6 z:1/1 - `."""

MARKS: Final = (b"labl", b"lbal")
"""Labels in the metadata's table of contents, in either byte order."""


JSON_NAMES: Final = ("Labels", "channel_names", "ChannelNames")
"""Keys under which programs that write tifffile's metadata list names, beside `Channel: {Name: [...]}`."""

IMAGE_DESCRIPTION, PAGE_NAME = 270, 285
LONGEST_NAME: Final = 64


def read_page_names(directories: Directories, num_channels: int) -> tuple[str, ...] | None:
    """Read the names that stand beside the pages: in tifffile's JSON, the tag PageName, or a description a page.

    Args:
        directories: The tags of the pages.
        num_channels: Channels of the stack.

    Returns:
        The name of each channel; None where there are none, or one channel.

    Raises:
        DamagedTiffError: If tifffile's header names another number of channels.
    """
    if num_channels < 2:
        return None
    for text in descriptions(directories):
        names = _names_in_json(text)
        if names and len(names) != num_channels:
            raise DamagedTiffError(
                f"tifffile's header names {len(names)} channels, the file holds {num_channels}. Is it complete?"
            )
        if names:
            return names
    for code in (PAGE_NAME, IMAGE_DESCRIPTION):
        texts = [tag_texts(page, code) for page in directories.pages]
        names = tuple(found[0] for found in texts if len(found) == 1)
        is_name = [
            0 < len(name) <= LONGEST_NAME and "\n" not in name and name[0] not in "{<" for name in names
        ]
        if len(set(names)) == num_channels == len(texts) and all(is_name):
            return names
    return None


def _names_in_json(text: str) -> tuple[str, ...]:
    try:
        header: object = json.loads(text) if text.startswith("{") else None
    except (ValueError, RecursionError):
        return ()
    if not isinstance(header, dict):
        return ()
    fields = cast("dict[str, object]", header)
    channel = fields.get("Channel")
    listed = [cast("dict[str, object]", channel).get("Name")] if isinstance(channel, dict) else []
    for names in (*listed, *(fields.get(key) for key in JSON_NAMES)):
        if isinstance(names, list) and any(isinstance(name, str) for name in cast("list[object]", names)):
            return tuple(name if isinstance(name, str) else "" for name in cast("list[object]", names))
    return ()


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
