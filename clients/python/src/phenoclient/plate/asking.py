"""Asks the service about every site, as many at once as it takes."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, final

from phenoclient.calls import EmbeddingKind
from phenoclient.client import AsyncClient
from phenoclient.errors import (
    KeyMissingError,
    KeyRefusedError,
    MethodNotAllowedError,
    NoSuchRouteError,
    OverloadedError,
    PhenoclientError,
    PlateError,
    ServiceError,
    ServiceTimeoutError,
    StackArgumentError,
    TransportError,
    UnknownNameError,
    UnreadableAnswerError,
    UploadTooSlowError,
)
from phenoclient.plate.journal import Entry, Journal, Signature
from phenoclient.plate.pacing import LARGEST_WINDOW, Presence, Window, is_away, is_not_ready, wait_s
from phenoclient.plate.reading.sites import Failure, Site
from phenoclient.plate.reading.stains import StainFiles
from phenoclient.plate.rows import answer_row
from phenoclient.results import Embedding, Prediction
from phenoclient.stacks import stack_tiff

PATIENCE_S = 600.0
_MAX_BROKEN = 5
_GRACE_S = 5.0
_UNANSWERED = "transport"
_ENDS_THE_RUN = (
    KeyMissingError,
    KeyRefusedError,
    MethodNotAllowedError,
    NoSuchRouteError,
    UnknownNameError,
    UnreadableAnswerError,
)
"""What is wrong with every request alike, not with one site"""


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        num_done: Sites that are answered or have failed in this run.
        num_in_flight: Requests in flight.
        is_waiting: Whether the service is away and waited for.
    """

    num_done: int = 0
    num_in_flight: int = 0
    is_waiting: bool = False


@dataclass(frozen=True)
class Question:
    """What is asked about every site.

    Attributes:
        folder: The plate's folder.
        stain_files: Which file shows which stain.
        digest: Digest of the bundle that has to answer.
        embedding: Vector to ask for as well; None for none.
    """

    folder: Path
    stain_files: StainFiles
    digest: str
    embedding: EmbeddingKind | None = None


