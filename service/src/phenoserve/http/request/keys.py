"""API keys: digests in a file that can be read again, compared in constant time."""

import hashlib
import hmac
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fastapi import Depends, Request, Security
from fastapi.params import Depends as Dependency
from fastapi.security import APIKeyHeader, HTTPBearer

from phenoserve.errors import ErrorCode
from phenoserve.http.problems import RequestError

HEX_DIGEST: Final = re.compile(r"[0-9a-f]{64}")

KEY_SCHEMES: Final[Sequence[Dependency]] = (
    Security(HTTPBearer(scheme_name="bearer", auto_error=False)),
    Security(APIKeyHeader(name="X-API-Key", scheme_name="header", auto_error=False)),
)
"""The two ways to send a key, for the OpenAPI document; `sent_key` reads both."""


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
        path: The file, as `read_api_keys` takes it; None where there are no keys.

    Attributes:
        path: The file.
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


def key_guard(keys: KeyFile, others: KeyFile) -> list[Dependency]:
    """What a route depends on that is for callers with a key.

    Args:
        keys: The keys that open the route; without a file everyone is let in.
        others: Keys that open other routes: known, and not enough.

    Returns:
        Dependencies of the route; they raise as `check_key` does, and tell the OpenAPI document how to send a key.
    """
    if keys.path is None:
        return []

    # It waits for nothing. It is a coroutine because the framework hands any other function to a thread.
    async def require_key(request: Request) -> None:
        check_key(request, keys.digests, others.digests)

    return [*KEY_SCHEMES, Depends(require_key)]


def check_key(request: Request, digests: Sequence[bytes], other_digests: Sequence[bytes]) -> None:
    """Let a request in if its key is known.

    Args:
        request: The request.
        digests: SHA-256 digests of the keys that are let in.
        other_digests: Digests of the keys that open something else.

    Raises:
        RequestError: `key_missing`, `key_wrong`, `key_insufficient`, or `malformed_request` for two different keys.
            401 and 403 carry the challenge (RFC 6750, section 3).
    """
    key = sent_key(request)
    if key is None:
        raise RequestError(
            ErrorCode.KEY_MISSING,
            "Send your key as `X-API-Key: KEY` or `Authorization: Bearer KEY`.",
            {"WWW-Authenticate": "Bearer"},
        )
    digest = hashlib.sha256(key.encode("latin-1")).digest()
    is_let_in, is_known_elsewhere = _is_among(digest, digests), _is_among(digest, other_digests)
    if is_let_in:
        return
    if is_known_elsewhere:
        raise RequestError(
            ErrorCode.KEY_INSUFFICIENT,
            "The key that was sent opens other routes of this service: API keys open stacks, bundle and examples, "
            "admin keys open /admin. Send one of the other kind.",
            {"WWW-Authenticate": 'Bearer error="insufficient_scope"'},
        )
    raise RequestError(
        ErrorCode.KEY_WRONG,
        "The key that was sent is not one of this service's keys. Send another, or ask whoever runs the service.",
        {"WWW-Authenticate": 'Bearer error="invalid_token"'},
    )


def sent_key(request: Request) -> str | None:
    """The key that a request carries in `X-API-Key` or in `Authorization: Bearer`; None if it carries none.

    Raises:
        RequestError: `malformed_request` if it carries different keys, as nothing says which counts.
    """
    keys = set(request.headers.getlist("x-api-key"))
    for credentials in request.headers.getlist("authorization"):
        scheme, _, token = credentials.partition(" ")
        if scheme.lower() == "bearer":
            keys.add(token.strip())
    keys.discard("")
    if len(keys) > 1:
        raise RequestError(
            ErrorCode.MALFORMED_REQUEST,
            f"Found {len(keys)} different keys in X-API-Key and Authorization; expected one. Leave out the others.",
        )
    return next(iter(keys), None)


def _is_among(digest: bytes, known: Sequence[bytes]) -> bool:
    """Whether a digest is one of these; every one is compared, so that the time taken tells nothing about them."""
    return sum(hmac.compare_digest(digest, one) for one in known) > 0
