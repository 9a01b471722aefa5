"""Reads the stack `(channel, y, x)` out of the bytes of a TIFF, guarded against hostile files."""

from phenoserve.stack.errors import (
    AmbiguousChannelsError,
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
from phenoserve.stack.notices import Notice, NoticeCode, find_notices
from phenoserve.stack.order import FileOrder, find_order
from phenoserve.stack.stain_names import StainMatch, match_stains
from phenoserve.stack.tiff import read_page, read_stack

__all__ = [
    "STACK_DTYPES",
    "AmbiguousChannelsError",
    "DamagedTiffError",
    "FileOrder",
    "NonFinitePixelsError",
    "NotATiffError",
    "Notice",
    "NoticeCode",
    "Stack",
    "StackError",
    "StackLimits",
    "StackTooLargeError",
    "StainMatch",
    "UnsupportedCodecError",
    "UnsupportedLayoutError",
    "UnsupportedPixelsError",
    "find_notices",
    "find_order",
    "match_stains",
    "read_page",
    "read_stack",
]
