"""Reads what a file calls its channels, where that is not OME-XML: ImageJ's labels, and names beside the pages."""

import html
import json
import re
from collections.abc import Iterator, Sequence
from typing import Final, cast

from phenoserve.stack.directory import Directories, TagValue
from phenoserve.stack.errors import DamagedTiffError
from phenoserve.stack.headers import IMAGEJ, descriptions, tag_texts

PLACE: Final = re.compile(r"(?:[czt]:\d+/\d+\s*)+(?:-\s*)?")
"""What Bio-Formats writes before the name of a plane: `c:1/6 z:1/1 - `."""

MARKS: Final = (b"labl", b"lbal")
"""Labels in the metadata's table of contents, in either byte order."""


OF_NAMES: Final = re.compile(r"channel|dye|fluor|label|marker|stain", re.IGNORECASE)
"""Keys in tifffile's metadata under which programs list what the channels are called."""

METAMORPH_NAME: Final = re.compile(r'<prop id="image-name"[^>]*?\bvalue="([^"]*)"')
"""Where MetaMorph's description of a page names its wavelength."""

KEY: Final = re.compile(r"[\w ]{1,32}[=:]\s*")
"""What stands before a value in a description, such as `Channel: `."""

IMAGE_DESCRIPTION, PAGE_NAME, MICROMANAGER = 270, 285, 51123
LONGEST_NAME: Final = 64


def read_page_names(
    directories: Directories, page_of_channel: Sequence[int], num_channels: int
) -> tuple[str, ...] | None:
    """Read the names that stand beside the pages, from the first place that has some.

    The places are tifffile's JSON, Micro-Manager's tag, the tag PageName, and the descriptions of the pages, where
    what all pages say is no name.

    Args:
        directories: The tags of the pages.
        page_of_channel: Index of the page of each channel; of one page where its samples are the channels.
        num_channels: Channels of the stack.

    Returns:
        The name of each channel, empty where it has none; None where no two names differ.

    Raises:
        DamagedTiffError: If tifffile's header names another number of channels.
    """
    if num_channels < 2:
        return None
    listed = [
        names for text in descriptions(directories) for names in _names_in_json(text) if len({*names}) > 1
    ]
    fitting = next((names for names in listed if len(names) == num_channels), None)
    if listed and fitting is None:
        raise DamagedTiffError(
            f"tifffile's header names {len(listed[0])} channels, the file holds {num_channels}. Is it complete?"
        )
    if fitting is not None:
        return fitting
    if len(page_of_channel) != num_channels:
        return None
    pages = [directories.pages[page] for page in page_of_channel]
    for names in (
        [_micromanager_name(page) for page in pages],
        [" ".join(tag_texts(page, PAGE_NAME)) for page in pages],
        _described_names([tag_texts(page, IMAGE_DESCRIPTION) for page in pages]),
    ):
        if len({*filter(None, names)}) > 1:
            return tuple(name[:LONGEST_NAME] for name in names)
    return None


def _names_in_json(text: str) -> Iterator[tuple[str, ...]]:
    """The lists of names in tifffile's metadata: of texts, or of objects or in an object with `Name`."""
    for key, value in _json_object(text).items():
        listed = _name_in(value)
        if OF_NAMES.search(key) and isinstance(listed, list):
            names = [_name_in(entry) for entry in cast("list[object]", listed)]
            yield tuple(name if isinstance(name, str) else "" for name in names)


def _name_in(value: object) -> object:
    """What an object holds as `Name`; a value that is no object as it is."""
    if not isinstance(value, dict):
        return value
    fields = cast("dict[str, object]", value)
    return next((held for key, held in fields.items() if key.casefold() == "name"), None)


def _micromanager_name(page: Sequence[TagValue]) -> str:
    names = [_json_object(text).get("Channel") for text in tag_texts(page, MICROMANAGER)]
    return " ".join(name for name in names if isinstance(name, str))


def _json_object(text: str) -> dict[str, object]:
    try:
        found: object = json.loads(text) if text.startswith("{") else None
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, object]", found) if isinstance(found, dict) else {}


def _described_names(texts: Sequence[Sequence[str]]) -> list[str]:
    """By page the first line of its description that the other pages lack and that holds a letter, without its key."""
    lines = [[line for text in page for line in _values(text)] for page in texts]
    common = set(lines[0]).intersection(*lines)
    return [
        next((line for line in page if line not in common and any(map(str.isalpha, line))), "")
        for page in lines
    ]


def _values(description: str) -> list[str]:
    """What a description says, line by line; nothing where it is a header of what the planes are."""
    if description.startswith("<"):
        return [html.unescape(name) for name in METAMORPH_NAME.findall(description)]
    if description.startswith(("{", "shape=")) or IMAGEJ.search(description):
        return []
    return [KEY.sub("", line.strip(), count=1) for line in description.splitlines()]


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
