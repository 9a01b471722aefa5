"""Single-channel image files in, multi-page TIFF out. Nothing else in the client imports tifffile."""

import io
import math
import struct
import zlib
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from jaxtyping import Float32, Shaped

from phenoclient.errors import StackArgumentError
from phenoclient.headers import is_composite, stated_planes

PIXEL_TYPES = ("uint8", "uint16", "float32")

_TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_COLOUR_TYPE_OFFSET = 25  # in IHDR, which is always the first chunk
_PNG_GREY = b"\0"
_UIC2 = 33629  # MetaMorph's tag of a value a plane
_DESCRIPTION, _PAGE_NAME = 270, 285
_LEVEL = 257  # one level of 8 bits in a palette of 16; some programs write 256
_DARKEST = 64 * _LEVEL  # of the brightest colour of a ramp
_ALPHA = (tifffile.EXTRASAMPLE.ASSOCALPHA, tifffile.EXTRASAMPLE.UNASSALPHA)
_ALPHA_OBJECTION = (
    "holds opacity (an alpha sample) beside its intensities, which is no stain. Expected one channel (y, x) a file: "
    "export it without transparency."
)
_DECODING_ERRORS = (
    ValueError,  # TiffFileError among them
    RuntimeError,  # the errors of imagecodecs
    ArithmeticError,
    LookupError,
    TypeError,
    OSError,
    MemoryError,
    struct.error,
    zlib.error,
)


def is_png(data: bytes) -> bool:
    """Whether bytes start as a PNG does."""
    return data.startswith(_PNG_SIGNATURE)


def is_tiff(data: bytes) -> bool:
    """Whether bytes start as a TIFF or BigTIFF does."""
    return data.startswith(_TIFF_SIGNATURES)


def holds_one_channel(path: Path) -> bool:
    """Whether a file is one grey image: a PNG of one sample, or a TIFF of one page and one sample.

    Raises:
        StackArgumentError: If the file cannot be read, or is neither a PNG nor a TIFF.
    """
    data = read_bytes(path)
    if is_png(data):
        return data[_PNG_COLOUR_TYPE_OFFSET : _PNG_COLOUR_TYPE_OFFSET + 1] == _PNG_GREY
    if not is_tiff(data):
        raise _not_an_image(str(path))
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as tiff:
            return len(tiff.pages) == 1 and len(_page_shape(tiff)) == 2
    except _DECODING_ERRORS as error:
        raise _undecodable(str(path), error) from error


def read_channel(path: Path) -> Shaped[np.ndarray, "y x"]:
    """One channel out of a file that holds just one; read by its content, whatever its name ends in.

    Args:
        path: A PNG, or a TIFF of one page in any compression that imagecodecs reads.

    Returns:
        uint8, uint16 or float32, `(y, x)`.

    Raises:
        StackArgumentError: If the file cannot be read, is of another format, holds more than one channel or says
            that it does, or has another pixel type.
    """
    return channel_of(read_bytes(path), str(path))


def read_planes(path: Path, num_channels: int) -> Shaped[np.ndarray, "channel y x"]:
    """The channels of a whole stack that the service has read already, in the order of the file, for a picture of it.

    Args:
        path: A TIFF of several pages, samples or ImageJ's planes, or a file that `read_channel` reads.
        num_channels: How many channels the service found in it.

    Raises:
        StackArgumentError: If the file cannot be read or holds another number of channels.
    """
    data = read_bytes(path)
    if num_channels == 1 and is_png(data):
        return channel_of(data, str(path))[np.newaxis]
    if not is_tiff(data):
        raise _not_an_image(str(path))
    try:
        with tifffile.TiffFile(io.BytesIO(data), _multifile=False) as tiff:
            series: Any = tiff.series[0]
            planes: Any = (
                np.stack([np.squeeze(one.asarray()) for one in tiff.series]) if len(tiff.series) > 1 else None
            )
            planes = series.asarray() if planes is None else planes
            is_last = len(tiff.series) == 1 and series.axes.endswith("S")
    except _DECODING_ERRORS as error:
        raise _undecodable(str(path), error) from error
    planes = np.moveaxis(planes, -1, 0) if is_last else planes
    planes = planes.reshape(-1, *planes.shape[-2:])
    if len(planes) != num_channels:
        raise StackArgumentError(
            f"{path}: holds {len(planes)} planes. Expected {num_channels}, as the service found: restore the file."
        )
    return planes


