"""Turns every error of every route into `application/problem+json` (RFC 9457), by the one table of codes."""

import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, cast

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from phenoserve.errors import ERRORS, ErrorCode, ServiceError

PROBLEM_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 1
CLIENT_CLOSED_REQUEST: Final = 499
"""Status logged and counted for a client that left; nobody receives it."""

logger = logging.getLogger(__name__)


class RequestError(ServiceError):
    """An error of a request, with its code and the headers its answer needs."""

    def __init__(self, code: ErrorCode, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.headers = dict(headers or {})


def problem_response(
    code: ErrorCode,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    incident: str | None = None,
    root_path: str = "",
) -> Response:
    """Make the body of an error.

    Args:
        code: What kind of error it is; the table gives status and title.
        detail: What was passed, what was expected, how to fix it.
        headers: Further headers.
        incident: Id under which the log tells more, for unexpected errors.
        root_path: Path below which the service is served.
    """
    kind = ERRORS[code]
    body = {
        "type": problem_type(code, root_path),
        "title": kind.title,
        "status": kind.status,
        "code": code,
        "detail": detail,
    }
    more = dict(headers or {})
    if incident is not None:
        body["incident"] = incident
    if kind.status in (429, 503):
        more.setdefault("Retry-After", str(RETRY_AFTER_S))
    return JSONResponse(body, kind.status, more, PROBLEM_TYPE)


def problem_type(code: ErrorCode, root_path: str = "") -> str:
    """The URI of a kind of error, with its full path as RFC 9457 wants it (section 3.1.1): it is told about there."""
    return f"{root_path}/problems/{code}"


CODE_OF_STATUS: Final = {
    404: ErrorCode.NOT_FOUND,
    405: ErrorCode.METHOD_NOT_ALLOWED,
    413: ErrorCode.BODY_TOO_LARGE,
}
"""Codes of the errors that the framework itself raises; its other client errors are malformed requests."""


async def _service_error(request: Request, error: Exception) -> Response:
    known = cast("ServiceError", error)
    return _problem(request, known.code, known.detail, getattr(known, "headers", None))


async def _framework_error(request: Request, error: Exception) -> Response:
    raised = cast("HTTPException", error)
    headers = dict(raised.headers or {})
    if "Allow" in headers:
        headers["Allow"] = _allowed(headers["Allow"])
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=headers)
    code = CODE_OF_STATUS.get(raised.status_code, ErrorCode.MALFORMED_REQUEST)
    path = request.scope["path"][:200]
    detail = {
        ErrorCode.NOT_FOUND: f"Nothing is at {path}. The routes are those of docs/http-api.md.",
        ErrorCode.METHOD_NOT_ALLOWED: f"{path} answers {headers.get('Allow')}; not {request.method}.",
    }.get(code, raised.detail)
    return _problem(request, code, detail, headers)


def _allowed(methods: str) -> str:
    """The methods that an address answers, given those of its route: HEAD wherever GET, and OPTIONS everywhere."""
    allowed = {*methods.split(", "), "OPTIONS"}
    return ", ".join(sorted(allowed | {"HEAD"} if "GET" in allowed else allowed))


async def _validation_error(request: Request, error: Exception) -> Response:
    raised = cast("RequestValidationError", error)
    faults = [f"{fault['loc'][-1]}: {fault['msg']}" for fault in raised.errors()]
    detail = f"{'; '.join(faults)}. See docs/http-api.md for the parameters."
    return _problem(request, ErrorCode.INVALID_PARAMETER, detail)


def _problem(
    request: Request, code: ErrorCode, detail: str, headers: Mapping[str, str] | None = None
) -> Response:
    return problem_response(code, detail, headers=headers, root_path=request.scope.get("root_path", ""))


async def _client_left(_: Request, __: Exception) -> Response:
    return Response(status_code=CLIENT_CLOSED_REQUEST)


def install_problem_handlers(app: FastAPI) -> None:
    """Answer every expected error of an app as a problem."""
    handlers: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
        ServiceError: _service_error,
        HTTPException: _framework_error,
        RequestValidationError: _validation_error,
        ClientDisconnect: _client_left,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


class IncidentMiddleware:
    """Turns an exception that nothing below it expected into a 500 with an incident id.

    The traceback goes to the log under that id; the answer holds nothing else about it.

    Args:
        app: The application below.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        has_started = False

        async def note_start(message: Message) -> None:
            nonlocal has_started
            has_started = True
            await send(message)

        try:
            await self.app(scope, receive, note_start)
        except Exception:
            incident = secrets.token_hex(8)
            logger.exception("Incident %s: %s %s failed", incident, scope["method"], scope["path"])
            if not has_started:
                detail = f"Tell whoever runs the service the incident id {incident}; its log says more."
                root_path = scope.get("root_path", "")
                response = problem_response(
                    ErrorCode.INTERNAL_ERROR, detail, incident=incident, root_path=root_path
                )
                await response(scope, receive, send)
