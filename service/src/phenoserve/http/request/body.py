"""Reads the body of a request: one TIFF, or several as multipart/form-data, under limits of bytes and time."""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from phenoserve.errors import ErrorCode
from phenoserve.http.problems import RequestError
from phenoserve.http.request.headers import list_header, single_header
from phenoserve.settings import Settings

RAW_TYPES: Final = ("image/tiff", "application/octet-stream")
MULTIPART: Final = "multipart/form-data"
PART_NAME: Final = "stack"
PARSED_BYTES: Final = 2**20
"""Bytes of a multipart body parsed at once: the parser takes nothing but `bytes`, and a copy of all would be large."""

UNCOUNTED_BYTES: Final = 2**14
"""Bytes up to which a body that still arrives is not counted: who sends less takes nothing from others."""

STEP_BYTES: Final = 2**23
"""Largest step in which a body takes room beyond what has arrived."""

LARGE_PAGE_BYTES: Final = 2**21
"""Least room of a body that is counted: numpy asks the system for pages of this size."""

GRACE_S: Final = 5.0
"""Seconds before a body must have come at the least rate."""


@dataclass(frozen=True)
class Upload:
    """A body as it arrived.

    Attributes:
        content: Its bytes.
        boundary: Boundary of a multipart body; None for a raw TIFF.
    """

    content: bytes | memoryview
    boundary: bytes | None

    def stacks(self, max_stacks: int) -> Sequence[bytes | memoryview]:
        """The TIFF files in the body, in order.

        Raises:
            RequestError: `malformed_request` or `body_too_large`, for a multipart body that is not 1 to `max_stacks`
                complete parts named `stack`.
        """
        return (
            [self.content] if self.boundary is None else split_parts(self.content, self.boundary, max_stacks)
        )


def check_media_type(request: Request) -> bytes | None:
    """Check what a body claims to be.

    Returns:
        The boundary of a multipart body; None for a raw TIFF.

    Raises:
        RequestError: `unsupported_media_type`, or `malformed_request` without a boundary or with two types.
    """
    content_type = single_header(request, "Content-Type") or ""
    coding = (list_header(request, "content-encoding") or "identity").strip().lower()
    media_type, parameters = parse_options_header(content_type)
    kind = media_type.decode("latin-1").lower()
    if coding != "identity":
        raise RequestError(
            ErrorCode.UNSUPPORTED_MEDIA_TYPE, f"Content-Encoding is {coding!r}; send the TIFF as it is."
        )
    if kind in RAW_TYPES:
        return None
    if kind != MULTIPART:
        raise RequestError(
            ErrorCode.UNSUPPORTED_MEDIA_TYPE,
            f"Content-Type is {content_type!r}; expected {', '.join(RAW_TYPES)} or {MULTIPART}.",
        )
    boundary = parameters.get(b"boundary", b"")
    if not boundary:
        raise RequestError(ErrorCode.MALFORMED_REQUEST, "The multipart Content-Type names no boundary.")
    return boundary


@dataclass(frozen=True)
class UploadHead:
    """What is known of a body before it is read.

    Attributes:
        boundary: Boundary of a multipart body; None for a raw TIFF.
        num_bytes: Its length; None where the request does not say.
    """

    boundary: bytes | None
    num_bytes: int | None


def read_head(request: Request, settings: Settings) -> UploadHead:
    """Check what a body claims to be, before it is read.

    Args:
        request: The request, its body untouched.
        settings: `max_body_bytes`.

    Raises:
        RequestError: `unsupported_media_type`, `malformed_request` or `body_too_large`.
    """
    boundary = check_media_type(request)
    declared = request.headers.get("content-length", "")
    is_chunked = "transfer-encoding" in request.headers  # which then counts (RFC 9112, section 6.3)
    num_bytes = int(declared) if declared.isascii() and declared.isdigit() and not is_chunked else None
    if num_bytes is not None and num_bytes > settings.max_body_bytes:
        raise _too_large(settings.max_body_bytes)
    return UploadHead(boundary, num_bytes)


