"""What may be passed as a stack, and the TIFF that it becomes."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import Shaped

from phenoclient.errors import StackArgumentError
from phenoclient.images import PIXEL_TYPES, is_png, read_bytes, read_channel, tiff_of

FilePath: TypeAlias = str | PathLike[str]
StackArgument: TypeAlias = bytes | FilePath | Sequence[FilePath] | Shaped[np.ndarray, "..."]
"""Bytes of a TIFF, its path, the paths of its channels one a file, or an array `(channel, y, x)`"""


def stack_tiff(stack: StackArgument) -> bytes:
    """The TIFF to send for a stack.

    Args:
        stack: A TIFF as bytes or as a path, sent as it is (a path may also be a PNG's, a stack of one
            channel); or a sequence of paths of single-channel files (TIFF or PNG, told by content), in
            channel order; or an array `(channel, y, x)` of uint8, uint16 or float32.

    Raises:
        StackArgumentError: If a file cannot be read or is not one channel, if the files differ in size or
            pixel type, or if the array is not such a stack.
    """
    if isinstance(stack, bytes):
        return stack
    if isinstance(stack, str | PathLike):
        return _tiff_of_file(Path(stack))
    if isinstance(stack, np.ndarray):
        return _tiff_of_array(stack)
    return _tiff_of_files([Path(path) for path in stack])


def _tiff_of_file(path: Path) -> bytes:
    data = read_bytes(path)
    return _tiff_of_files([path]) if is_png(data) else data


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


def _tiff_of_files(paths: list[Path]) -> bytes:
    if not paths:
        raise StackArgumentError("No files. Expected the files of a stack's channels, one channel each.")
    channels = [read_channel(path) for path in paths]
    first = channels[0]
    for path, channel in zip(paths[1:], channels[1:], strict=True):
        if (channel.shape, channel.dtype) != (first.shape, first.dtype):
            raise StackArgumentError(
                f"{path}: is {_described(channel)}, but {paths[0]} is {_described(first)}. Expected channels "
                "of one field, of the same size and pixel type."
            )
    return tiff_of(np.stack(channels))


def _described(channel: Shaped[np.ndarray, "y x"]) -> str:
    height, width = channel.shape
    return f"{width} x {height} px {channel.dtype.name}"
