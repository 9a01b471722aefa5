"""Answers requests that carry stacks: checks them, reads them, schedules them, words the answer."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from fastapi import Request, Response
from jaxtyping import Float32, Shaped

from phenoserve.attribution import stain_attribution
from phenoserve.engine import Engine, NonFiniteAnswerError
from phenoserve.errors import ErrorCode
from phenoserve.http.body import Upload, read_upload
from phenoserve.http.channels import order_channels, parse_channels
from phenoserve.http.keys import check_api_key
from phenoserve.http.metrics import Metrics
from phenoserve.http.negotiation import negotiate
from phenoserve.http.problems import RequestError
from phenoserve.http.render import JSON, NPY, Answered, Render, npy_file
from phenoserve.inference import FullError, Readiness, Scheduler, StageTimes
from phenoserve.settings import Settings
from phenoserve.stack import read_stack

NOT_READY = {
    Readiness.STARTING: "The golden stacks are being replayed; try again in a moment.",
    Readiness.GOLDEN_MISMATCH: "The bundle does not answer its golden stacks here as it must; the log says more.",
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
        key_digests: SHA-256 digests of the API keys; empty lets everyone in.
    """

    scheduler: Scheduler
    settings: Settings
    metrics: Metrics
    key_digests: tuple[bytes, ...]

    @property
    def engine(self) -> Engine:
        """The engine."""
        return self.scheduler.engine

    def require_key(self, request: Request) -> None:
        """Raise `key_missing` or `key_wrong` unless the request may come in."""
        check_api_key(request, self.key_digests)

    def require_ready(self) -> None:
        """Raise `not_ready` if the service is not; a draining one still answers."""
        if self.scheduler.readiness in {Readiness.STARTING, Readiness.GOLDEN_MISMATCH}:
            raise RequestError(ErrorCode.NOT_READY, NOT_READY[self.scheduler.readiness])

    async def answer(
        self,
        request: Request,
        renders: dict[str, Render],
        channels: str | None,
        *,
        attribute_stains: bool = False,
    ) -> Response:
        """Answer a request that carries stacks.

        Args:
            request: The request, its key checked and its body unread.
            renders: How to word the answer, by media type, the default first.
            channels: The `channels` parameter.
            attribute_stains: Whether the answer needs the stain attribution.

        Raises:
            ServiceError: For everything that is wrong with the request; see `docs/http-api.md`.
        """
        media_type = negotiate(request.headers.get("accept"), list(renders))
        stated = parse_channels(channels, self.engine.bundle.manifest.input)
        self.require_ready()
        try:
            with self.scheduler.admit():
                upload = await read_upload(request, self.settings)
                answer_one = partial(self._answer_one, stated, attribute_stains=attribute_stains)
                job = self._job(upload, answer_one, renders[media_type], media_type)
                outcome = await self.scheduler.run(job)
        except FullError as error:
            limit = self.settings.max_in_flight
            raise RequestError(
                ErrorCode.TOO_MANY_REQUESTS, f"{limit} requests are in flight already; try again later."
            ) from error
        bodies = outcome.result
        self.metrics.observe(outcome.times, len(bodies))
        content = _assemble(bodies, media_type, is_multipart=upload.boundary is not None)
        return Response(
            content, media_type=media_type, headers={"Server-Timing": outcome.times.server_timing()}
        )

    def _job(
        self,
        upload: Upload,
        answer_one: Callable[[bytes, StageTimes], Answered],
        render: Render,
        media_type: str,
    ) -> Callable[[StageTimes], list[bytes]]:
        """The work on one request's stacks, one after the other, all or nothing."""

        def work(times: StageTimes) -> list[bytes]:
            tiffs = upload.stacks(self.settings.max_stacks)
            if len(tiffs) > 1 and media_type not in (JSON, NPY):
                raise RequestError(
                    ErrorCode.NOT_ACCEPTABLE,
                    f"{media_type} shows one stack; {len(tiffs)} were sent. Send them one by one.",
                )
            return [render(answer_one(tiff, times)) for tiff in tiffs]

        return work

    def _answer_one(
        self, stated: Sequence[str] | None, tiff: bytes, times: StageTimes, *, attribute_stains: bool
    ) -> Answered:
        bundle = self.engine.bundle
        began = time.perf_counter()
        stack = read_stack(tiff, self.settings.stack_limits)
        ordered = order_channels(stack, stated, bundle.manifest.input)
        decoded = time.perf_counter()
        times.decode_s += decoded - began
        try:
            answers = self.engine.answer(ordered.array[np.newaxis])
            attribution = stain_attribution(self._logits, ordered.array) if attribute_stains else None
        except NonFiniteAnswerError as error:
            raise RequestError(ErrorCode.NO_FINITE_ANSWER, str(error)) from error
        times.inference_s += time.perf_counter() - decoded
        return Answered(bundle, ordered, answers, attribution)

    def _logits(
        self, stacks: Shaped[np.ndarray, "batch channel y x"]
    ) -> Float32[np.ndarray, "batch treatment"]:
        """The logits of a batch, one of the many that an attribution takes: the end need not wait for the rest."""
        if self.scheduler.has_stopped:
            raise RequestError(ErrorCode.NOT_READY, NOT_READY[Readiness.DRAINING])
        return self.engine.answer(stacks).logits


def _assemble(bodies: Sequence[bytes], media_type: str, *, is_multipart: bool) -> bytes:
    """Put the answers to a request's stacks together: a list for a multipart request, else the only one."""
    if media_type == NPY:
        return npy_file(bodies, stacked=is_multipart)
    if media_type == JSON and is_multipart:
        return b'{"answers":[' + b",".join(bodies) + b"]}"
    return bodies[0]
