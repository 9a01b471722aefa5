"""Reads the stack `(channel, y, x)` out of the bytes of a TIFF, guarded against hostile files."""

from phenoserve.stack.errors import (
    DamagedTiffError,
    NonFinitePixelsError,
    NotATiffError,
    StackError,
    StackTooLargeError,
    UnsupportedCodecError,
    UnsupportedLayoutError,
    UnsupportedPixelsError,
)
from phenoserve.stack.model import STACK_DTYPES, Stack, StackLimits
from phenoserve.stack.tiff import read_page, read_stack

__all__ = [
    "STACK_DTYPES",
    "DamagedTiffError",
    "NonFinitePixelsError",
    "NotATiffError",
    "Stack",
    "StackError",
    "StackLimits",
    "StackTooLargeError",
    "UnsupportedCodecError",
    "UnsupportedLayoutError",
    "UnsupportedPixelsError",
    "read_page",
    "read_stack",
]
