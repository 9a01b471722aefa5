"""Chooses the media type of an answer by the request's `Accept` header (RFC 9110, section 12.5.1)."""

from collections.abc import Sequence

from phenoserve.errors import ErrorCode
from phenoserve.http.problems import RequestError


def negotiate(accept: str | None, offered: Sequence[str]) -> str:
    """Choose the media type to answer with.

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
