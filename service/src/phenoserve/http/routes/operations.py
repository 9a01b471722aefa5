"""The routes about the service itself: the bundle, health, metrics, kinds of errors."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST

from phenoserve.errors import ERRORS, ErrorCode
from phenoserve.http.answer import schemas
from phenoserve.http.observe.metrics import Metrics
from phenoserve.http.problems import RequestError, problem_type
from phenoserve.http.routes.openapi import problem_responses
from phenoserve.http.stack_requests import NOT_READY, Service
from phenoserve.scheduling import Readiness


def operations_router(service: Service) -> APIRouter:
    """The routes, answering from a service."""
    router = APIRouter(tags=["operations"])

    @router.get(
        "/bundle",
        summary="The manifest of the bundle, and how it runs",
        dependencies=service.guards,
        responses=problem_responses(401, 403),
    )
    async def bundle() -> schemas.BundleAnswer:
        engines = service.engines
        return schemas.BundleAnswer(
            manifest=engines.bundle.manifest.dump(),
            digest=engines.bundle.digest,
            device=engines.active_device,
            precision=engines.bundle.precision,
        )

    @router.get("/livez", summary="Whether the process answers at all")
    async def livez() -> schemas.Status:
        return schemas.Status(status="alive")

    @router.get(
        "/readyz",
        summary="Whether the golden stacks were answered as they must be, and the service is not stopping",
        responses=problem_responses(503),
    )
    async def readyz() -> schemas.Status:
        readiness = service.scheduler.readiness
        if readiness is not Readiness.READY:
            raise RequestError(ErrorCode.NOT_READY, NOT_READY[readiness])
        return schemas.Status(status=readiness)

    @router.get(
        "/problems/{code}",
        summary="A kind of error, by its code: where the `type` of every error leads",
        responses=problem_responses(404),
    )
    async def problem(code: str, request: Request) -> schemas.ProblemKind:
        if code not in ERRORS:
            raise RequestError(
                ErrorCode.NOT_FOUND, f"No error has the code {code[:40]!r}; there are {', '.join(ERRORS)}."
            )
        known = ErrorCode(code)
        kind, root_path = ERRORS[known], request.scope.get("root_path", "")
        return schemas.ProblemKind(
            type=problem_type(known, root_path), code=known, status=kind.status, title=kind.title
        )

    return router


def metrics_router(counted: Metrics) -> APIRouter:
    """The route that Prometheus scrapes."""
    router = APIRouter(tags=["operations"])

    @router.get("/metrics", summary="Metrics for Prometheus", response_class=PlainTextResponse)
    async def metrics() -> Response:
        return Response(counted.text(), media_type=CONTENT_TYPE_LATEST)

    return router
