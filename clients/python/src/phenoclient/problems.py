"""From an error answer of the service to the error that is raised: one table of the service's codes."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Any, cast

import httpx

from phenoclient import errors

ERRORS_BY_CODE: Mapping[str, type[errors.ServiceError]] = MappingProxyType(
    {
        "malformed_request": errors.MalformedRequestError,
        "invalid_parameter": errors.MalformedRequestError,
        "unknown_treatment": errors.UnknownNameError,
        "unknown_channels": errors.UnknownNameError,
        "key_missing": errors.KeyMissingError,
        "key_wrong": errors.KeyRefusedError,
        "key_insufficient": errors.KeyRefusedError,
        "not_found": errors.NoSuchRouteError,
        "method_not_allowed": errors.MethodNotAllowedError,
        "not_acceptable": errors.NotAcceptableError,
        "head_too_slow": errors.UploadTooSlowError,
        "body_too_slow": errors.UploadTooSlowError,
        "body_too_large": errors.TooLargeError,
        "stack_too_large": errors.TooLargeError,
        "unsupported_media_type": errors.UnsupportedMediaError,
        "not_a_tiff": errors.UnsupportedMediaError,
        "unsupported_codec": errors.UnsupportedMediaError,
        "damaged_tiff": errors.UnusableStackError,
        "unsupported_pixels": errors.UnusableStackError,
        "unsupported_layout": errors.UnusableStackError,
        "wrong_channels": errors.UnusableStackError,
        "ambiguous_channels": errors.AmbiguousChannelsError,
        "field_too_small": errors.UnusableStackError,
        "non_finite_pixels": errors.UnusableStackError,
        "deviation_too_small": errors.UnusableStackError,
        "no_finite_answer": errors.UnusableStackError,
        "bundle_refused": errors.BundleRefusedError,
        "key_file_refused": errors.KeyFileRefusedError,
        "too_many_requests": errors.OverloadedError,
        "head_too_large": errors.TooLargeError,
        "internal_error": errors.InternalServiceError,
        "not_ready": errors.ServiceUnavailableError,
        "deadline_passed": errors.ServiceUnavailableError,
        "worker_died": errors.ServiceUnavailableError,
    }
)


def error_of(response: httpx.Response) -> errors.ServiceError:
    """The error that an answer with a status of 4xx or 5xx stands for.

    The `code` of an RFC 9457 problem body chooses the class; without one, or with one that this client does
    not know, it is `RequestRefusedError` for 4xx and `ServiceFailureError` for 5xx.

    Args:
        response: An answer whose body has been read.
    """
    problem = _problem(response)
    code = _text(problem, "code")
    family = errors.RequestRefusedError if response.is_client_error else errors.ServiceFailureError
    error_class = family if code is None else ERRORS_BY_CODE.get(code, family)
    return error_class(
        response=response,
        code=code,
        title=_text(problem, "title"),
        detail=_text(problem, "detail"),
        incident=_text(problem, "incident"),
        retry_after_s=_retry_after_s(response.headers.get("retry-after")),
    )


def _problem(response: httpx.Response) -> Mapping[str, Any]:
    """The problem body; empty where something else than the service answered."""
    if not response.headers.get("content-type", "").startswith(
        ("application/problem+json", "application/json")
    ):
        return {}
    try:
        body = response.json()
    except (ValueError, RecursionError):
        return {}
    return cast("Mapping[str, Any]", body) if isinstance(body, dict) else {}


def _text(problem: Mapping[str, Any], name: str) -> str | None:
    value = problem.get(name)
    return value if isinstance(value, str) else None


def _retry_after_s(header: str | None) -> float | None:
    """Seconds that a `Retry-After` header asks for, in either of its two forms (RFC 9110, section 10.2.3)."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        return _seconds_until(header)
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _seconds_until(http_date: str) -> float | None:
    try:
        moment = parsedate_to_datetime(http_date)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
