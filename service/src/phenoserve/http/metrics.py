"""Counts what the service does, in Prometheus' text format."""

import time
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    generate_latest,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from phenoserve.scheduling import Readiness, Scheduler, StageTimes

STAGE_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
UNMATCHED: Final = "unmatched"


class Metrics:
    """The metrics of one app, in a registry of its own.

    Args:
        scheduler: Read at every scrape for readiness and requests in flight.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "phenoserve_requests",
            "Requests answered.",
            ["route", "method", "status"],
            registry=self._registry,
        )
        self.seconds = Histogram(
            "phenoserve_request_seconds",
            "Seconds from the first byte of a request to the last of its answer.",
            ["route"],
            buckets=STAGE_BUCKETS_S,
            registry=self._registry,
        )
        self.stacks = Counter("phenoserve_stacks", "Stacks answered.", registry=self._registry)
        self._stages = Histogram(
            "phenoserve_stage_seconds",
            "Seconds of each stage of a request with stacks.",
            ["stage"],
            buckets=STAGE_BUCKETS_S,
            registry=self._registry,
        )
        in_flight = Gauge("phenoserve_in_flight", "Requests with a stack in flight.", registry=self._registry)
        in_flight.set_function(lambda: scheduler.admission.num_requests)
        ready = Gauge("phenoserve_ready", "Whether the service is ready.", registry=self._registry)
        ready.set_function(lambda: scheduler.readiness is Readiness.READY)
        self._served = Info(
            "phenoserve", "The bundle served and the device it runs on.", registry=self._registry
        )
        self._scheduler = scheduler
        ProcessCollector(registry=self._registry)

    def observe(self, times: StageTimes, num_stacks: int) -> None:
        """Count one answered request's stacks and where its time went."""
        self.stacks.inc(num_stacks)
        for stage, seconds in times.by_stage().items():
            self._stages.labels(stage).observe(seconds)

    def text(self) -> bytes:
        """Everything, as Prometheus scrapes it."""
        engines = self._scheduler.engines
        manifest = engines.bundle.manifest
        self._served.info(
            {
                "bundle": manifest.name,
                "version": manifest.version,
                "digest": engines.bundle.digest,
                "device": engines.active_device,
                "precision": engines.bundle.precision,
            }
        )
        return generate_latest(self._registry)


class MetricsMiddleware:
    """Counts every request by its route, never by its path, which a stranger chooses.

    Args:
        app: The application below.
        metrics: Where to count.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 0

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, note_status)
        finally:
            route = getattr(scope.get("route"), "path", UNMATCHED)
            method = scope["method"] if route != UNMATCHED else UNMATCHED
            self.metrics.requests.labels(route, method, str(status)).inc()
            self.metrics.seconds.labels(route).observe(time.perf_counter() - began)
