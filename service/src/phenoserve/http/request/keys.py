"""API keys: digests in a file that can be read again, compared in constant time."""

import hashlib
import hmac
import re
from pathlib import Path
from typing import Final

from fastapi import Request

from phenoserve.errors import ErrorCode
from phenoserve.http.problems import RequestError

HEX_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class ApiKeysError(ValueError):
    """Raised when the file of API keys cannot be used."""


def read_api_keys(path: Path) -> tuple[bytes, ...]:
    """Read the digests of the keys that are let in.

    Args:
        path: Text file with the SHA-256 digest of one key a line, in hex; `#` starts a comment.

    Raises:
        ApiKeysError: If it cannot be read, holds no digest, or holds anything else.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ApiKeysError(f"The file of API keys {path} cannot be read: {error}") from error
    digests = [text for line in lines if (text := line.partition("#")[0].strip().lower())]
    if not digests or not all(HEX_DIGEST.fullmatch(digest) for digest in digests):
        raise ApiKeysError(
            f"The file of API keys {path} must hold SHA-256 digests of 64 hex digits, one a line."
            " Make one with: printf %s KEY | sha256sum"
        )
    return tuple(bytes.fromhex(digest) for digest in digests)


class KeyFile:
    """The keys of one file, as they were when it was last read.

    Args:
        path: The file, as `read_api_keys` takes it; None lets everyone in.

    Attributes:
        digests: SHA-256 digests of the keys; empty without a file.

    Raises:
        ApiKeysError: If it cannot be used.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.digests = self.read()

    def read(self) -> tuple[bytes, ...]:
        """The digests that the file holds now; they do not count before they are set.

        Raises:
            ApiKeysError: If it cannot be used.
        """
        return () if self.path is None else read_api_keys(self.path)

    async def require(self, request: Request) -> None:
        """Raise `key_missing` or `key_wrong` unless the request may come in.

        It waits for nothing; the framework would give what is no coroutine to a thread, for every request.
        """
        check_api_key(request, self.digests)


def check_api_key(request: Request, digests: tuple[bytes, ...]) -> None:
    """Let a request in if its key is known.

    Args:
        request: The request; its key is in `X-API-Key`, or in `Authorization: Bearer`.
        digests: SHA-256 digests of the known keys; with none, everyone is let in.

    Raises:
        RequestError: `key_missing` or `key_wrong`.
    """
    if not digests:
        return
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    key = request.headers.get("x-api-key") or (token.strip() if scheme.lower() == "bearer" else "")
    if not key:
        raise RequestError(
            ErrorCode.KEY_MISSING,
            "Send your key as `X-API-Key: KEY` or `Authorization: Bearer KEY`.",
            {"WWW-Authenticate": "Bearer"},
        )
    digest = hashlib.sha256(key.encode("latin-1")).digest()
    # Every known key is compared, so that the time taken tells nothing about which came close.
    if not any([hmac.compare_digest(digest, known) for known in digests]):  # noqa: C419  (a list: no key may end the comparison early)
        raise RequestError(ErrorCode.KEY_WRONG, "The key that was sent is not one of this service's keys.")
