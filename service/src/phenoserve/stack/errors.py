"""Why bytes are not a usable stack.

* StackError
  - NotATiffError             415  the bytes do not start as a TIFF does
  - UnsupportedCodecError     415  compressed with something that is not read; the message names it
  - DamagedTiffError          422  a TIFF whose structure or data is broken
  - UnsupportedPixelsError    422  a data type, bit depth or colour space that is no intensity
  - UnsupportedLayoutError    422  Z, time, several images, mixed pages: not one stack of channels
  - AmbiguousChannelsError    422  names of channels that contradict the bundle's order and do not tell another
  - NonFinitePixelsError      422  NaN or infinity among float pixels
  - StackTooLargeError        413  more pages, pixels or segments than the limits allow
"""

from typing import Final

from phenoserve.errors import ErrorCode, ServiceError

SAY_WHICH: Final = (
    "Say which stain each channel of the file is: ?channels= with the bundle's stains in the order of the file's"
    " channels."
)
"""What a request can do about channels that do not tell their stains."""


class StackError(ServiceError):
    """The bytes cannot be read as one stack `(channel, y, x)`."""

    code = ErrorCode.DAMAGED_TIFF


class NotATiffError(StackError):
    """Raised when the first bytes are no TIFF or BigTIFF header."""

    code = ErrorCode.NOT_A_TIFF


class UnsupportedCodecError(StackError):
    """Raised when pixels are compressed with a codec outside the allow-list."""

    code = ErrorCode.UNSUPPORTED_CODEC


class DamagedTiffError(StackError):
    """Raised when a TIFF contradicts itself, points outside itself or does not decode."""

    code = ErrorCode.DAMAGED_TIFF


class UnsupportedPixelsError(StackError):
    """Raised when pixels are not uint8, uint16 or float32 intensities."""

    code = ErrorCode.UNSUPPORTED_PIXELS


class UnsupportedLayoutError(StackError):
    """Raised when pages cannot be taken as the channels of one field."""

    code = ErrorCode.UNSUPPORTED_LAYOUT


class AmbiguousChannelsError(StackError):
    """Raised when what a file says of its channels leaves open which stain each of them is.

    Args:
        found: What the file says, and why that tells no order: whole sentences.
    """

    code = ErrorCode.AMBIGUOUS_CHANNELS

    def __init__(self, found: str) -> None:
        super().__init__(f"{found} {SAY_WHICH}")
        self.found = found


class NonFinitePixelsError(StackError):
    """Raised when a float32 stack holds NaN or infinity."""

    code = ErrorCode.NON_FINITE_PIXELS


class StackTooLargeError(StackError):
    """Raised before anything is decoded when a TIFF declares more than the limits allow."""

    code = ErrorCode.STACK_TOO_LARGE
