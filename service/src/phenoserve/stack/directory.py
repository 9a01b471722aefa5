"""Walks a TIFF's chain of directories before a full reader sees it.

A full reader loads what the tags point to while it walks, so a small file can make it load the same
megabytes thousands of times, follow a chain that bites its own tail, or collect eighty thousand pages. This
walk reads only the directories themselves (TIFF 6.0, section 2; BigTIFF) and refuses such files at once. It keeps the
tags that say what the planes are, as they stand: a full reader drops one that it cannot make sense of, and with it the
word that six planes are six depths.
"""

import struct
from dataclasses import dataclass
from typing import Final

from phenoserve.stack.errors import DamagedTiffError, NotATiffError, StackTooLargeError
from phenoserve.stack.model import StackLimits

MAX_TAGS: Final = 512
"""Entries of one directory; real files have a few dozen."""

MAX_VENDOR_VALUES: Final = 4096
"""Values of a MetaMorph tag (33628 to 33631), which readers walk value by value."""

VENDOR_TAGS: Final = range(33628, 33632)

HEADER_TAGS: Final = {
    254: "NewSubfileType",
    270: "ImageDescription",
    285: "PageName",
    297: "PageNumber",
    338: "ExtraSamples",
    33471: "OlympusINI",
    33628: "UIC1",
    33629: "UIC2",
    33630: "UIC3",
    33631: "UIC4",
    34361: "MM_Header",
    34412: "CZ_LSMINFO",
    43314: "NIHImageHeader",
    51123: "MicroManagerMetadata",
}
"""Tags that say what the planes of a file are, or how many."""

TYPE_SIZES: Final = {
    1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8,
}  # fmt: skip
"""Bytes of one value by field type (TIFF 6.0, page 15; 16 to 18 are BigTIFF's)."""


@dataclass(frozen=True)
class _Format:
    """How classic TIFF or BigTIFF writes its directories."""

    count: struct.Struct
    entry: struct.Struct
    offset: struct.Struct
    first_offset_at: int


@dataclass(frozen=True)
class TagValue:
    """A tag as it stands in the file.

    Attributes:
        code: Which tag it is, one of `HEADER_TAGS`.
        kind: Its field type.
        count: How many values it says it has.
        content: Their bytes, in the file's order.
    """

    code: int
    kind: int
    count: int
    content: bytes


@dataclass(frozen=True)
class Directories:
    """What the chain of directories holds.

    Attributes:
        byte_order: The file's, as `struct` writes it: `<` or `>`.
        pages: The tags of `HEADER_TAGS` of every page, in the order of the chain.
    """

    byte_order: str
    pages: tuple[tuple[TagValue, ...], ...]


def _format(data: bytes | memoryview) -> _Format:
    order = {b"II": "<", b"MM": ">"}.get(bytes(data[:2]))
    version = struct.unpack_from(f"{order}H", data, 2)[0] if order and len(data) >= 8 else None
    if version == 42:
        return _Format(
            struct.Struct(f"{order}H"), struct.Struct(f"{order}HHI4s"), struct.Struct(f"{order}I"), 4
        )
    if version == 43 and data[4:8] == struct.pack(f"{order}HH", 8, 0):
        return _Format(
            struct.Struct(f"{order}Q"), struct.Struct(f"{order}HHQ8s"), struct.Struct(f"{order}Q"), 8
        )
    raise NotATiffError(
        f"The body starts with {bytes(data[:4])!r}, which is no TIFF header. Send the bytes of a TIFF file."
    )


def check_directories(data: bytes | memoryview, limits: StackLimits) -> Directories:
    """Walk the chain of directories and refuse one that no stack needs.

    Args:
        data: The whole file.
        limits: How many pages and bytes of tags are allowed.

    Returns:
        What says what the pages are; of at least one page.

    Raises:
        NotATiffError: If the header is not a TIFF's or BigTIFF's.
        DamagedTiffError: If a directory, or a tag that says what the pages are, lies outside the file, or the chain
            comes back to itself.
        StackTooLargeError: If there are more pages or larger tags than the limits allow.
    """
    layout = _format(data)
    seen: set[int] = set()
    pages: list[tuple[TagValue, ...]] = []
    tag_bytes = 0
    try:
        (offset,) = layout.offset.unpack_from(data, layout.first_offset_at)
        while offset:
            if offset in seen:
                raise DamagedTiffError(
                    f"The chain of pages comes back to the one at byte {offset}: it has no end."
                )
            if len(seen) == limits.max_channels:
                raise StackTooLargeError(
                    f"The TIFF has more than {limits.max_channels} pages. Send one stack: a page a channel."
                )
            seen.add(offset)
            (num_tags,) = layout.count.unpack_from(data, offset)
            if num_tags > MAX_TAGS:
                raise DamagedTiffError(
                    f"Page {len(seen)} claims {num_tags} tags; no TIFF has more than {MAX_TAGS}."
                )
            start = offset + layout.count.size
            stop = start + num_tags * layout.entry.size
            entries = [*layout.entry.iter_unpack(data[start:stop])]
            tag_bytes += sum(_value_bytes(len(data), *entry) for entry in entries)
            if tag_bytes > limits.max_tag_bytes:
                raise StackTooLargeError(
                    f"The TIFF's tags hold over {limits.max_tag_bytes} bytes. Save it without metadata."
                )
            pages.append(
                tuple(_tag_value(layout, data, *entry) for entry in entries if entry[0] in HEADER_TAGS)
            )
            (offset,) = layout.offset.unpack_from(data, stop)
    except (struct.error, OverflowError) as error:
        raise DamagedTiffError(
            f"Page {len(seen)} lies outside the {len(data)} bytes that arrived. Is the file complete?"
        ) from error
    if not pages:
        raise DamagedTiffError("The TIFF has no page.")
    return Directories(layout.offset.format[0], tuple(pages))


def _value_bytes(num_bytes: int, tag: int, kind: int, count: int, value: bytes) -> int:
    """Bytes that an entry keeps elsewhere in a file of so many; what cannot lie there is never loaded."""
    if tag in VENDOR_TAGS and count > MAX_VENDOR_VALUES:
        raise StackTooLargeError(f"Tag {tag} holds {count} values; at most {MAX_VENDOR_VALUES} are read.")
    size = count * TYPE_SIZES.get(kind, 0)
    return size if len(value) < size <= num_bytes else 0


def _tag_value(
    layout: _Format, data: bytes | memoryview, tag: int, kind: int, count: int, value: bytes
) -> TagValue:
    """A tag that says what the pages are; without it they would be taken for what they are not."""
    size = count * TYPE_SIZES.get(kind, 0)
    if size <= len(value):
        return TagValue(tag, kind, count, value[:size])
    (offset,) = layout.offset.unpack(value)
    if offset + size > len(data):
        raise DamagedTiffError(
            f"The tag {HEADER_TAGS[tag]} ({tag}) lies at bytes {offset} to {offset + size} of {len(data)}, and what it"
            " says of the pages is lost. Is the file complete?"
        )
    return TagValue(tag, kind, count, bytes(data[offset : offset + size]))
