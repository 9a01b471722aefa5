"""What the headers of a request ask for: media type and coding of the answer, and how long the client waits for it."""

import re
from collections.abc import Sequence
from typing import Final

from fastapi import Request

from phenoserve.errors import ErrorCode
from phenoserve.http.problems import RequestError

WEIGHT: Final = re.compile(r"0(\.\d*)?|1(\.0*)?|\.\d+")
"""From 0 to 1 (RFC 9110, section 12.4.2), with more digits or fewer than it allows."""

MAX_DIGITS: Final = 18
"""Digits of a timeout that are looked at: more than any limit has."""


def list_header(request: Request, name: str) -> str | None:
    """A header whose value is a list, its lines joined to one (RFC 9110, section 5.3); None where there is none."""
    lines = request.headers.getlist(name)
    return ", ".join(lines) if lines else None


def single_header(request: Request, name: str) -> str | None:
    """A header whose value is no list; None where there is none.

    Raises:
        RequestError: `malformed_request` if it is given more than once, as nothing says which counts.
    """
    lines = request.headers.getlist(name)
    if len(lines) > 1:
        raise RequestError(
            ErrorCode.MALFORMED_REQUEST,
            f"{name} is given {len(lines)} times; expected once. Leave out the others.",
        )
    return lines[0] if lines else None


def negotiate(request: Request, offered: Sequence[str]) -> str:
    """Choose the media type to answer with (RFC 9110, section 12.5.1).

    Args:
        request: The request; one without `Accept` accepts everything.
        offered: Media types that can be given, the default first.

    Returns:
        The offered type the client prefers; the earlier where it has no preference.

    Raises:
        RequestError: `not_acceptable` if it accepts none of them, `malformed_request` if a weight is not 0 to 1.
    """
    accept = list_header(request, "accept") or "*/*"
    ranges = _parse_ranges("Accept", accept)
    weights = [_weight(media_type, ranges) for media_type in offered]
    best = max(weights)
    if best <= 0:
        raise RequestError(
            ErrorCode.NOT_ACCEPTABLE,
            f"Accept is {accept[:200]!r}; this request can be answered as {', '.join(offered)}.",
        )
    return offered[weights.index(best)]


def accepts_gzip(request: Request) -> bool:
    """Whether the answer may be compressed by gzip (RFC 9110, section 12.5.3).

    Raises:
        RequestError: `malformed_request` if a weight is not 0 to 1.
    """
    weights = dict(_parse_ranges("Accept-Encoding", list_header(request, "accept-encoding") or ""))
    return weights.get("gzip", weights.get("*", 0)) > 0


def _parse_ranges(name: str, text: str) -> list[tuple[str, float]]:
    """The ranges of a list of them and their weights, 1 where none is given."""
    return [_parse_range(name, part) for part in text.split(",") if part.strip()]


def _parse_range(name: str, part: str) -> tuple[str, float]:
    what, *parameters = (piece.strip().lower() for piece in part.split(";"))
    weight = next((value[2:] for value in parameters if value.startswith("q=")), "1")
    if not WEIGHT.fullmatch(weight):
        raise RequestError(
            ErrorCode.MALFORMED_REQUEST,
            f"{name} gives {what[:40]} the weight {weight[:40]!r}; expected 0 to 1.",
        )
    return what, float(weight)


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
        RequestError: `invalid_parameter` if it is not a whole number of at least 1, `malformed_request` if it is
            given more than once.
    """
    text = single_header(request, "X-Timeout-Ms")
    if text is None:
        return longest_s
    if not (text.isascii() and text.isdecimal() and int(text[:MAX_DIGITS]) > 0):
        raise RequestError(
            ErrorCode.INVALID_PARAMETER,
            f"X-Timeout-Ms is {text[:40]!r}; expected a whole number of milliseconds, at least 1.",
        )
    return min(int(text[:MAX_DIGITS]) / 1e3, longest_s)
