"""Files that are the same for everyone, kept in memory as they are and compressed."""

import gzip
import hashlib
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Final

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from phenoserve.http.request.headers import accepts_gzip, list_header

PIECE_BYTES: Final = 2**16
"""Bytes that are sent at once: a connection whose client does not read holds no more."""


@dataclass(frozen=True)
class StaticFile:
    """One file.

    Attributes:
        content: Its bytes.
        compressed: The same by gzip. It is made once: to compress a large file costs more than to send it.
        tag: Digest of the content in hex.
        headers: Headers of every answer, its media type among them.
    """

    content: bytes
    compressed: bytes
    tag: str
    headers: Mapping[str, str]

    @classmethod
    def of(cls, content: bytes, media_type: str, headers: Mapping[str, str]) -> "StaticFile":
        """Compress a file and digest it.

        Args:
            content: Its bytes.
            media_type: What they are.
            headers: Further headers of every answer.
        """
        return cls(
            content,
            gzip.compress(content, mtime=0),
            hashlib.sha256(content).hexdigest()[:32],
            {"Content-Type": media_type, "Vary": "Accept-Encoding", **headers},
        )

    def response(self, request: Request) -> Response:
        """The answer to a GET: the file in the coding that the client takes, or 304 where it has it already.

        Raises:
            RequestError: `malformed_request` if a weight of `Accept-Encoding` is no number.
        """
        is_compressed = accepts_gzip(request) and len(self.compressed) < len(self.content)
        content = self.compressed if is_compressed else self.content
        # A tag names the very bytes, so each coding has its own (RFC 9110, section 8.8.3.3).
        tag = f'"{self.tag}-gzip"' if is_compressed else f'"{self.tag}"'
        headers = {**self.headers, "ETag": tag}
        held = {
            known.strip().removeprefix("W/")
            for known in (list_header(request, "if-none-match") or "").split(",")
        }
        if held & {tag, "*"}:
            return Response(status_code=304, headers=headers)
        if is_compressed:
            headers["Content-Encoding"] = "gzip"
        headers["Content-Length"] = str(len(content))
        return StreamingResponse(_pieces(content), headers=headers)


async def _pieces(content: bytes) -> AsyncGenerator[bytes]:
    for start in range(0, len(content), PIECE_BYTES):
        yield content[start : start + PIECE_BYTES]
