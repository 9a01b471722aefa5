"""Ties the parts together on the event loop: admission, decoding, the queue, the workers, readiness."""

import asyncio
import logging
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
    stacks are let in, decoded and inferred meanwhile.

    Args:
        engines: The loaded bundle.
        settings: The service's settings.

    Attributes:
        engines: The bundle that new requests are answered from.
        plan: How the machine is shared out.
        admission: Counts what is in flight.
        queue: The stacks that wait for a worker.
        readiness: Whether requests are taken, and why not.
        proof: The replay of the golden stacks, once started.
        after_batch: Called on a worker's thread with the number of stacks of a batch that was answered.
    """

    def __init__(self, engines: Engines, settings: Settings) -> None:
        self.engines = engines
        self.plan = Plan.of(settings, engines.active_device)
        self.admission = Admission(settings.max_in_flight, settings.max_in_flight_bytes)
        self.queue = WorkQueue(
            settings.max_queue, settings.max_queue_bytes, self.plan.max_batch, settings.attribution_share
        )
        self.readiness = Readiness.STARTING
        self.proof: asyncio.Task[None] | None = None
        self.after_batch: Callable[[int], object] = lambda _: None
        self._pool = ThreadPoolExecutor(self.plan.num_decoders, thread_name_prefix="decode")
        self._attribution_leases: set[Lease] = set()
        self._max_attributions = max(1, int(settings.attribution_share * settings.max_in_flight))
        self._max_attribution_bytes = int(settings.attribution_share * settings.max_in_flight_bytes)
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
            on_death=lambda: loop.call_soon_threadsafe(self._note_death),
        )
        self._workers.start()
        self.proof = loop.create_task(self._prove())

    @contextmanager
    def admit(self, num_bytes: int, *, attribute_stains: bool = False) -> Generator[Lease]:
        """Let a request in before its body is read.

        Args:
            num_bytes: The most its body may take.
            attribute_stains: Whether the stain attribution is asked for.

        Raises:
            FullError: If the queue or a limit of what is in flight is full.
        """
        lane = self.queue.attributions if attribute_stains else self.queue.stacks
        if lane.is_full:
            raise FullError(f"{len(lane)} {lane.name} of {lane.num_bytes / MIB:.0f} MiB wait already")
        if not attribute_stains:
            with self.admission.admit(num_bytes) as lease:
                yield lease
            return
        self._require_share(num_bytes)
        with self.admission.admit(num_bytes) as lease:
            self._attribution_leases.add(lease)
            try:
                yield lease
            finally:
                self._attribution_leases.remove(lease)

    def _require_share(self, num_bytes: int) -> None:
        """Raise `FullError` if attributions would have more in flight than their share; one may always be."""
        num_attributions = len(self._attribution_leases)
        held = sum(lease.num_bytes for lease in self._attribution_leases)
        if num_attributions >= self._max_attributions:
            raise FullError(f"{num_attributions} stain attributions are in flight already")
        if num_attributions > 0 and held + num_bytes > self._max_attribution_bytes:
            raise FullError(
                f"Bodies of stain attributions hold {held / MIB:.1f} of {self._max_attribution_bytes / MIB:g} MiB, and "
                f"this one may take {num_bytes / MIB:.1f}"
            )

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
            SchedulingError: If no worker is left, or the service ends.
            ValueError: If the stack has more channels than can be attributed.
        """
        attribution = AttributionProgress(AttributionPasses.of(stack)) if attribute_stains else None
        work = Work(engines, stack, deadline, attribution)
        async with self._turns[attribute_stains]:
            while not self.queue.offer(work):
                self._room.clear()
                await self._room.wait()
        return work

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
