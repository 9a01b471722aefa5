"""One image file, of a channel or of a whole stack: told by its first bytes, never by its name."""

import struct
from collections.abc import Callable, Sequence

import imagecodecs
import numpy as np
import numpy.typing as npt

from phenoserve.stack import (
    AmbiguousChannelsError,
    StackError,
    StackLimits,
    find_order,
    read_page,
    read_stack,
)
from phenotrain.plates.errors import ImageError

Pixels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16] | npt.NDArray[np.float32]

SUPPORTED_DTYPES = ("uint8", "uint16", "float32")

_TIFF_MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PNG_GREY = 0
_PNG_COLOUR_NAMES = {2: "RGB", 3: "palette colour", 4: "grey with alpha", 6: "RGB with alpha"}
_FOREIGN = {
    b"\x00\x05\x16\x07": "a companion file of macOS (._NAME)",
    b"\xff\xd8\xff": "JPEG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"PK\x03\x04": "zip archive",
    b"\x1f\x8b": "gzip",
}


def decode_image(data: bytes) -> npt.NDArray[np.generic]:
    """Decode one single-channel image, whatever its file was called.

    Args:
        data: Whole content of a PNG, TIFF or JPEG-2000 file.

    Returns:
        Pixels `(y, x)` in the file's own depth: uint8, uint16 or float32.

    Raises:
        ImageError: If the content is of no known format, damaged, has more than one sample a pixel or more
            than one page, is of another depth, or holds values that are not finite.
    """
    pixels = _decoder_for(data)(data)
    if pixels.ndim != 2:
        raise ImageError(f"has the shape {pixels.shape}; expected one channel, (y, x)")
    if pixels.dtype.name not in SUPPORTED_DTYPES:
        raise ImageError(f"has {pixels.dtype.name} pixels; expected {', '.join(SUPPORTED_DTYPES)}")
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise ImageError("holds pixels that are not finite; expected numbers only")
    return pixels


def decode_stack(data: bytes, stains: Sequence[str]) -> npt.NDArray[np.generic]:
    """Decode one file that holds the whole stack of a site, as the service reads and orders it.

    Args:
        data: Whole content of a TIFF file; of any format that `decode_image` reads where there is one stain.
        stains: The stains of its channels; in another order where the file names its channels so.

    Returns:
        Pixels `(channel, y, x)` in the order of `stains`, in the file's own depth: uint8, uint16 or float32.

    Raises:
        ImageError: If the content is no stack of so many channels, or its names contradict the order of the stains
            without telling another.
    """
    if not data.startswith(_TIFF_MAGICS):
        return _require_stains(decode_image(data)[np.newaxis], stains)
    try:
        stack = read_stack(data, _limits(stains))
        _require_stains(stack.array, stains)
        order = find_order(stack, stains).stains
    except AmbiguousChannelsError as error:
        raise ImageError(
            f"leaves open which stain each channel shows: {error.found} Name the stains in [images] channels as the"
            " file does, or save the file without names."
        ) from error
    except StackError as error:
        raise ImageError(f"is an unusable TIFF: {error}") from error
    return stack.array if order == tuple(stains) else stack.array[[order.index(stain) for stain in stains]]


def unmatched_names(data: bytes, stains: Sequence[str]) -> tuple[str, ...]:
    """Read what a stack's file calls its channels where the names are not all stains, so that the listed order holds.

    Args:
        data: Content that `decode_stack` takes.
        stains: The stains of its channels.

    Returns:
        A name of each channel, empty where it has none; none at all where the file names none, or tells the order.
    """
    if not data.startswith(_TIFF_MAGICS):
        return ()
    unmatched = find_order(read_stack(data, _limits(stains)), stains).unmatched
    return unmatched[0][0] if unmatched else ()


def _limits(stains: Sequence[str]) -> StackLimits:
    """A stack may be as large as its channels would be in files of their own."""
    return StackLimits(max_decoded_bytes=StackLimits.max_decoded_bytes * len(stains))


def _require_stains(stack: npt.NDArray[np.generic], stains: Sequence[str]) -> npt.NDArray[np.generic]:
    if len(stack) != len(stains):
        raise ImageError(
            f"holds {len(stack)} channel(s); expected {len(stains)}, as [images] channels names them:"
            f" {', '.join(stains)}"
        )
    return stack


def _decoder_for(data: bytes) -> Callable[[bytes], npt.NDArray[np.generic]]:
    for magics, decoder in _DECODERS:
        if data.startswith(magics):
            return decoder
    if not data:
        raise ImageError("is empty")
    name = next((name for magic, name in _FOREIGN.items() if data.startswith(magic)), None)
    found = name or f"content that starts with {data[:8].hex(' ')}"
    raise ImageError(f"is {found}; expected PNG, TIFF or JPEG-2000")


def _decode_png(data: bytes) -> npt.NDArray[np.generic]:
    try:
        depth, colour = struct.unpack_from(">BB", data, 24)
    except struct.error as error:
        raise ImageError("is a PNG cut off in its header") from error
    if colour != _PNG_GREY:
        raise ImageError(
            f"is a PNG in {_PNG_COLOUR_NAMES.get(colour, 'unknown colour')}; expected grey, one sample"
        )
    if depth not in (8, 16):
        raise ImageError(f"is a PNG of {depth} bits; expected 8 or 16")
    if b"acTL" in data[: data.find(b"IDAT")]:
        raise ImageError("is an animated PNG, which holds several frames; expected one")
    return _decode("PNG", imagecodecs.png_decode, data)


def _decode_jpeg2000(data: bytes) -> npt.NDArray[np.generic]:
    return _decode("JPEG-2000", imagecodecs.jpeg2k_decode, data)


def _decode_tiff(data: bytes) -> npt.NDArray[np.generic]:
    try:
        return read_page(data)
    except StackError as error:
        raise ImageError(f"is an unusable TIFF: {error}") from error


def _decode(
    name: str, decoder: Callable[[bytes], npt.NDArray[np.generic]], data: bytes
) -> npt.NDArray[np.generic]:
    try:
        return decoder(data)
    except (RuntimeError, ValueError, MemoryError) as error:  # imagecodecs' errors are RuntimeErrors
        raise ImageError(f"is a damaged {name}: {error}") from error


_DECODERS: tuple[tuple[tuple[bytes, ...], Callable[[bytes], npt.NDArray[np.generic]]], ...] = (
    ((b"\x89PNG\r\n\x1a\n",), _decode_png),
    (_TIFF_MAGICS, _decode_tiff),
    ((b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"), _decode_jpeg2000),
)
