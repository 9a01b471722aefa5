"""Builds TIFF files for the tests: valid ones through tifffile, hostile ones byte by byte."""

import io
import struct
from collections.abc import Mapping, Sequence

import numpy as np
import tifffile
from hypothesis import strategies as st

GRAY = {"photometric": "minisblack"}
VARIANTS: dict[str, dict[str, object]] = {
    "pages": GRAY,
    "pages without metadata": {**GRAY, "metadata": None},
    "planar": {**GRAY, "planarconfig": "separate"},
    "contiguous samples": {**GRAY, "planarconfig": "contig"},
    "ImageJ": {"imagej": True, "metadata": {"axes": "CYX"}},
    "OME": {"ome": True, **GRAY, "metadata": {"axes": "CYX"}},
    "OME planar": {"ome": True, **GRAY, "planarconfig": "separate", "metadata": {"axes": "CYX"}},
    "BigTIFF": {**GRAY, "bigtiff": True},
    "big-endian": {**GRAY, "byteorder": ">"},
    "big-endian BigTIFF planar": {
        **GRAY, "byteorder": ">", "bigtiff": True, "planarconfig": "separate",
    },
    "strips": {**GRAY, "rowsperstrip": 5},
    "tiles": {**GRAY, "tile": (16, 32)},
    "LZW": {**GRAY, "compression": "lzw", "predictor": True},
    "Deflate": {**GRAY, "compression": "zlib", "predictor": True},
    "Deflate big-endian": {**GRAY, "compression": "zlib", "predictor": True, "byteorder": ">"},
    "Zstandard": {**GRAY, "compression": "zstd"},
    "Zstandard tiles planar": {
        **GRAY, "compression": "zstd", "tile": (32, 16), "planarconfig": "separate",
    },
    "LZMA": {**GRAY, "compression": "lzma"},
    "PackBits": {**GRAY, "compression": "packbits"},
}  # fmt: skip
"""Ways to write one stack, as arguments of `tifffile.imwrite`."""


def write(array: np.ndarray, **options: object) -> bytes:
    """Write a stack `(channel, y, x)` the given way."""
    file = io.BytesIO()
    if options.get("planarconfig") == "contig":
        array = np.moveaxis(array, 0, -1)
    tifffile.imwrite(file, array, **options)
    return file.getvalue()


def ome(array: np.ndarray, names: Sequence[str]) -> bytes:
    """Write an OME-TIFF with named channels."""
    return write(
        array, ome=True, photometric="minisblack", metadata={"axes": "CYX", "Channel": {"Name": list(names)}}
    )


def page(entries: Mapping[int, tuple[int, int, int]], following: int = 0) -> bytes:
    """One directory of a little-endian classic TIFF: tag -> (type, count, value or offset)."""
    rows = [struct.pack("<HHII", tag, *entry) for tag, entry in sorted(entries.items())]
    return struct.pack("<H", len(rows)) + b"".join(rows) + struct.pack("<I", following)


def gray_page(
    height: int = 8,
    width: int = 8,
    *,
    data: tuple[int, int] = (8, 64),
    compression: int = 1,
    following: int = 0,
    **more: int,
) -> bytes:
    """A directory of one uint8 page with one strip at `data` (offset, length); `more` as tag_NUMBER=value."""
    entries = {
        256: (4, 1, width), 257: (4, 1, height), 258: (3, 1, 8), 259: (3, 1, compression), 262: (3, 1, 1),
        273: (4, 1, data[0]), 277: (3, 1, 1), 278: (4, 1, height), 279: (4, 1, data[1]),
    }  # fmt: skip
    entries |= {int(name.removeprefix("tag_")): (4, 1, value) for name, value in more.items()}
    return page(entries, following)


def header(first: int) -> bytes:
    """Header of a little-endian classic TIFF whose first directory lies at `first`."""
    return struct.pack("<2sHI", b"II", 42, first)


def one_page(payload: bytes, **arguments: int) -> bytes:
    """A file of one uint8 page whose only strip is `payload`."""
    return header(8 + len(payload)) + payload + gray_page(data=(8, len(payload)), **arguments)


def redescribe(data: bytes, before: bytes, after: bytes) -> bytes:
    """Replace a part of the OME header of a little-endian classic TIFF; the new header goes to the file's end."""
    start, stop = data.index(b"<?xml"), data.index(b"</OME>") + len(b"</OME>")
    header = data[start:stop]
    if before not in header:
        raise ValueError(f"{before!r} is not in the header {header!r}")
    header = header.replace(before, after)
    entry = data.index(struct.pack("<HH", 270, 2))
    return data[: entry + 4] + struct.pack("<II", len(header), len(data)) + data[entry + 12 :] + header


@st.composite
def mutated(draw: st.DrawFn, files: Mapping[str, bytes]) -> bytes:
    """One of the files with up to six numbers changed, mostly in its header, directories and ends."""
    data = bytearray(files[draw(st.sampled_from(sorted(files)))])
    places = st.one_of(
        st.integers(0, min(len(data) - 4, 400)),
        st.integers(0, len(data) - 5),
        st.integers(max(0, len(data) - 400), len(data) - 5),
    )
    for place in draw(st.lists(places, min_size=1, max_size=6)):
        value = draw(st.sampled_from([0, 1, 2, 7, 8, 255, 256, 0x7FFF, 0xFFFF, 2**24, 2**31 - 1, 2**32 - 1]))
        size = draw(st.sampled_from([1, 2, 4]))
        data[place : place + size] = struct.pack("<I", value)[:size]
    return bytes(data)