def channel_of(data: bytes, name: str) -> Shaped[np.ndarray, "y x"]:
    """The channel in the content of a file, as `read_channel`.

    Args:
        data: The content.
        name: What to call it in messages.
    """
    if is_png(data):
        image = _decode_png(name, data)
    elif is_tiff(data):
        image = _decode_tiff(name, data)
    else:
        raise _not_an_image(name)
    if image.ndim != 2:
        raise StackArgumentError(
            f"{name}: holds an image of shape {image.shape}. Expected one channel (y, x) a file."
        )
    if image.dtype.name not in PIXEL_TYPES:
        raise StackArgumentError(
            f"{name}: has pixels of type {image.dtype.name}. Expected {', '.join(PIXEL_TYPES)}: convert the "
            "file."
        )
    return image


def read_bytes(path: Path) -> bytes:
    """The content of a file.

    Raises:
        StackArgumentError: If it cannot be read.
    """
    try:
        return path.read_bytes()
    except IsADirectoryError as error:
        raise StackArgumentError(f"{path}: is a folder. Expected a file: pass the files in it.") from error
    except (OSError, ValueError, MemoryError) as error:  # ValueError: no file can have such a name
        reason = getattr(error, "strerror", None) or str(error) or "it does not fit into memory"
        raise StackArgumentError(f"{path}: cannot be read ({reason}).") from error


def tiff_of(stack: Shaped[np.ndarray, "channel y x"], names: Sequence[str] = ()) -> bytes:
    """An uncompressed TIFF of one page a channel.

    Args:
        stack: uint8, uint16 or float32, `(channel, y, x)`.
        names: Name of each channel, written as its page's name (the tag PageName) where it is not blank; or none.
    """
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for channel, name in zip_longest(stack, names, fillvalue=""):
            tags = [(_PAGE_NAME, 2, 0, name.encode(errors="replace"), True)] if name else []
            writer.write(channel, photometric="minisblack", metadata=None, contiguous=False, extratags=tags)
    return file.getvalue()


def map_of(tiff: bytes) -> Float32[np.ndarray, "y x"]:
    """The float32 map `(y, x)` in a TIFF of one page.

    Raises:
        ValueError: If it is not one.
    """
    try:
        with tifffile.TiffFile(io.BytesIO(tiff)) as file:
            image: Any = file.pages[0].asarray()
    except _DECODING_ERRORS as error:
        raise ValueError(f"not a readable TIFF ({error})") from error
    if image.ndim != 2 or image.dtype != np.float32:
        raise ValueError(f"a TIFF of {image.dtype} {image.shape}, not of float32 (y, x)")
    return image


def _decode_png(name: str, data: bytes) -> Shaped[np.ndarray, "..."]:
    try:
        image: Any = imagecodecs.png_decode(data)
    except _DECODING_ERRORS as error:
        raise _undecodable(name, error) from error
    if image.ndim == 3 and image.shape[-1] in {2, 4}:
        raise StackArgumentError(f"{name}: {_ALPHA_OBJECTION}")
    return image


def _decode_tiff(name: str, data: bytes) -> Shaped[np.ndarray, "y x"]:
    try:
        with tifffile.TiffFile(io.BytesIO(data), _multifile=False) as tiff:
            objection = _objection(tiff)
            if objection is None:
                return _decode_page(tiff, len(data))
    except _DECODING_ERRORS as error:
        raise _undecodable(name, error) from error
    raise StackArgumentError(f"{name}: {objection}")


