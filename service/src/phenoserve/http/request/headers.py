"""What the headers of a request ask for: the media type of the answer, and how long the client waits for it."""

from collections.abc import Sequence
from typing import Final

from fastapi import Request

from phenoserve.errors import ErrorCode
from phenoserve.http.problems import RequestError

MAX_DIGITS: Final = 18
"""Digits of a timeout that are looked at: more than any limit has."""


def negotiate(accept: str | None, offered: Sequence[str]) -> str:
    """Choose the media type to answer with (RFC 9110, section 12.5.1).

    Args:
        accept: The `Accept` header; None accepts everything.
        offered: Media types that can be given, the default first.

    Returns:
        The offered type the client prefers; the earlier where it has no preference.

    Raises:
        RequestError: `not_acceptable` if it accepts none of them, `malformed_request` if a weight is no number.
    """
    ranges = [_parse_range(part) for part in (accept or "*/*").split(",") if part.strip()]
    weights = [_weight(media_type, ranges) for media_type in offered]
    best = max(weights)
    if best <= 0:
        raise RequestError(
            ErrorCode.NOT_ACCEPTABLE,
            f"Accept is {accept!r}; this request can be answered as {', '.join(offered)}.",
        )
    return offered[weights.index(best)]


def _parse_range(part: str) -> tuple[str, float]:
    media_range, *parameters = (piece.strip().lower() for piece in part.split(";"))
    weight = next((value[2:] for value in parameters if value.startswith("q=")), "1")
    try:
        return media_range, float(weight)
    except ValueError as error:
        raise RequestError(
            ErrorCode.MALFORMED_REQUEST, f"Accept gives {media_range} the weight {weight!r}; expected 0 to 1."
        ) from error


def _weight(media_type: str, ranges: Sequence[tuple[str, float]]) -> float:
    """Weight of the most specific range that covers a type; 0 where none does."""
    covers = (media_type, f"{media_type.partition('/')[0]}/*", "*/*")
    for cover in covers:
        for media_range, weight in ranges:
            if media_range == cover:
                return weight
    return 0.0


def read_timeout(request: Request, longest_s: float) -> float:
    """Read how long a client will wait for its answer, from `X-Timeout-Ms`.

    Args:
        request: The request.
        longest_s: What it may wait at most, in seconds; taken if it does not say.

    Returns:
        Seconds, at most `longest_s`.

    Raises:
        RequestError: `invalid_parameter` if it is not a whole number of at least 1.
    """
    text = request.headers.get("x-timeout-ms")
    if text is None:
        return longest_s
    if not (text.isascii() and text.isdecimal() and int(text[:MAX_DIGITS]) > 0):
        raise RequestError(
            ErrorCode.INVALID_PARAMETER,
            f"X-Timeout-Ms is {text[:40]!r}; expected a whole number of milliseconds, at least 1.",
        )
    return min(int(text[:MAX_DIGITS]) / 1e3, longest_s)
