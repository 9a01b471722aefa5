"""Answers requests that carry stacks: checks them, reads them, schedules them, words the answer."""

import asyncio
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from fastapi import Request, Response
from fastapi.params import Depends as Dependency
from opentelemetry.context import get_current
from opentelemetry.trace import Tracer
from starlette.types import Message, Receive, Scope, Send

from phenoserve.engine import NonFiniteAnswerError
from phenoserve.errors import ErrorCode, ServiceError
from phenoserve.http.answer.render import JSON, NPY, Render, StackResult, npy_file
from phenoserve.http.disconnect import unless_disconnected
from phenoserve.http.observe.metrics import Metrics
from phenoserve.http.observe.spans import add_span
from phenoserve.http.problems import RequestError
from phenoserve.http.request.body import Upload, read_head, read_upload
from phenoserve.http.request.channels import OrderedStack, order_channels, parse_channels
from phenoserve.http.request.headers import read_timeout
from phenoserve.http.request.intensities import require_deviation
from phenoserve.scheduling import (
    DeadlineError,
    Engines,
    FullError,
    Readiness,
    Scheduler,
    SchedulingError,
    StageTimes,
    StoppedError,
    WorkerDiedError,
)
from phenoserve.settings import Settings
from phenoserve.stack import read_stack

NOT_READY = {
    Readiness.STARTING: "The golden stacks are being replayed; try again in a moment.",
    Readiness.GOLDEN_MISMATCH: "The bundle does not answer its golden stacks here as it must; the log says more.",
    Readiness.WORKER_DIED: "A worker that runs inferences died; the log says more. Start the service again.",
    Readiness.DRAINING: "The service is about to stop.",
}
"""Why the service is not ready, by its readiness."""


@dataclass(frozen=True)
class Service:
    """What the routes share.

    Attributes:
        scheduler: Runs stacks on the engine.
        settings: The service's settings.
        metrics: Where to count.
        guards: What a route depends on that is for callers with an API key.
        tracer: Makes the spans of the stages.
    """

    scheduler: Scheduler
    settings: Settings
    metrics: Metrics
    guards: Sequence[Dependency]
    tracer: Tracer

    @property
    def engines(self) -> Engines:
        """The bundle that new requests are answered from."""
        return self.scheduler.engines

    def require_ready(self) -> None:
        """Raise `not_ready` if the service is not; a draining one still answers."""
        if self.scheduler.readiness in {Readiness.STARTING, Readiness.GOLDEN_MISMATCH}:
            raise RequestError(ErrorCode.NOT_READY, NOT_READY[self.scheduler.readiness])

    async def respond(
        self,
        request: Request,
        engines: Engines,
        media_type: str,
        render: Render,
        channels: str | None,
        *,
        attribute_stains: bool = False,
    ) -> Response:
        """Answer a request that carries stacks.

        Args:
            request: The request, its key checked and its body unread.
            engines: The bundle to answer from, whatever is loaded meanwhile.
            media_type: What to answer with.
            render: Words the answer as that.
            channels: The `channels` parameter.
            attribute_stains: Whether the answer needs the stain attribution.

        Raises:
            ServiceError: For everything that is wrong with the request; see `docs/http-api.md`.
            ClientDisconnect: If the client leaves.
        """
        job = _Job(
            engines=engines,
            stated=parse_channels(channels, engines.bundle.manifest.input),
            render=render,
            media_type=media_type,
            attribute_stains=attribute_stains,
            allowed_s=read_timeout(request, self.settings.deadline_s),
        )
        request.state.times = job.times
        self.require_ready()
        head = read_head(request, self.settings)
        with _scheduling_errors_as_problems(), ExitStack() as held:
            lease = held.enter_context(
                self.scheduler.admit(head.num_bytes or 0, attribute_stains=attribute_stains)
            )
            began = time.perf_counter()
            upload = await read_upload(request, head, self.settings, lease.hold)
            add_span(self.tracer, "body", began, time.perf_counter())
            bodies = await unless_disconnected(request, self._respond_in_time(upload, job))
            self.metrics.observe(job.times, len(bodies))
            content = _assemble(bodies, media_type, is_multipart=upload.boundary is not None)
            lease.recount(len(content))
            headers = {"Server-Timing": job.times.server_timing()}
            return HeldResponse(content, media_type, headers, held.pop_all())

    async def _respond_in_time(self, upload: Upload, job: "_Job") -> list[bytes]:
        """Answer all stacks of a body, all or nothing, or give up at the deadline."""
        deadline = time.monotonic() + job.allowed_s
        limit = asyncio.timeout(job.allowed_s)
        try:
            async with limit:
                return await self._infer_all(upload, job, deadline)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise DeadlineError(f"The answer was not there within {job.allowed_s:g} s") from error

    async def _infer_all(self, upload: Upload, job: "_Job", deadline: float) -> list[bytes]:
        tiffs: Sequence[bytes | memoryview] = [upload.content]
        if upload.boundary is not None:
            tiffs = await self.scheduler.run(partial(upload.stacks, self.settings.max_stacks))
        if len(tiffs) > 1 and job.media_type not in (JSON, NPY):
            raise RequestError(
                ErrorCode.NOT_ACCEPTABLE,
                f"{job.media_type} shows one stack; {len(tiffs)} were sent. Send them one by one.",
            )
        answering: list[asyncio.Task[bytes]] = []
        try:
            async with asyncio.TaskGroup() as tasks:
                answering += [tasks.create_task(self._infer_one(tiff, job, deadline)) for tiff in tiffs]
        except BaseExceptionGroup as group:
            error = group.exceptions[0]
            if isinstance(error, ServiceError) and len(tiffs) > 1:
                place = next(
                    place
                    for place, task in enumerate(answering, 1)
                    if not task.cancelled() and task.exception() is error
                )
                raise RequestError(error.code, f"Stack {place} of {len(tiffs)}: {error.detail}") from group
            raise error from group
        return [task.result() for task in answering]

    async def _infer_one(self, tiff: bytes | memoryview, job: "_Job", deadline: float) -> bytes:
        """Decode one stack, have it answered, and word the answer."""
        bundle, times = job.engines.bundle, job.times
        arrived = time.perf_counter()
        context = get_current()
        async with self.scheduler.decode_place(attribute_stains=job.attribute_stains):

            def decode() -> OrderedStack:
                began = time.perf_counter()
                add_span(self.tracer, "queue", arrived, began, context)
                times.queue_s += began - arrived
                try:
                    ordered = order_channels(
                        read_stack(tiff, self.settings.stack_limits), job.stated, bundle.manifest.input
                    )
                    require_deviation(ordered.array, bundle)
                    return ordered
                finally:
                    ended = time.perf_counter()
                    add_span(self.tracer, "decode", began, ended, context)
                    times.decode_s += ended - began

            ordered = await self.scheduler.run(decode)
            work = await self.scheduler.submit(
                job.engines, ordered.array, attribute_stains=job.attribute_stains, deadline=deadline
            )
        try:
            outcome = await self.scheduler.outcome(work)
        except NonFiniteAnswerError as error:
            raise RequestError(ErrorCode.NO_FINITE_ANSWER, str(error)) from error
        times.queue_s += outcome.queue_s
        times.inference_s += outcome.inference_s
        taken = work.submitted + outcome.queue_s
        add_span(self.tracer, "queue", work.submitted, taken)
        add_span(self.tracer, "inference", taken, taken + outcome.inference_s, batch_size=outcome.batch_size)
        began = time.perf_counter()
        body = await self.scheduler.run(
            partial(job.render, StackResult(bundle, ordered, outcome.outputs, outcome.attribution))
        )
        add_span(self.tracer, "encode", began, time.perf_counter())
        return body


