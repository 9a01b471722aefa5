"""Ties the parts together on the event loop: admission, decoding, the queue, the workers, readiness."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from enum import StrEnum
from typing import TypeVar

import numpy as np
from jaxtyping import Shaped

from phenoserve.engine.attribution import AttributionPasses
from phenoserve.scheduling.admission import MIB, Admission, Lease
from phenoserve.scheduling.engines import Engines
from phenoserve.scheduling.errors import FullError, StoppedError
from phenoserve.scheduling.pace import Pace
from phenoserve.scheduling.plan import Plan
from phenoserve.scheduling.queue import WorkQueue
from phenoserve.scheduling.work import AttributionProgress, Outcome, Work
from phenoserve.scheduling.workers import Workers
from phenoserve.settings import Settings

Result = TypeVar("Result")
logger = logging.getLogger(__name__)


class Readiness(StrEnum):
    """Whether the service answers, and why not."""

    STARTING = "starting"
    READY = "ready"
    GOLDEN_MISMATCH = "golden_mismatch"
    WORKER_DIED = "worker_died"
    DRAINING = "draining"


class Scheduler:
    """Runs stacks through decoding and inference; every method belongs to the event loop.

    Attributions take long, so they get only a share of whatever runs out: requests and bodies in flight, places and
    bytes in the queue, inferences while others wait. They are decoded one at a time. However many are asked for, other
    stacks are let in, decoded and inferred meanwhile. One is refused if it, or one in flight, would not be ready by its
    deadline at the pace of the last passes: they take turns, so that all of them would be late together.

    Args:
        engines: The loaded bundle.
        settings: The service's settings.

    Attributes:
        engines: The bundle that new requests are answered from.
        plan: How the machine is shared out.
        admission: Counts what is in flight.
        attributions: Counts the stain attributions among it, which have a share.
        queue: The stacks that wait for a worker.
        pace: How fast the passes of attributions get on.
        readiness: Whether requests are taken, and why not.
        proof: The replay of the golden stacks, once started.
        after_batch: Called on a worker's thread with the number of stacks of a batch that was answered.
    """

    def __init__(self, engines: Engines, settings: Settings) -> None:
        self.engines = engines
        self.plan = Plan.of(settings, engines.active_device)
        self.admission = Admission(settings.max_in_flight, settings.max_in_flight_bytes)
        self.attributions = Admission(
            max(1, int(settings.attribution_share * settings.max_in_flight)),
            int(settings.attribution_share * settings.max_in_flight_bytes),
            within=self.admission,
            name="stain attributions",
        )
        self.queue = WorkQueue(
            settings.max_queue, settings.max_queue_bytes, self.plan.max_batch, settings.attribution_share
        )
        self.pace = Pace()
        self.readiness = Readiness.STARTING
        self.proof: asyncio.Task[None] | None = None
        self.after_batch: Callable[[int], object] = lambda _: None
        self._pool = ThreadPoolExecutor(self.plan.num_decoders, thread_name_prefix="decode")
        self._attributions: list[Work] = []
        # One for plain stacks and one for attributions: neither waits behind the other for room in the queue.
        self._decode_places = (asyncio.Semaphore(self.plan.num_decoders), asyncio.Semaphore(1))
        self._turns = (asyncio.Lock(), asyncio.Lock())
        self._replacing = asyncio.Lock()
        self._room = asyncio.Event()

    def start(self) -> None:
        """Start the workers, and replay the golden stacks in the background; ready only if they match."""
        loop = asyncio.get_running_loop()
        self._workers = Workers(
            self.plan.num_inferences,
            self.queue,
            after_take=lambda: loop.call_soon_threadsafe(self._room.set),
            after_batch=self.after_batch,
            after_pass=lambda num_px: self.pace.note(num_px, time.monotonic()),
            on_death=lambda: loop.call_soon_threadsafe(self._note_death),
        )
        self._workers.start()
        self.proof = loop.create_task(self._prove())

    @contextmanager
    def admit(self, num_bytes: int, *, attribute_stains: bool = False) -> Generator[Lease]:
        """Let a request in before its body is read; it holds nothing yet, and gives back what it holds at the end.

        Args:
            num_bytes: Bytes that its body announces; 0 where it does not say.
            attribute_stains: Whether the stain attribution is asked for.

        Raises:
            FullError: If the queue or a limit of what is in flight is full, or such a body would not fit now.
        """
        lane = self.queue.attributions if attribute_stains else self.queue.stacks
        if lane.is_full:
            raise FullError(f"{len(lane)} {lane.name} of {lane.num_bytes / MIB:.0f} MiB wait already")
        admission = self.attributions if attribute_stains else self.admission
        admission.require_room(num_bytes)
        lease = Lease(admission)
        try:
            yield lease
        finally:
            lease.release()

    @asynccontextmanager
    async def decode_place(self, *, attribute_stains: bool = False) -> AsyncGenerator[None]:
        """Wait for the right to hold a decoded stack outside the queue: as many as there are threads to decode.

        Args:
            attribute_stains: Whether the stain attribution is asked for; there is one more place for these.
        """
        async with self._decode_places[attribute_stains]:
            yield

    async def run(self, job: Callable[[], Result]) -> Result:
        """Run a job on a thread that decodes and draws; what it raises is raised here."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, job)

    async def submit(
        self,
        engines: Engines,
        stack: Shaped[np.ndarray, "channel y x"],
        *,
        attribute_stains: bool,
        deadline: float,
    ) -> Work:
        """Put a stack into the queue, waiting for room in turn.

        Args:
            engines: The bundle that is to infer it.
            stack: Raw intensities `(channel, y, x)`, channels in the bundle's order.
            attribute_stains: Whether the stain attribution is asked for.
            deadline: On the clock of `time.monotonic`, in seconds; no inference begins after it.

        Raises:
            SchedulingError: If no worker is left, or the service ends; `FullError` for an attribution that would not
                be ready by its deadline beside those in flight, or they beside it.
            ValueError: If the stack has more channels than can be attributed.
        """
        attribution = AttributionProgress(AttributionPasses.of(stack)) if attribute_stains else None
        work = Work(engines, stack, deadline, attribution)
        async with self._turns[attribute_stains]:
            if attribute_stains:
                self._require_time(work)
            while not self.queue.offer(work):
                self._room.clear()
                await self._room.wait()
            if attribute_stains:
                self._attributions.append(work)
        return work

    def _require_time(self, work: Work) -> None:
        """Raise `FullError` if an attribution would not be ready by its deadline; one may always be there.

        They take turns: until one is ready, each other has run as much, or all that it has left.
        """
        now = time.monotonic()
        pace = self.pace.px_per_s
        if not self._attributions:
            self.pace.resume(now)
        elif pace is not None:
            left_px = {other: other.left_px for other in [*self._attributions, work]}
            for each, own_px in left_px.items():
                needed_s = sum(min(own_px, px) for px in left_px.values()) / pace
                if needed_s > (left_s := each.deadline - now):
                    raise FullError(
                        f"Stain attributions in flight: {len(self._attributions)}. With this one beside them, "
                        f"{'it' if each is work else 'one of them'} would take about {needed_s:.0f} s, and has "
                        f"{left_s:.0f} s left. Send fewer at a time, or smaller fields"
                    )

    async def outcome(self, work: Work) -> Outcome:
        """Wait for the outcome of a stack; if the wait is cancelled, the stack leaves the queue.

        Raises:
            SchedulingError: If its worker died, or the service ends.
            Exception: Whatever the engine raised on this stack.
        """
        try:
            return await work.future
        finally:
            self.queue.discard(work)
            self._room.set()
            if work in self._attributions:
                self._attributions.remove(work)

    async def _prove(self) -> None:
        readiness = Readiness.GOLDEN_MISMATCH  # whatever happens below, only a match makes it ready
        try:
            await asyncio.to_thread(self.engines.prove)
            readiness = Readiness.READY
        except Exception:  # whoever waits for this task, to reload or to stop, is not to meet it again
            logger.exception(
                "The golden stacks are not answered as they must be; the service does not get ready"
            )
        finally:
            if self.readiness is Readiness.STARTING:
                self.readiness = readiness
            logger.info("Golden stacks replayed on %s: %s", self.engines.active_device, readiness)

    async def replace(self, load: Callable[[], Engines]) -> None:
        """Load another bundle beside the one that serves, prove it, and switch to it between two requests.

        A request that was let in before is answered by the bundle it came for. Whatever is raised, nothing has changed.

        Args:
            load: Loads the bundle; called on a thread.

        Raises:
            EngineError: If the new bundle cannot answer its golden stacks, or not as it must.
            Exception: Whatever `load` raises.
        """
        async with self._replacing:
            if self.proof is not None:
                await self.proof
            engines = await asyncio.to_thread(load)
            await asyncio.to_thread(engines.prove)
            self.engines = engines
            if self.readiness is Readiness.GOLDEN_MISMATCH:
                self.readiness = Readiness.READY

    def _note_death(self) -> None:
        self._room.set()  # whoever waits for room finds the queue closed, if this was the last worker
        if self.readiness is not Readiness.DRAINING:
            self.readiness = Readiness.WORKER_DIED

    def drain(self) -> None:
        """Stop being ready; requests are still answered until the server closes."""
        self.readiness = Readiness.DRAINING

    async def stop(self) -> None:
        """Finish the inferences that run, or the pass that they are at, and end the threads."""
        self.drain()
        if self.proof is not None:
            await self.proof
            self.queue.close(StoppedError("The service is about to stop"))
            self._room.set()
            await asyncio.to_thread(self._workers.join)
        self._pool.shutdown(wait=True, cancel_futures=True)
