"""Reads what the headers of a TIFF state about its planes: every program's own, wherever it wrote them.

A page a channel is what a stack looks like, and also a series in depth or time. What tells them apart is what the
program that wrote the file left beside the pixels, and no two use the same place:

* ImageJ and SCIFIO      lines `slices=6` in a description (ij.io.FileInfo, io.scif.formats.TIFFFormat), and whoever
                         writes `images=6` as they do
* tifffile               `{"shape": [6, 64, 72], "axes": "ZYX"}` in a description, earlier `shape=(6, 64, 72)`
* MetaMorph              the number of values of its tags UIC2 to UIC4, one a plane
* FluoView, Zeiss LSM, NIH Image, Olympus SIS    sizes in a structure in a tag
* Micro-Manager          JSON in a tag of each page, and a summary at the head of the file
* TIFF itself            the tag PageNumber, whose second number is that of all pages

OME-XML is in `ome.py`.
"""

import json
import math
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from phenoserve.stack.directory import Directories, TagValue
from phenoserve.stack.errors import DamagedTiffError

CHANNEL_AXES: Final = frozenset("CSQI")
"""Axes whose planes may be channels: channel, sample, and the two letters for an axis without a meaning."""

IMAGEJ: Final = re.compile(r"^(?:(ImageJ|SCIFIO)=|images=\d)", re.MULTILINE)
COMPOSITE: Final = re.compile(r"^mode=(composite|color|grayscale)\s*$", re.MULTILINE)
"""What ImageJ's header says of channels that each have a lookup table of their own (ij.CompositeImage)."""
OLD_SHAPE: Final = re.compile(r"shape=\(([\d, ]+)\)")
FLUOVIEW_AXES: Final[dict[str, str]] = {"CH": "C", "WAVELENGTH": "C", "TIME": "T"}
SIS_AXES: Final[dict[str, str]] = {"Band": "C", "Time": "T"}
SCIFIO_AXES: Final = frozenset({"X", "Y", "Z", "Channel", "Time"})
"""Axes of SCIFIO's that it also states as `channels`, `slices` and `frames`."""

RATIONAL: Final = 5
FLUOVIEW_DIMENSIONS_AT, FLUOVIEW_DIMENSION, NUM_FLUOVIEW_DIMENSIONS = 284, 100, 10
"""Where FluoView's header lists its axes, how many bytes each takes, and how many there are.

An axis is a name of 16 bytes, a size of 4, and more."""

NIH_SLICES_AT: Final = 260
MICROMANAGER_SUMMARY_AT, MICROMANAGER_SUMMARY = 32, 2355492
MICROMANAGER_INDICES: Final = {
    "SliceIndex": "Z", "Slice": "Z", "FrameIndex": "T", "Frame": "T", "PositionIndex": "position",
}  # fmt: skip
UTF_16: Final = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"<\0": "utf-16-le", b"\0<\0": "utf-16-be"}
"""How a description in UTF-16 begins."""

BLANK: Final = "\0 \t\r\n\ufeff"


@dataclass(frozen=True)
class Header:
    """What one header states about the planes of its file.

    Attributes:
        source: Whose header it is, to begin a sentence with.
        axes: `(axis, size)` of every axis but y and x.
        num_planes: Number of planes where the header states it apart from the axes.
    """

    source: str
    axes: tuple[tuple[str, int], ...]
    num_planes: int | None = None

    @property
    def counts(self) -> set[int]:
        """Every number of planes that the header states."""
        stated = {math.prod(size for _, size in self.axes)}
        return stated if self.num_planes is None else stated | {self.num_planes}


def descriptions(directories: Directories) -> list[str]:
    """Every text that describes an image, of any page, each once and without blanks around it."""
    return [*dict.fromkeys(text for page in directories.pages for text in tag_texts(page, 270))]


def is_composite(texts: Sequence[str]) -> bool:
    """Whether ImageJ's header says that the planes are channels, which a lookup table only shows in a colour."""
    return any(IMAGEJ.search(text) and COMPOSITE.search(text) for text in texts)


