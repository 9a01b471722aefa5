"""What may be passed as a stack, and the TIFF that it becomes."""

import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, cast

import numpy as np
from jaxtyping import Shaped

from phenoclient.errors import StackArgumentError
from phenoclient.images import PIXEL_TYPES, channel_of, is_png, is_tiff, read_bytes, read_channel, tiff_of

FilePath: TypeAlias = str | PathLike[str]
StackArgument: TypeAlias = (
    bytes
    | bytearray
    | memoryview
    | BinaryIO
    | FilePath
    | Sequence[FilePath]
    | Sequence[Shaped[np.ndarray, "..."]]
    | Shaped[np.ndarray, "..."]
)
"""Bytes of a TIFF, a file of them, its path, the paths of its channels one a file, or an array `(channel, y, x)`."""

_EXPECTED = (
    "Expected the bytes of a TIFF, a binary file, a path, a list of paths of single-channel files, or an array "
    "(channel, y, x)."
)
_READING_ERRORS = (OSError, ValueError, EOFError, RuntimeError, TypeError, zlib.error, zipfile.BadZipFile)
_LONGEST_PATH = 4096
_WORD, _NUMBER = re.compile(r"[^\W_]+"), re.compile(r"\d+")


def stack_tiff(stack: object) -> bytes:
    """The TIFF to send for a stack.

    Args:
        stack: A `StackArgument`: a TIFF as bytes, as a binary file (read from where it stands, and left open) or as
            a path, sent as it is (any of them may also be a PNG, a stack of one channel); or an iterable of paths of
            single-channel files (TIFF or PNG, told by content), in channel order unless their names are the bundle's
            stains, by which the service then orders them; or an array `(channel, y, x)` of
            uint8, uint16 or float32, or what NumPy makes one of, or an iterable of its channels `(y, x)`.

    Raises:
        StackArgumentError: If it is nothing of these, if a file cannot be read or is not one channel, if the
            channels differ in size or pixel type, or if the array is not such a stack or has masked pixels.
    """
    kind = type(stack).__name__
    if isinstance(stack, bytes | bytearray | memoryview):
        return _tiff_of_bytes(bytes(cast("bytes", stack)), "the bytes")
    if isinstance(stack, str | PathLike):
        return _tiff_of_file(_path(cast("object", stack)))
    if _is_array(stack):
        return _tiff_of_array(_array(stack))
    if callable(getattr(stack, "read", None)):
        return _tiff_of_bytes(_content(stack), "the file")
    if isinstance(stack, Iterable) and not isinstance(stack, Mapping | AbstractSet):
        return _tiff_of_items(list(cast("Iterable[object]", stack)))
    raise StackArgumentError(f"A stack of type {kind}. {_EXPECTED}")


def _tiff_of_bytes(data: bytes, name: str) -> bytes:
    if is_png(data):
        return tiff_of(channel_of(data, name)[np.newaxis])
    if is_tiff(data):
        return data
    begins = repr(data[:40])
    if 0 < len(data) <= _LONGEST_PATH and data.isascii() and data.decode("ascii").isprintable():
        raise StackArgumentError(
            f"{name} {begins} are no TIFF, and look like a path. Expected a path as str or Path: decode it with "
            "os.fsdecode."
        )
    if not data:
        raise StackArgumentError(
            f"{name} hold nothing. {_EXPECTED} A file is read from where it stands: seek(0) reads it again."
        )
    raise StackArgumentError(f"{name} begin with {begins}, which is neither a TIFF nor a PNG. {_EXPECTED}")


def _tiff_of_file(path: Path) -> bytes:
    data = read_bytes(path)
    if not data:
        raise StackArgumentError(f"{path}: holds nothing. Expected a TIFF or a PNG: copy it again.")
    return _tiff_of_files([path]) if is_png(data) else data


def _path(path: object) -> Path:
    try:
        return Path(cast("FilePath", path))
    except TypeError as error:  # a PathLike of bytes
        raise StackArgumentError(f"{path!r}: {error}. Expected a path as str or Path.") from error


def _content(file: Any) -> bytes:
    """What is left in a binary file."""
    try:
        content: object = file.read()
    except _READING_ERRORS as error:
        raise StackArgumentError(
            f"The file passed as a stack cannot be read ({error}). Expected a binary file open for reading."
        ) from error
    if isinstance(content, bytes | bytearray | memoryview):
        return bytes(cast("bytes", content))
    raise StackArgumentError(
        f"The file passed as a stack gives {type(content).__name__}. Expected bytes: open it with mode 'rb'."
    )