def _objection(tiff: tifffile.TiffFile) -> str | None:
    """Why a TIFF cannot be one channel, to be read after the file's name; None where it can."""
    if len(tiff.pages) != 1:
        return (
            f"is a TIFF of {len(tiff.pages)} pages. Expected one channel a file: pass a file that is a whole "
            "stack by itself, as one path."
        )
    shape = _page_shape(tiff)
    page: Any = tiff.pages[0]
    if any(sample in _ALPHA for sample in page.extrasamples):
        return _ALPHA_OBJECTION
    if len(shape) != 2:
        return f"holds an image of shape {shape}. Expected one channel (y, x) a file."
    if page.photometric != tifffile.PHOTOMETRIC.MINISBLACK and not _only_shows_intensities(page):
        name = tifffile.PHOTOMETRIC(page.photometric).name
        return (
            f"is a TIFF of photometric interpretation {name}. Expected MINISBLACK, where larger is brighter: "
            "convert the file."
        )
    statement = _more_planes(tiff)
    if statement is not None:
        return (
            f"{statement}, but the file holds one page. Expected one channel a file, and a page a plane: export "
            "the plane again, by itself."
        )
    return None


def _more_planes(tiff: tifffile.TiffFile) -> str | None:
    """The words of a header that states more planes than the one page of a file; None where none does.

    A header of companion files describes them all: for a file of one channel its page decides.
    """
    page: Any = tiff.pages[0]
    height, width = _page_shape(tiff)
    texts = [_as_text(tag.value) for tag in page.tags.getall(_DESCRIPTION, ())]
    stated = [stated_planes(text, height=height, width=width) for text in texts]
    for one in filter(None, stated):
        if one.num_planes > 1:
            return one.words
    if _UIC2 in page.tags and page.tags[_UIC2].count > 1:
        return f"MetaMorph's tags state {page.tags[_UIC2].count} planes"
    if any(stated):
        return None
    # Private tags of other programs, as far as tifffile knows them.
    for series in tiff.series:
        if math.prod(series.shape) > height * width:
            return f"the {series.kind} header states {dict(zip(series.axes, series.shape, strict=True))}"
    return None


def _as_text(description: object) -> str:
    return description.decode("utf-8", "replace") if isinstance(description, bytes) else str(description)


def _only_shows_intensities(page: Any) -> bool:
    """Whether a palette is a lookup table that intensities are shown in, and no colours of an image.

    It runs from black to one colour in even steps, or ImageJ's header says that the planes are channels.
    `tests/cases/palettes.json` holds this and the service's reader to the same cases.
    """
    palette: Any = page.colormap if page.photometric == tifffile.PHOTOMETRIC.PALETTE else None
    if palette is None or palette.shape != (3, 256):
        return False
    texts = [_as_text(tag.value) for tag in page.tags.getall(_DESCRIPTION, ())]
    if any(is_composite(text) for text in texts):
        return True
    colours = palette.astype(np.float64)
    brightest = colours[:, -1:]
    evenly = brightest * np.linspace(0, 1, 256)
    return bool(brightest.max() >= _DARKEST and (np.abs(colours - evenly) <= _LEVEL).all())


def _decode_page(tiff: tifffile.TiffFile, num_bytes: int) -> Shaped[np.ndarray, "y x"]:
    """Decodes the first page; ValueError when a part is missing, which tifffile would fill with zeros."""
    page: Any = tiff.pages[0]
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    is_whole = all(0 < offset < offset + size <= num_bytes for offset, size in segments)
    if not is_whole or len(segments) != math.prod(page.chunked):
        raise ValueError("a part of the image is missing")
    return page.asarray().reshape(_page_shape(tiff))


def _page_shape(tiff: tifffile.TiffFile) -> tuple[int, ...]:
    """Shape of the first page without its axes of length 1, except y and x."""
    page: Any = tiff.pages[0]
    separate, depth, length, width, samples = page.shaped
    others = tuple(int(size) for size in (separate, depth, samples) if size != 1)
    return (*others, int(length), int(width))


def _not_an_image(name: str) -> StackArgumentError:
    return StackArgumentError(f"{name}: is neither a TIFF nor a PNG. Expected the file of one channel.")


def _undecodable(name: str, error: Exception) -> StackArgumentError:
    return StackArgumentError(f"{name}: cannot be decoded ({error}). Expected a whole TIFF or PNG.")
