"""Reads a stack from the bytes of a TIFF that a stranger sent: the only file that imports tifffile.

What is kept away from strangers, and how:

* files named inside an upload (OME's `UUID FileName`): bytes only, pages only, no `_multifile`, no `.series`;
* long or endless chains of pages, tags that load the file again and again: `directory.py`, before tifffile;
* declared sizes: shape, type and decoded size of every page are checked before one is decoded;
* segments that inflate without end: only codecs whose decoder stops at the declared size, all imagecodecs';
* more threads than the caller has: `maxworkers=1`.
"""

import math
import struct
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import IO, Final, cast

import numpy as np
from numpy.typing import NDArray
from tifffile import COMPRESSION, EXTRASAMPLE, PHOTOMETRIC, TiffFile, TiffPage

from phenoserve.stack.bytes_file import BytesFile
from phenoserve.stack.directory import Directories, check_directories
from phenoserve.stack.errors import (
    DamagedTiffError,
    NonFinitePixelsError,
    StackTooLargeError,
    UnsupportedCodecError,
    UnsupportedLayoutError,
    UnsupportedPixelsError,
)
from phenoserve.stack.headers import descriptions, is_composite, read_headers
from phenoserve.stack.labels import read_labels, read_page_names
from phenoserve.stack.layout import Layout, plan_layout
from phenoserve.stack.model import STACK_DTYPES, Stack, StackLimits
from phenoserve.stack.ome import parse_ome
from phenoserve.stack.palette import is_ramp

READ_CODECS: Final = {
    COMPRESSION.NONE: "none",
    COMPRESSION.LZW: "LZW",
    COMPRESSION.ADOBE_DEFLATE: "Deflate",
    COMPRESSION.DEFLATE: "Deflate",
    COMPRESSION.PACKBITS: "PackBits",
    COMPRESSION.LZMA: "LZMA",
    COMPRESSION.ZSTD: "Zstandard",
    34926: "Zstandard",  # its number before it was registered
}
"""Lossless codecs whose decoder takes the size to stop at; JPEG, WebP and such take it from the data."""

PAGE_NUMBER: Final = 297
IMAGEJ_METADATA: Final = 50839

READ_PREDICTORS: Final = (1, 2, 3)
"""None, horizontal, floating point (TIFF 6.0, section 14; TIFF technical note 3)."""

OPACITIES: Final[dict[int, str]] = {
    EXTRASAMPLE.ASSOCALPHA: "associated",
    EXTRASAMPLE.UNASSALPHA: "unassociated",
}
"""Extra samples that tell how opaque a pixel is (TIFF 6.0, ExtraSamples)."""

NO_CHANNEL: Final = {0b001: "an image of reduced resolution", 0b100: "a transparency mask"}
"""What a page is instead of a channel, by the bits of NewSubfileType (TIFF 6.0)."""

READ_PHOTOMETRICS: Final = (PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.RGB)

DECODER_ERRORS: Final = (
    ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError, OSError,
    RuntimeError, TypeError, ValueError, struct.error,
)  # fmt: skip
"""What tifffile and imagecodecs raise on damaged files.

tifffile checks little of what it reads, so a wrong tag surfaces wherever it is first used: as a division by
zero, a comparison of bytes with int, a missing key. imagecodecs' errors are RuntimeErrors. The list was
gathered from files made by fuzzers and from mutated valid ones; the code under it only drives these two.
"""


@contextmanager
def _decoder_errors() -> Generator[None]:
    """Turn whatever the decoder stumbles over into the one documented error."""
    try:
        with np.errstate(all="ignore"):  # numbers out of a damaged header overflow as they please
            yield
    except DECODER_ERRORS as error:
        reason = str(error).partition("\n")[0][:200]
        raise DamagedTiffError(f"The TIFF does not decode: {reason or type(error).__name__}.") from error


@contextmanager
def _open(data: bytes | memoryview) -> Generator[TiffFile]:
    """Open bytes without the formats whose special treatment in tifffile loads or invents pages."""
    # tifffile's objects refer to one another and to the file until a full collection of garbage.
    with (
        BytesFile(data) as file,
        TiffFile(
            cast("IO[bytes]", file), _multifile=False, is_lsm=False, is_scanimage=False, is_ndpi=False
        ) as tiff,
    ):
        yield tiff


def read_stack(data: bytes | memoryview, limits: StackLimits | None = None) -> Stack:
    """Read one stack from the bytes of a TIFF.

    Args:
        data: A whole TIFF or BigTIFF file: a page a channel, or one page whose samples (planar or contiguous)
            are the channels; plain, ImageJ hyperstack or OME.
        limits: What the file may ask for; the defaults of `StackLimits` where None.

    Returns:
        The stack `(channel, y, x)` in the file's data type, and what the file calls its channels.

    Raises:
        StackError: One of its kinds, in every case where the bytes are no usable stack.
    """
    return _read(data, limits or StackLimits(), is_channel_file=False)


