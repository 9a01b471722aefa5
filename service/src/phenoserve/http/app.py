"""Builds the application: every part takes what it needs, none of them is global."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI

from phenoserve.engine import Engine
from phenoserve.http.example_routes import example_router
from phenoserve.http.keys import read_api_keys
from phenoserve.http.metrics import Metrics, MetricsMiddleware
from phenoserve.http.openapi import add_key_schemes, add_problem_schema
from phenoserve.http.operations import operations_router
from phenoserve.http.page_routes import page_router
from phenoserve.http.problems import IncidentMiddleware, install_problem_handlers
from phenoserve.http.service import Service
from phenoserve.http.stack_routes import stack_router
from phenoserve.inference import Scheduler
from phenoserve.settings import Settings


class App(FastAPI):
    """The application, with the service it answers from.

    Attributes:
        service: Scheduler, settings and metrics.
    """

    def __init__(self, service: Service, **options: Any) -> None:
        super().__init__(**options)
        self.service = service

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document."""
        if self.openapi_schema is None:
            document = add_problem_schema(super().openapi())
            self.openapi_schema = add_key_schemes(document) if self.service.key_digests else document
        return self.openapi_schema


def create_app(engine: Engine, settings: Settings) -> App:
    """Build the application over a loaded engine.

    Its lifespan replays the golden stacks in the background, and ends the threads. The app must be run with it.

    Args:
        engine: The engine that answers.
        settings: The service's settings.

    Raises:
        ApiKeysError: If there is a file of API keys and it cannot be used.
    """
    digests = () if settings.api_keys_file is None else read_api_keys(settings.api_keys_file)
    scheduler = Scheduler(engine, num_workers=settings.num_workers, max_in_flight=settings.max_in_flight)
    service = Service(scheduler, settings, Metrics(scheduler), digests)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        scheduler.start()
        yield
        await scheduler.stop()

    app = App(
        service,
        title="phenoserve",
        version=version("phenoserve"),
        summary="What a treatment did to the cells of a multi-channel fluorescence image.",
        lifespan=lifespan,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.include_router(stack_router(service))
    app.include_router(operations_router(service))
    app.include_router(example_router(service))
    app.include_router(page_router())
    install_problem_handlers(app)
    app.add_middleware(IncidentMiddleware)
    app.add_middleware(MetricsMiddleware, metrics=service.metrics)
    return app