def tag_texts(page: Sequence[TagValue], code: int) -> list[str]:
    """The texts that a tag of one page holds, without blanks around them and without empty ones."""
    texts = (_text(tag.content) for tag in page if tag.code == code)
    parts = (part.strip(BLANK) for text in texts for part in text.split("\0"))
    return [part for part in parts if part]


def read_headers(
    data: bytes | memoryview, directories: Directories, field_px: tuple[int, int]
) -> list[Header]:
    """Read what each header of a file, other than OME-XML, states.

    Args:
        data: The whole file.
        directories: The tags of its pages.
        field_px: Height and width of a page.

    Raises:
        DamagedTiffError: If a header is recognised and cannot be read.
    """
    read = [_read_description(text, field_px) for text in descriptions(directories)]
    tags = [_read_tag(tag, directories.byte_order) for page in directories.pages for tag in page]
    summaries = [_micromanager_summary(data, directories.byte_order), _micromanager_pages(directories.pages)]
    return [*dict.fromkeys(header for header in [*read, *tags, *summaries] if header is not None)]


def _text(content: bytes) -> str:
    encoding = next((encoding for start, encoding in UTF_16.items() if content.startswith(start)), None)
    if encoding is not None:
        whole = len(content) // 2 * 2  # a single zero byte may end it
        return content[:whole].decode(encoding, "replace").strip(BLANK)
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def _read_description(text: str, field_px: tuple[int, int]) -> Header | None:
    found = IMAGEJ.search(text)
    if found is not None:
        return _read_imagej(text[found.start() :] if found[1] else text, found[1])
    if text.startswith("shape="):
        shape = OLD_SHAPE.match(text)
        if shape is None:
            raise _unreadable("tifffile's header", text)
        return _read_shape([int(size) for size in shape[1].split(",") if size.strip()], None, field_px)
    if text.startswith("{") and '"shape":' in text:
        return _read_tifffile(text, field_px)
    return None