def read_page(data: bytes | memoryview, limits: StackLimits | None = None) -> NDArray[np.generic]:
    """Read a TIFF that holds one channel.

    Microscopes write the OME-XML of a whole site, or of all of them, into each of its files. Where that names several
    files, the page decides what this one holds.

    Args:
        data: A whole TIFF file of one page with one sample.
        limits: As for `read_stack`.

    Returns:
        The image `(y, x)` in the file's data type.

    Raises:
        StackError: If it is no usable TIFF, or holds or states more than one channel.
    """
    array = _read(data, limits or StackLimits(), is_channel_file=True).array
    if array.shape[0] != 1:
        raise UnsupportedLayoutError(f"Found {array.shape[0]} channels; expected a file of one channel.")
    return array[0]


def _read(data: bytes | memoryview, limits: StackLimits, *, is_channel_file: bool) -> Stack:
    directories = check_directories(data, limits)
    num_pages = len(directories.pages)
    with _decoder_errors(), _open(data) as tiff:
        pages = [cast("TiffPage", page) for page in islice(tiff.pages, num_pages)]
        if len(pages) != num_pages:
            raise DamagedTiffError(f"The TIFF lists {num_pages} pages, but only {len(pages)} can be read.")
        texts = descriptions(directories)
        _check_pages(pages, len(data), limits, is_composite=is_composite(texts))
        if not is_channel_file:
            _check_page_numbers(directories)
        first = pages[0]
        omes = [parse_ome(text) for text in texts]
        layout = plan_layout(
            num_pages,
            int(first.samplesperpixel),
            read_headers(data, directories, (first.imagelength, first.imagewidth)),
            [ome for ome in omes if ome is not None],
            is_channel_file=is_channel_file,
        )
        labels = read_labels(first.tags.valueof(IMAGEJ_METADATA), layout.num_channels)
        page_names = read_page_names(directories, layout.page_of_channel, layout.num_channels)
        array = _decode(pages, layout)
    if array.dtype == np.float32 and not np.isfinite(array).all():
        bad = int(np.count_nonzero(~np.isfinite(array)))
        raise NonFinitePixelsError(
            f"{bad} of {array.size} pixels are NaN or infinite. Replace them before sending."
        )
    is_picture = first.photometric == PHOTOMETRIC.RGB
    return Stack(array, layout.channel_names, labels, page_names, is_picture=is_picture)


def _check_page_numbers(directories: Directories) -> None:
    """Refuse pages of a document of which others are missing, or that stand in another order (TIFF 6.0, PageNumber)."""
    num_pages = len(directories.pages)
    tags = [tag for page in directories.pages for tag in page if tag.code == PAGE_NUMBER]
    numbers = [struct.unpack_from(f"{directories.byte_order}2H", tag.content) for tag in tags]
    places = [place for place, _ in numbers]
    if len({*places}) == num_pages and places != sorted(places):
        raise UnsupportedLayoutError(
            f"By the tag PageNumber the pages stand in the order {', '.join(map(str, places))}; expected ascending"
            " numbers, as two orders of the channels are one too many. Save it again, a page a channel."
        )
    for _, stated in numbers:
        if stated > num_pages:
            raise UnsupportedLayoutError(
                f"The tag PageNumber says {stated} pages, the file holds {num_pages}; expected all of them. Is the file"
                " complete? Save it again, a page a channel."
            )


def _check_pages(
    pages: Sequence[TiffPage], num_bytes: int, limits: StackLimits, *, is_composite: bool
) -> None:
    """Refuse, before decoding, what is not decoded or would decode to too much."""
    decoded_bytes = num_segments = 0
    for index, page in enumerate(pages):
        where = f"page {index + 1} of {len(pages)}"
        _check_coding(page, where, is_composite=is_composite)
        if (page.shaped, page.dtype) != (pages[0].shaped, pages[0].dtype):
            raise UnsupportedLayoutError(
                f"Found {_describe(page)} on {where} and {_describe(pages[0])} on the first; expected"
                " pages of one shape and type."
            )
        if page.imagedepth != 1 or 0 in page.shaped or page.samplesperpixel > limits.max_channels:
            raise UnsupportedLayoutError(
                f"Found {_describe(page)} on {where}; expected a field of y by x pixels."
            )
        if page.imagelength * page.imagewidth > limits.max_field_px:
            raise StackTooLargeError(
                f"Found {_describe(page)} on {where}; a field may have {limits.max_field_px} pixels. Send a part"
                " of it, or raise the service's limit."
            )
        chunks = math.prod(page.chunked)
        num_segments += chunks
        decoded_bytes += chunks * math.prod(page.chunks) * np.dtype(page.dtype).itemsize
        if decoded_bytes > limits.max_decoded_bytes:
            raise StackTooLargeError(
                f"Decoded, the stack would hold more than {limits.max_decoded_bytes} bytes ({_describe(page)}"
                f" on {where}). Send a smaller field, or raise the service's limit."
            )
        if num_segments > limits.max_segments:
            raise StackTooLargeError(
                f"The TIFF has more than {limits.max_segments} strips or tiles. Save it with larger ones."
            )
        _check_segments(page, chunks, num_bytes, where)


