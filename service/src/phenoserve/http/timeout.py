"""Reads how long a client will wait for its answer."""

from typing import Final

from fastapi import Request

from phenoserve.errors import ErrorCode
from phenoserve.http.problems import RequestError

MAX_DIGITS: Final = 18
"""Digits of a timeout that are looked at: more than any limit has."""


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
