"""Schedules stacks onto the engine: a bounded number of requests, a few threads, and readiness.

A stack is decoded, answered and rendered in one go on one thread of a pool of its own, so the event loop never waits
and no more stacks are in memory at once than there are threads.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from phenoserve.engine import Engine, EngineError
from phenoserve.verify import Difference, replay_golden

Result = TypeVar("Result")
logger = logging.getLogger(__name__)


class Readiness(StrEnum):
    """Whether the service answers, and why not."""

    STARTING = "starting"
    READY = "ready"
    GOLDEN_MISMATCH = "golden_mismatch"
    DRAINING = "draining"


class FullError(Exception):
    """Raised when as many requests are in flight as the service takes."""


@dataclass
class StageTimes:
    """Where the time of one request went, in seconds.

    Attributes:
        decode_s: Reading the TIFFs.
        queue_s: Waiting for a thread.
        inference_s: The graph and the forest.
    """

    decode_s: float = 0.0
    queue_s: float = 0.0
    inference_s: float = 0.0

    def by_stage(self) -> dict[str, float]:
        """Seconds by the name of the stage."""
        return {"decode": self.decode_s, "queue": self.queue_s, "inference": self.inference_s}

    def server_timing(self) -> str:
        """The times as a `Server-Timing` header, in milliseconds."""
        return ", ".join(f"{stage};dur={1e3 * seconds:.2f}" for stage, seconds in self.by_stage().items())


@dataclass(frozen=True)
class Outcome(Generic[Result]):
    """What a job gave, and its times."""

    result: Result
    times: StageTimes


class Scheduler:
    """Runs jobs on the engine.

    Args:
        engine: The loaded bundle; safe for concurrent callers.
        num_workers: Threads, hence jobs at the same time.
        max_in_flight: Requests admitted at the same time.

    Attributes:
        engine: The same.
        readiness: Whether jobs are taken, and why not.
        num_in_flight: Requests admitted and not finished.
        proof: The replay of the golden stacks, once started.
        has_stopped: Whether the threads are about to end: a job of many passes through the graph gives up.
    """

    def __init__(self, engine: Engine, *, num_workers: int, max_in_flight: int) -> None:
        self.engine = engine
        self.readiness = Readiness.STARTING
        self.num_in_flight = 0
        self.proof: asyncio.Task[None] | None = None
        self.has_stopped = False
        self._max_in_flight = max_in_flight
        self._pool = ThreadPoolExecutor(num_workers, thread_name_prefix="inference")

    @contextmanager
    def admit(self) -> Generator[None]:
        """Count one request from before its body is read until it is answered.

        Raises:
            FullError: If there are as many as `max_in_flight` already.
        """
        if self.num_in_flight >= self._max_in_flight:
            raise FullError
        self.num_in_flight += 1
        try:
            yield
        finally:
            self.num_in_flight -= 1

    async def run(self, job: Callable[[StageTimes], Result]) -> Outcome[Result]:
        """Run a job on a thread of the pool; what it raises is raised here.

        Args:
            job: Called with the times to fill in.
        """
        times = StageTimes()
        submitted = time.perf_counter()

        def timed() -> Result:
            times.queue_s = time.perf_counter() - submitted
            return job(times)

        return Outcome(await asyncio.get_running_loop().run_in_executor(self._pool, timed), times)

    def start(self) -> None:
        """Replay the golden stacks in the background; ready if they match, never ready if they do not."""
        self.proof = asyncio.get_running_loop().create_task(self._prove())

    async def _prove(self) -> None:
        readiness = Readiness.GOLDEN_MISMATCH  # whatever happens below, only a match makes it ready
        try:
            outcome = await self.run(lambda _: replay_golden(self.engine))
            wrong = [difference for difference in outcome.result if not difference.ok]
            for difference in wrong:
                logger.error("Golden mismatch: %s", describe_difference(difference))
            readiness = Readiness.GOLDEN_MISMATCH if wrong else Readiness.READY
        except EngineError:
            logger.exception("The golden stacks cannot be replayed; the service will not get ready")
        finally:
            if self.readiness is Readiness.STARTING:
                self.readiness = readiness
            logger.info("Golden stacks replayed on %s: %s", self.engine.active_device, readiness)

    def drain(self) -> None:
        """Stop being ready; requests are still answered until the server closes."""
        self.readiness = Readiness.DRAINING

    async def stop(self) -> None:
        """Finish the jobs that run, or the pass that they are at, and end the threads."""
        self.drain()
        self.has_stopped = True
        if self.proof is not None:
            await self.proof
        self._pool.shutdown(wait=True, cancel_futures=True)


def describe_difference(difference: Difference) -> str:
    """One line about how far an output lies from the golden one."""
    return (
        f"stack {difference.stack}, {difference.output}: off by {difference.difference:.3g},"
        f" allowed {difference.allowed:.3g}"
    )