@final
class Run:
    """One pass over sites.

    Args:
        client: Client that sends nothing again by itself (`NO_RETRIES`), as the run decides when.
        question: What is asked about every site.
        journal: Where answers are kept.
        max_in_flight: Most requests in flight at once, 1 or more.
        patience_s: Seconds to wait for a service that is away or has no room before giving up.
        on_progress: Called whenever a site is done.

    Attributes:
        failures: By `Site.identity`, the sites without an answer and why.
    """

    def __init__(
        self,
        client: AsyncClient,
        question: Question,
        journal: Journal,
        *,
        max_in_flight: int = LARGEST_WINDOW,
        patience_s: float = PATIENCE_S,
        on_progress: Callable[[Progress], None] = lambda _progress: None,
    ) -> None:
        self.failures: dict[tuple[str, ...], Failure] = {}
        self._client = client
        self._question = question
        self._journal = journal
        self._max_in_flight = max_in_flight
        self._patience_s = patience_s
        self._on_progress = on_progress
        self._progress = Progress()
        self._window = Window(max_in_flight)
        self._presence = Presence(client, patience_s)
        self._stop = asyncio.Event()
        self._workers = list[asyncio.Task[None]]()
        self._writing = asyncio.Lock()
        self._last_answer_s = time.monotonic()

    def stop(self) -> None:
        """Sends no further site; `ask` returns once those in flight are answered, within seconds.

        Called again, it does not wait for those in flight.
        """
        if self._stop.is_set():
            for worker in self._workers:
                worker.cancel()
        self._stop.set()

    async def ask(self, sites: Sequence[Site]) -> bool:
        """Asks about sites and keeps every answer in the journal.

        Returns:
            Whether every site is done; False when the run was stopped.

        Raises:
            PlateError: If another bundle answers, or the journal cannot be written.
            PhenoclientError: If the service refuses every request alike, or stays away for longer than the patience.
        """
        self._last_answer_s = time.monotonic()
        remaining = iter(sites)
        self._workers = [
            asyncio.create_task(self._work(remaining)) for _ in range(min(self._max_in_flight, len(sites)))
        ]
        if self._workers:
            await self._watch(self._workers)
        return all(self._is_done(site) for site in sites)

    async def _watch(self, workers: Sequence[asyncio.Task[None]]) -> None:
        """Waits until the workers are done, one of them fails, or the run is stopped; none is left behind."""
        everything = asyncio.gather(*workers)
        stopped = asyncio.create_task(self._stop.wait())
        tasks: list[asyncio.Future[Any]] = [*workers, everything, stopped]
        try:
            await asyncio.wait({everything, stopped}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({everything}, timeout=_GRACE_S)
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            await self._presence.close()
        for end in ends:
            if isinstance(end, Exception):
                raise end

    def _is_done(self, site: Site) -> bool:
        return site.identity in self._journal.signatures or site.identity in self.failures

    async def _work(self, remaining: Iterator[Site]) -> None:
        while True:
            await self._window.enter()
            try:
                site = None if self._stop.is_set() else next(remaining, None)
                if site is None:
                    return
                outcome = await self._outcome(site)
            finally:
                await self._window.leave()
            await self._keep(site, outcome)

    async def _keep(self, site: Site, outcome: Entry | Failure) -> None:
        if isinstance(outcome, Failure):
            self.failures[site.identity] = outcome
        else:
            async with self._writing:
                await asyncio.to_thread(self._journal.append, outcome)
        self._progress.num_done += 1
        self._tell()

    async def _outcome(self, site: Site) -> Entry | Failure:
        """The answer, or why there is none for this site alone; errors of the whole run are raised.

        Whatever the service answers, a site is given up some time: what may be the stack's own doing after so many
        attempts, what says "not now" when the patience is over.
        """
        started_s = time.monotonic()
        num_refused, num_broken = 0, 0
        while True:
            await self._presence.wait()
            cuts = self._window.cuts
            try:
                entry = await self._entry(site)
            except _ENDS_THE_RUN:
                raise
            except StackArgumentError as error:
                return Failure("file", str(error))
            except OverloadedError as error:
                num_refused += 1
                self._window.refused(cuts)
                if (failure := self._impatience(error, started_s)) is not None:
                    return failure
                await asyncio.sleep(wait_s(num_refused, error.retry_after_s))
            except (ServiceError, TransportError) as error:
                if not _may_pass(error):
                    return Failure(_code(error), str(error))
                if isinstance(error, ServiceError) and is_not_ready(error):
                    if (failure := self._impatience(error, started_s)) is not None:
                        return failure
                else:
                    num_broken += 1
                    if num_broken >= _MAX_BROKEN:
                        return _broken(error, num_broken)
                if isinstance(error, ServiceTimeoutError) or not is_away(error):
                    self._window.refused(cuts)
                    await asyncio.sleep(wait_s(num_broken, getattr(error, "retry_after_s", None)))
                else:
                    await self._wait_for_service(error)
            else:
                self._last_answer_s = time.monotonic()
                self._window.answered()
                return entry

    def _impatience(self, error: ServiceError, started_s: float) -> Failure | None:
        """The site's failure once the patience is over; None before.

        Raises:
            ServiceError: If the service has answered about no site meanwhile: nothing speaks for the next one.
        """
        if time.monotonic() - started_s <= self._patience_s:
            return None
        if self._last_answer_s <= started_s:
            raise error
        return Failure(_code(error), f"still so after {self._patience_s:g} s of patience: {error}")

    async def _wait_for_service(self, error: PhenoclientError) -> None:
        is_first = not self._presence.is_away
        waiting = asyncio.create_task(self._presence.lost(error))
        await asyncio.sleep(0)
        self._tell()
        await waiting
        if is_first:
            self._window.restart()
            self._tell()

    async def _entry(self, site: Site) -> Entry:
        question = self._question
        paths = [question.folder / path for path in question.stain_files.paths(site)]
        signature = await asyncio.to_thread(signature_of, paths)
        tiff = await asyncio.to_thread(stack_tiff, question.stain_files.stack(question.folder, site))
        stains = None if question.stain_files.channels else question.stain_files.stains
        self._progress.num_in_flight = self._window.in_flight
        prediction = await self._client.predict(tiff, channels=stains)
        self._check(prediction)
        embedding = None
        if question.embedding is not None:
            embedding = await self._client.embed(tiff, kind=question.embedding, channels=stains)
            self._check(embedding)
        is_whole_stack = not question.stain_files.channels
        order_from = prediction.stack.channel_order if is_whole_stack else question.stain_files.source
        return Entry(site.identity, signature, answer_row(prediction, embedding, order_from))

    def _check(self, answer: Prediction | Embedding) -> None:
        if answer.bundle.digest != self._question.digest:
            raise PlateError(
                f"The service now answers from another bundle ({answer.bundle.name} {answer.bundle.version}, digest "
                f"{answer.bundle.digest}). Expected digest {self._question.digest}: serve that bundle again and "
                "run the same command, or choose another --out for the new one."
            )

    def _tell(self) -> None:
        self._progress.num_in_flight = self._window.in_flight
        self._progress.is_waiting = self._presence.is_away
        self._on_progress(self._progress)


def signature_of(paths: Sequence[Path]) -> Signature:
    """Size in bytes and time of modification in ns of each file.

    Raises:
        StackArgumentError: If a file is not there.
    """
    try:
        stats = [path.stat() for path in paths]
    except OSError as error:
        raise StackArgumentError(f"{error.filename}: cannot be read ({error.strerror}).") from error
    return tuple((stat.st_size, stat.st_mtime_ns) for stat in stats)


def _may_pass(error: ServiceError | TransportError) -> bool:
    """Whether the same request may be answered another time: nothing in the answer speaks against the stack."""
    if isinstance(error, ServiceError) and not isinstance(error, UploadTooSlowError):
        return is_away(error) or error.status == HTTPStatus.SERVICE_UNAVAILABLE
    return True


def _code(error: ServiceError | TransportError) -> str:
    """The code of the service's error; `between` where an answer bears none, as it is not the service's."""
    return (error.code or "between") if isinstance(error, ServiceError) else _UNANSWERED


def _broken(error: ServiceError | TransportError, num_attempts: int) -> Failure:
    return Failure(_code(error), f"no answer in {num_attempts} attempts; the last: {error}")