def _read_imagej(text: str, program: str | None) -> Header:
    fields = {
        key.strip(): value.strip() for key, _, value in (line.partition("=") for line in text.splitlines())
    }
    source = f"{program}'s header" if program else "A header of ImageJ's form"

    def count(name: str) -> int:
        value = fields.get(name, "1")
        if not (value.isascii() and value.isdigit()):
            raise _unreadable(source, f"{name}={value}")
        return int(value)

    channels, images = count("channels"), count("images")
    named = zip(fields.get("axes", "").split(","), fields.get("lengths", "").split(","), strict=False)
    sizes = {axis: int(size) for axis, size in named if size.isdecimal()}
    axes = [
        ("Z", max(count("slices"), sizes.get("Z", 1))),
        ("T", max(count("frames"), sizes.get("Time", 1))),
        ("C", max(channels, sizes.get("Channel", 1))),
        *((axis, size) for axis, size in sizes.items() if axis not in SCIFIO_AXES),
    ]
    num_stated = math.prod(size for _, size in axes)
    if "channels" in fields and num_stated > 0 and images > num_stated:
        axes.append(("another axis", images // num_stated))
    return Header(source, tuple(axes), images)


def _read_tifffile(text: str, field_px: tuple[int, int]) -> Header | None:
    try:
        header: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _unreadable("tifffile's header", text) from error
    shape = cast("dict[str, object]", header).get("shape")
    if not isinstance(shape, list):
        return None  # another program's word, of something else
    sizes = cast("list[object]", shape)
    if not all(isinstance(size, int) for size in sizes):
        raise _unreadable("tifffile's header", text)
    axes = cast("dict[str, object]", header).get("axes")
    return _read_shape(cast("list[int]", sizes), axes if isinstance(axes, str) else None, field_px)


def _read_shape(shape: Sequence[int], axes: str | None, field_px: tuple[int, int]) -> Header:
    source = "tifffile's header"
    if axes is not None and len(axes) == len(shape):
        return Header(
            source,
            tuple((axis, size) for axis, size in zip(axes.upper(), shape, strict=True) if axis not in "YX"),
        )
    if tuple(shape[-2:]) == field_px:
        planes = [*shape[:-2]]
    elif tuple(shape[-3:-1]) == field_px:
        planes = [*shape[:-3], *shape[-1:]]
    else:
        planes = [size for size in shape if size != 1][:-2]
    return Header(source, tuple(("Q", size) for size in planes))


def _read_tag(tag: TagValue, byte_order: str) -> Header | None:
    """What a private tag states; the numbers in it are read from where its program puts them."""
    try:
        match tag.code:
            case 33628 if tag.kind == RATIONAL:  # before MetaMorph 2.5
                return Header("MetaMorph's tag UIC1", (("planes", tag.count),))
            case 33629 | 33630 | 33631:
                return Header(f"MetaMorph's tag UIC{tag.code - 33627}", (("planes", tag.count),))
            case 34361:
                return Header("FluoView's header", tuple(_fluoview_axes(tag.content, byte_order)))
            case 34412:
                depth, channels, times = struct.unpack_from(f"{byte_order}3i", tag.content, 16)
                return Header("Zeiss's LSM header", (("Z", depth), ("T", times), ("C", channels)))
            case 43314:
                (slices,) = struct.unpack_from(f"{byte_order}h", tag.content, NIH_SLICES_AT)
                return Header("NIH Image's header", (("slices", max(1, slices)),))
            case 33471:
                return Header("Olympus's header", tuple(_sis_axes(_text(tag.content))))
            case _:
                return None
    except struct.error as error:
        raise _unreadable(f"The header in tag {tag.code}", f"{len(tag.content)} bytes") from error


def _fluoview_axes(content: bytes, byte_order: str) -> Iterator[tuple[str, int]]:
    for index in range(NUM_FLUOVIEW_DIMENSIONS):
        at = FLUOVIEW_DIMENSIONS_AT + index * FLUOVIEW_DIMENSION
        written, size = struct.unpack_from(f"{byte_order}16si", content, at)
        name = bytes(written).partition(b"\0")[0].decode("latin-1").strip().upper()
        if name and name not in {"X", "Y"}:
            yield FLUOVIEW_AXES.get(name, name), size


def _sis_axes(text: str) -> Iterator[tuple[str, int]]:
    section = text.partition("[Dimension]")[2].partition("[")[0]
    for line in section.splitlines():
        written, _, size = (part.strip() for part in line.partition("="))
        if size.isdecimal():
            yield SIS_AXES.get(written, written), int(size)


def _micromanager_summary(data: bytes | memoryview, byte_order: str) -> Header | None:
    """What Micro-Manager's summary at the head of a file states."""
    if len(data) < MICROMANAGER_SUMMARY_AT + 8:
        return None
    magic, size = struct.unpack_from(f"{byte_order}2I", data, MICROMANAGER_SUMMARY_AT)
    if magic != MICROMANAGER_SUMMARY:
        return None
    start = MICROMANAGER_SUMMARY_AT + 8
    summary = _json_object(bytes(data[start : start + size]), "Micro-Manager's summary")
    axes = {"Slices": "Z", "Frames": "T", "Channels": "C"}
    return Header(
        "Micro-Manager's summary",
        tuple(
            (axis, size)
            for name, axis in axes.items()
            if isinstance(size := summary.get(name), int) and size > 0
        ),
    )


def _micromanager_pages(pages: Sequence[Sequence[TagValue]]) -> Header | None:
    """What Micro-Manager says of each page apart: how many depths, times and positions there are among them."""
    tags = [tag.content for page in pages for tag in page if tag.code == 51123]
    told = [_json_object(content, "Micro-Manager's tag") for content in tags]
    places = {name: {str(page[name]) for page in told if name in page} for name in MICROMANAGER_INDICES}
    axes = {MICROMANAGER_INDICES[name]: len(found) for name, found in places.items() if len(found) > 1}
    return Header("Micro-Manager's tags", tuple(axes.items())) if axes else None


def _json_object(content: bytes, source: str) -> Mapping[str, object]:
    try:
        found: object = json.loads(_text(content).strip(BLANK))
    except (ValueError, RecursionError) as error:
        raise _unreadable(source, f"{len(content)} bytes") from error
    return cast("dict[str, object]", found) if isinstance(found, dict) else {}


def _unreadable(source: str, found: str) -> DamagedTiffError:
    return DamagedTiffError(
        f"{source} cannot be read ({found[:80]!r}), so what the pages are is not known. Save the file anew, a page a"
        " channel."
    )