async def read_upload(
    request: Request, head: UploadHead, settings: Settings, hold: Callable[[int], None]
) -> Upload:
    """Read a whole body under limits of bytes, pace and time.

    Args:
        request: The request, its body untouched.
        head: What `read_head` said.
        settings: `max_body_bytes`, `body_timeout_s` and `min_body_kib_per_s`.
        hold: Called with the bytes that the body needs, before it grows into them; at most twice what has
            arrived, or a large page.

    Raises:
        RequestError: `body_too_large` or `body_too_slow`.
        ClientDisconnect: If the client leaves before the end.
        FullError: Whatever `hold` raises.
    """
    began = asyncio.get_running_loop().time()
    most = settings.max_body_bytes if head.num_bytes is None else head.num_bytes
    growing = bytearray()
    place: memoryview | None = None
    size = held = 0
    limit = asyncio.timeout_at(_due(began, size, settings))
    try:
        async with limit:
            async for chunk in request.stream():
                arrived = size + len(chunk)
                if arrived > settings.max_body_bytes:
                    raise _too_large(settings.max_body_bytes)
                if arrived > max(held, UNCOUNTED_BYTES):
                    held = min(most, max(arrived + min(arrived, STEP_BYTES), LARGE_PAGE_BYTES))
                    hold(held)
                    if head.num_bytes is not None and place is None:
                        # From here on it goes into its place; that is not zeroed, as it is handed on when it is full.
                        place = np.empty(head.num_bytes, np.uint8).data
                        place[:size] = growing
                        growing.clear()
                if place is None:
                    growing += chunk
                else:
                    place[size:arrived] = chunk
                size = arrived
                limit.reschedule(_due(began, size, settings))
    except TimeoutError as error:
        seconds = asyncio.get_running_loop().time() - began
        raise RequestError(
            ErrorCode.BODY_TOO_SLOW,
            f"{size} bytes arrived in {seconds:.1f} s. Send the whole body within {settings.body_timeout_s:g} s, and "
            f"{settings.min_body_kib_per_s:g} KiB for each second after the first {GRACE_S:g}.",
        ) from error
    hold(size)
    return Upload(memoryview(growing) if place is None else place, head.boundary)


def _due(began: float, size: int, settings: Settings) -> float:
    """When the next bytes of a body must be here, on the loop's clock."""
    least = settings.min_body_kib_per_s * 1024
    return began + min(settings.body_timeout_s, GRACE_S + size / least if least > 0 else math.inf)


def _too_large(limit: int) -> RequestError:
    return RequestError(
        ErrorCode.BODY_TOO_LARGE, f"The body is larger than {limit} bytes. Send fewer or smaller stacks."
    )


@dataclass
class _Part:
    """Where a part lies in its body; `first` holds what came of it before that is known."""

    start: int | None = None
    num_bytes: int = 0
    first: bytearray = field(default_factory=bytearray)

    def within(self, content: memoryview) -> memoryview:
        if self.start is None:
            return memoryview(self.first)
        return content[self.start : self.start + self.num_bytes]


class _Parts:
    """Collects the parts of a multipart body as the parser calls back."""

    def __init__(self, max_stacks: int) -> None:
        self.stacks: list[_Part] = []
        self.piece, self.offset = b"", 0
        self.is_complete = False
        self._max_stacks = max_stacks
        self._header = bytearray()
        self._value = bytearray()
        self._name = b""

    def begin(self) -> None:
        if len(self.stacks) == self._max_stacks:
            raise RequestError(
                ErrorCode.BODY_TOO_LARGE,
                f"More than {self._max_stacks} parts; send them in several requests.",
            )
        self.stacks.append(_Part())
        self._name = b""

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        if bytes(self._header).lower() == b"content-disposition":
            self._name = parse_options_header(self._value.decode("latin-1"))[1].get(b"name", b"")
        self._header.clear()
        self._value.clear()

    def headers_finished(self) -> None:
        if self._name != PART_NAME.encode():
            raise RequestError(
                ErrorCode.MALFORMED_REQUEST,
                f"Found a part named {self._name!r}; every part must be {PART_NAME!r}.",
            )

    def data(self, data: bytes, start: int, end: int) -> None:
        part = self.stacks[-1]
        if part.start is None and data is self.piece:
            part.start = self.offset + start - part.num_bytes
        elif part.start is None:  # what looked like a boundary, over the edge of two pieces
            part.first += data[start:end]
        part.num_bytes += end - start

    def end(self) -> None:
        self.is_complete = True


def split_parts(content: bytes | memoryview, boundary: bytes, max_stacks: int) -> list[memoryview]:
    """Split a multipart body (RFC 7578) into its parts named `stack`: slices of it, no copies.

    Args:
        content: The whole body.
        boundary: Its boundary.
        max_stacks: Most parts that are taken.

    Raises:
        RequestError: `malformed_request` if it is broken, has no part or one of another name; `body_too_large` if it
            has more parts.
    """
    parts = _Parts(max_stacks)
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": parts.begin,
                "on_part_data": parts.data,
                "on_header_field": parts.header_field,
                "on_header_value": parts.header_value,
                "on_header_end": parts.header_end,
                "on_headers_finished": parts.headers_finished,
                "on_end": parts.end,
            },
        )
        for start in range(0, len(content), PARSED_BYTES):
            parts.offset, parts.piece = start, bytes(content[start : start + PARSED_BYTES])
            parser.write(parts.piece)
        parser.finalize()
    except FormParserError as error:
        raise RequestError(
            ErrorCode.MALFORMED_REQUEST, f"The multipart body cannot be read: {error}."
        ) from error
    if not parts.is_complete or not parts.stacks:
        raise RequestError(
            ErrorCode.MALFORMED_REQUEST, f"Expected complete parts named {PART_NAME!r}; the body ends early."
        )
    return [part.within(memoryview(content)) for part in parts.stacks]
