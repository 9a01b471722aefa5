"""Builds the application: every part takes what it needs, none of them is global."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from opentelemetry.trace import TracerProvider, get_tracer
from starlette.middleware.cors import CORSMiddleware

from phenoserve.http.linger import LingeringMiddleware
from phenoserve.http.observe.access_log import log_request
from phenoserve.http.observe.metrics import Metrics
from phenoserve.http.observe.requests import REQUEST_ID, ObserveMiddleware
from phenoserve.http.problems import IncidentMiddleware, install_problem_handlers
from phenoserve.http.reload import Reloader
from phenoserve.http.request.keys import KeyFile, key_guard
from phenoserve.http.request.line import RequestLineMiddleware
from phenoserve.http.routes.admin import admin_router
from phenoserve.http.routes.docs import docs_router
from phenoserve.http.routes.examples import example_router
from phenoserve.http.routes.openapi import ANY_PROBLEM, add_named_schemas, operation_id
from phenoserve.http.routes.operations import metrics_router, operations_router
from phenoserve.http.routes.page import page_router
from phenoserve.http.routes.stacks import stack_router
from phenoserve.http.security_headers import SecurityHeadersMiddleware
from phenoserve.http.stack_requests import Service
from phenoserve.scheduling import Engines, Readiness, Scheduler
from phenoserve.settings import Settings


class App(FastAPI):
    """The application, with the service it answers from.

    Attributes:
        service: Scheduler, settings and metrics.
        reloader: Loads the bundle's folder again.
    """

    def __init__(self, service: Service, reloader: Reloader, **options: Any) -> None:
        super().__init__(**options)
        self.service = service
        self.reloader = reloader

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        if self.openapi_schema is None:
            self.openapi_schema = add_named_schemas(super().openapi())
        return self.openapi_schema


def create_app(
    engines: Engines,
    settings: Settings,
    *,
    bundle_path: Path | None = None,
    tell_others: Callable[[], None] = lambda: None,
    tracer_provider: TracerProvider | None = None,
) -> App:
    """Build the application over a loaded bundle.

    Its lifespan replays the golden stacks, and ends the threads. The app must be run with it. A lone process replays
    them in the background and says meanwhile that it is not ready; one of several takes no connection before.

    Args:
        engines: The bundle, loaded.
        settings: The service's settings.
        bundle_path: Where the bundle is reloaded from; the folder it was read from by default.
        tell_others: Called after a reload by `/admin/reload`, for the processes that serve the same bundle.
        tracer_provider: Takes the spans; by default what the variables `OTEL_…` of the environment ask for.

    Raises:
        ApiKeysError: If there is a file of API keys or admin keys and it cannot be used.
    """
    keys, admin_keys = KeyFile(settings.api_keys_file), KeyFile(settings.admin_keys_file)
    scheduler = Scheduler(engines, settings)
    metrics = Metrics(scheduler)
    scheduler.after_batch = metrics.batch_size.observe
    tracer = get_tracer("phenoserve", version("phenoserve"), tracer_provider)
    service = Service(scheduler, settings, metrics, key_guard(keys, admin_keys), tracer)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        scheduler.start()
        if settings.workers > 1 and scheduler.proof is not None:
            await scheduler.proof
        yield
        await scheduler.stop()

    reloader = Reloader(bundle_path or engines.bundle.path, scheduler, settings, (keys, admin_keys))
    app = App(
        service,
        reloader,
        title="phenoserve",
        version=version("phenoserve"),
        summary="What a treatment did to the cells of a multi-channel fluorescence image.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        # Relative to the document, so that it holds behind any proxy.
        servers=[{"url": ".", "description": "The service that this document comes from."}],
        responses=ANY_PROBLEM,
        generate_unique_id_function=operation_id,
        redirect_slashes=False,
        # Metrics and logs are the service's own.
        telemetry={
            "tracer_provider": tracer_provider,
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": True,
        },
    )
    app.include_router(stack_router(service))
    app.include_router(operations_router(service))
    app.include_router(example_router(service))
    if settings.metrics == "on":
        app.include_router(metrics_router(metrics))
    if settings.docs == "on":
        app.include_router(docs_router(app.openapi))
    if settings.admin_keys_file is not None:
        app.include_router(admin_router(service, reloader, key_guard(admin_keys, keys), tell_others))
    app.include_router(page_router())
    install_problem_handlers(app)
    app.add_middleware(IncidentMiddleware)
    app.add_middleware(RequestLineMiddleware, root_path=settings.root_path or "")
    if settings.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origins,
            allow_methods=["GET", "HEAD", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key", "X-Timeout-Ms", REQUEST_ID],
            expose_headers=["Retry-After", "Server-Timing", REQUEST_ID],
        )
    app.add_middleware(SecurityHeadersMiddleware)
    app.add_middleware(ObserveMiddleware, observers=(metrics.observe_request, log_request))
    app.add_middleware(
        LingeringMiddleware,
        timeout_s=settings.body_timeout_s,
        is_draining=lambda: scheduler.readiness is Readiness.DRAINING,
    )
    return app