def _check_coding(page: TiffPage, where: str, *, is_composite: bool) -> None:
    """Refuse codecs, predictors, data types and colour spaces that are not read."""
    if page.compression not in READ_CODECS:
        codec = getattr(page.compression, "name", None) or f"number {page.compression}"
        known = ", ".join(dict.fromkeys(READ_CODECS.values()))
        raise UnsupportedCodecError(
            f"Compressed with {codec} ({where}); read are {known}. Save it with one of these, all lossless."
        )
    if page.predictor not in READ_PREDICTORS:
        raise UnsupportedCodecError(
            f"Predictor {page.predictor} ({where}) is not read; use none, horizontal or floating point."
        )
    if str(page.dtype) not in STACK_DTYPES or page.bitspersample != np.dtype(page.dtype).itemsize * 8:
        raise UnsupportedPixelsError(
            f"Found {_describe(page)} ({page.bitspersample} bits a sample) on {where}; expected"
            f" {', '.join(STACK_DTYPES)}."
        )
    if page.photometric == PHOTOMETRIC.PALETTE:
        if not is_composite and (page.colormap is None or not is_ramp(page.colormap)):
            raise UnsupportedPixelsError(
                f"Found indexed colours (PALETTE) on {where}, of a palette that is no ramp from black to one colour;"
                " expected intensities (MINISBLACK). If it only shows them, save them in grey (in Fiji: Image > Lookup"
                " Tables > Grays)."
            )
    elif page.photometric not in READ_PHOTOMETRICS:
        raise UnsupportedPixelsError(
            f"Found colour space {getattr(page.photometric, 'name', page.photometric)} on {where}; expected"
            " intensities (MINISBLACK), not inverted, not a colour model."
        )
    opacity = next((OPACITIES[sample] for sample in page.extrasamples if sample in OPACITIES), None)
    if opacity is not None:
        raise UnsupportedPixelsError(
            f"Found {page.samplesperpixel} samples on {where}, of which one is opacity ({opacity} alpha, tag"
            " ExtraSamples) and no stain; expected intensities alone. Save it without an alpha channel."
        )
    role = next((name for bit, name in NO_CHANNEL.items() if int(page.subfiletype) & bit), None)
    if role is not None:
        raise UnsupportedLayoutError(
            f"By its tag NewSubfileType {where} is {role}, and no channel. Save the file again without it."
        )


def _check_segments(page: TiffPage, num_segments: int, num_bytes: int, where: str) -> None:
    """Refuse a page whose strips or tiles are not all in the file."""
    if page.is_contiguous:
        return  # read as one block, whose length tifffile checks
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    if len(segments) != num_segments:
        raise DamagedTiffError(
            f"Found {len(segments)} strips or tiles on {where}; its size asks for {num_segments}."
        )
    for offset, count in segments:
        if offset <= 0 or count <= 0 or offset + count > num_bytes:
            raise DamagedTiffError(
                f"A strip or tile on {where} lies at bytes {offset} to {offset + count} of {num_bytes}."
            )


def _describe(page: TiffPage) -> str:
    return f"{page.dtype or 'an unknown type'} {'x'.join(str(size) for size in page.shape)}"


def _decode(pages: Sequence[TiffPage], layout: Layout) -> NDArray[np.generic]:
    """Decode checked pages into one `(channel, y, x)` array in native byte order."""
    if layout.samples > 1:
        samples = pages[0].asarray(maxworkers=1, squeeze=False)
        separate, _, height, width, contiguous = samples.shape
        planes = samples.reshape(separate, height, width, contiguous).transpose(0, 3, 1, 2)
        array = planes.reshape(layout.num_channels, height, width)
        return np.ascontiguousarray(array, array.dtype.newbyteorder("="))
    first = pages[0]
    array = np.empty((layout.num_channels, first.imagelength, first.imagewidth), first.dtype)
    for channel, page in enumerate(layout.page_of_channel):
        pages[page].asarray(maxworkers=1, out=array[channel])
    return array