def _is_array(value: object) -> bool:
    return any(hasattr(value, name) for name in ("__array__", "__array_interface__"))


def _array(value: object) -> Shaped[np.ndarray, "..."]:
    """An array, or what NumPy makes one of."""
    try:
        array = np.asanyarray(value)
    except _READING_ERRORS as error:
        raise StackArgumentError(
            f"No array can be made of {type(value).__name__} ({error}). {_EXPECTED}"
        ) from error
    num_masked = (
        int(np.ma.getmaskarray(cast("Any", array)).sum()) if isinstance(array, np.ma.MaskedArray) else 0
    )
    if num_masked:
        raise StackArgumentError(
            f"A masked array, of which {num_masked} pixels are masked. Expected a value for every pixel: fill them "
            "with filled()."
        )
    return np.asarray(array)


def _tiff_of_array(stack: Shaped[np.ndarray, "..."]) -> bytes:
    if stack.ndim != 3 or 0 in stack.shape:
        raise StackArgumentError(
            f"Array of shape {stack.shape}. Expected (channel, y, x), none of them 0: add or move axes."
        )
    if stack.dtype.name not in PIXEL_TYPES:
        raise StackArgumentError(
            f"Array of dtype {stack.dtype.name}. Expected {', '.join(PIXEL_TYPES)}: convert it with astype."
        )
    return tiff_of(stack)


def _tiff_of_items(items: list[object]) -> bytes:
    if not items:
        raise StackArgumentError("No files. Expected the files of a stack's channels, one channel each.")
    if all(isinstance(item, str | PathLike) for item in items):
        return _tiff_of_files([_path(item) for item in items])
    if all(_is_array(item) for item in items):
        channels = [_array(item) for item in items]
        for channel in channels:
            if channel.ndim != 2:
                raise StackArgumentError(
                    f"A channel of shape {channel.shape}. Expected (y, x): one array a channel."
                )
        return _tiff_of_array(_stacked(channels, [f"channel {index}" for index in range(1, len(items) + 1)]))
    kinds = ", ".join(sorted({type(item).__name__ for item in items}))
    raise StackArgumentError(
        f"A sequence of {kinds}. Expected paths alone or arrays (y, x) alone. {_EXPECTED}"
    )


def _tiff_of_files(paths: list[Path]) -> bytes:
    channels = _stacked([read_channel(path) for path in paths], [str(path) for path in paths])
    return tiff_of(channels, _channel_names(paths))


def _channel_names(paths: Sequence[Path]) -> list[str]:
    """What tells the files of a stack's channels apart, for the service to read as stains; blank for mere counters.

    Of `B02_w1_WGA.tif` beside `B02_w2_ConA.tif` that is `WGA`: what all have in common goes, then what differs in its
    number alone, as long as something is left.
    """
    words = [_WORD.findall(str(path.with_suffix(""))) for path in paths]
    words = _without_ends(words, least=0, key=str)
    words = _without_ends(words, least=1, key=_without_numbers)
    names = [" ".join(of_file) for of_file in words]
    forms = {_without_numbers(name) for name in names}
    are_counters = len(forms) == 1 and forms.pop().count("0") > 1
    return [""] * len(names) if are_counters else names


def _without_ends(words: list[list[str]], *, least: int, key: Callable[[str], str]) -> list[list[str]]:
    """Words without those at either end of which all lists hold one kind, down to so many words."""
    for end in (0, -1):
        while (
            all(len(of_file) > least for of_file in words)
            and len({key(of_file[end]) for of_file in words}) == 1
        ):
            words = [of_file[1:] if end == 0 else of_file[:-1] for of_file in words]
    return words


def _without_numbers(word: str) -> str:
    return _NUMBER.sub("0", word)


def _stacked(
    channels: Sequence[Shaped[np.ndarray, "..."]], names: Sequence[str]
) -> Shaped[np.ndarray, "channel y x"]:
    first = channels[0]
    for name, channel in zip(names, channels, strict=True):
        if (channel.shape, channel.dtype) != (first.shape, first.dtype):
            raise StackArgumentError(
                f"{name}: is {_described(channel)}, but {names[0]} is {_described(first)}. Expected channels "
                "of one field, of the same size and pixel type."
            )
    return np.stack(channels)


def _described(channel: Shaped[np.ndarray, "..."]) -> str:
    height, width = channel.shape
    return f"{width} x {height} px {channel.dtype.name}"
