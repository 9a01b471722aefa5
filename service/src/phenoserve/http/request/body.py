"""Reads the body of a request: one TIFF, or several as multipart/form-data, under limits of bytes and time."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
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


async def read_upload(request: Request, head: UploadHead, settings: Settings) -> Upload:
    """Read a whole body under limits of bytes and time.

    Args:
        request: The request, its body untouched.
        head: What `read_head` said.
        settings: `max_body_bytes` and `body_timeout_s`.

    Raises:
        RequestError: `body_too_large` or `body_too_slow`.
        ClientDisconnect: If the client leaves before the end.
    """
    # A body of known length goes into its place as it comes. That is not zeroed, as it is handed on when it is full.
    known = None if head.num_bytes is None else np.empty(head.num_bytes, np.uint8).data
    growing = bytearray()
    size = 0
    try:
        async with asyncio.timeout(settings.body_timeout_s):
            async for chunk in request.stream():
                if size + len(chunk) > settings.max_body_bytes:
                    raise _too_large(settings.max_body_bytes)
                if known is None:
                    growing += chunk
                else:
                    known[size : size + len(chunk)] = chunk
                size += len(chunk)
    except TimeoutError as error:
        raise RequestError(
            ErrorCode.BODY_TOO_SLOW,
            f"{size} bytes arrived in {settings.body_timeout_s:g} s. Send the whole body within that time.",
        ) from error
    return Upload(memoryview(growing) if known is None else known, head.boundary)


def _too_large(limit: int) -> RequestError:
    return RequestError(
        ErrorCode.BODY_TOO_LARGE, f"The body is larger than {limit} bytes. Send fewer or smaller stacks."
    )


class _Parts:
    """Collects the parts of a multipart body as the parser calls back."""

    def __init__(self, max_stacks: int) -> None:
        self.stacks: list[bytearray] = []
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
        self.stacks.append(bytearray())
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
        self.stacks[-1] += memoryview(data)[start:end]

    def end(self) -> None:
        self.is_complete = True


def split_parts(content: bytes | memoryview, boundary: bytes, max_stacks: int) -> list[bytes]:
    """Split a multipart body (RFC 7578) into the contents of its parts named `stack`.

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
            parser.write(bytes(content[start : start + PARSED_BYTES]))
        parser.finalize()
    except FormParserError as error:
        raise RequestError(
            ErrorCode.MALFORMED_REQUEST, f"The multipart body cannot be read: {error}."
        ) from error
    if not parts.is_complete or not parts.stacks:
        raise RequestError(
            ErrorCode.MALFORMED_REQUEST, f"Expected complete parts named {PART_NAME!r}; the body ends early."
        )
    return [bytes(stack) for stack in parts.stacks]