@dataclass(frozen=True)
class _Job:
    """What one request asks for.

    Attributes:
        engines: The bundle to answer from.
        stated: Stains in the order of the files' channels, as the request says; None if it does not.
        render: Words an answer.
        media_type: What it is worded as.
        attribute_stains: Whether the answer needs the stain attribution.
        allowed_s: Seconds from the end of the body to the answer.
        times: Where the time went so far.
    """

    engines: Engines
    stated: Sequence[str] | None
    render: Render
    media_type: str
    attribute_stains: bool
    allowed_s: float
    times: StageTimes = field(default_factory=StageTimes)


class HeldResponse(Response):
    """An answer that holds its share of what may be in flight until it is sent.

    Args:
        content: The body.
        media_type: Its media type.
        headers: Further headers.
        held: Closed once the client has taken the answer, or is gone.
    """

    def __init__(self, content: bytes, media_type: str, headers: Mapping[str, str], held: ExitStack) -> None:
        super().__init__(content, media_type=media_type, headers=headers)
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer; the server takes its end only once little of it waits to be sent."""

        async def send_apart(message: Message) -> None:
            if message["type"] == "http.response.body":
                await send({**message, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            else:
                await send(message)

        with self._held:
            await super().__call__(scope, receive, send_apart)


SCHEDULING_CODES: Final[dict[type[SchedulingError], ErrorCode]] = {
    FullError: ErrorCode.TOO_MANY_REQUESTS,
    DeadlineError: ErrorCode.DEADLINE_PASSED,
    WorkerDiedError: ErrorCode.WORKER_DIED,
    StoppedError: ErrorCode.NOT_READY,
}
"""What a client is told when nothing is wrong with its request; all of it can be tried again."""


@contextmanager
def _scheduling_errors_as_problems() -> Generator[None]:
    try:
        yield
    except SchedulingError as error:
        raise RequestError(SCHEDULING_CODES[type(error)], f"{error}. Try again later.") from error


def _assemble(bodies: Sequence[bytes], media_type: str, *, is_multipart: bool) -> bytes:
    """Put the answers to a request's stacks together: a list for a multipart request, else the only one."""
    if media_type == NPY:
        return npy_file(bodies, stacked=is_multipart)
    if media_type == JSON and is_multipart:
        return b'{"answers":[' + b",".join(bodies) + b"]}"
    return bodies[0]
