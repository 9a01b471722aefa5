"""The threads that run inferences."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from phenoserve.engine import GraphError
from phenoserve.engine.golden_replay import require_golden
from phenoserve.scheduling.errors import WorkerDiedError
from phenoserve.scheduling.queue import Batch, WorkQueue
from phenoserve.scheduling.work import AttributionProgress, Outcome, Work

JOIN_LIMIT_S: Final = 10.0
"""Seconds at the end for the inferences that run: far more than one takes, unless it hangs in a driver."""

logger = logging.getLogger(__name__)


class Workers:
    """Threads that take batches from a queue and infer them, until the queue is closed.

    Args:
        num_workers: How many.
        queue: Where the batches come from.
        after_take: Called on a worker's thread when it has taken a batch, so that there is room.
        after_batch: Called on a worker's thread with the number of stacks of a batch that was inferred; of the passes
            of an attribution with that of the first, the stack itself.
        after_pass: Called on a worker's thread with the pixels of a pass of an attribution that was run.
        on_death: Called on a worker's thread when that ends by anything but the end of the queue.
    """

    def __init__(
        self,
        num_workers: int,
        queue: WorkQueue,
        after_take: Callable[[], object],
        after_batch: Callable[[int], object],
        after_pass: Callable[[int], object],
        on_death: Callable[[], object],
    ) -> None:
        self._queue = queue
        self._after_take = after_take
        self._after_batch = after_batch
        self._after_pass = after_pass
        self._on_death = on_death
        self._num_alive = num_workers
        self._lock = threading.Lock()
        # Daemons: one that hangs in a driver must not keep a process alive that has to end.
        self._threads = [
            threading.Thread(target=self._run, name=f"inference-{index}", daemon=True)
            for index in range(num_workers)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait for `JOIN_LIMIT_S` at most until all threads have ended; the queue must be closed."""
        deadline = time.monotonic() + JOIN_LIMIT_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                logger.error("%s still runs and is left behind", thread.name)

    def _run(self) -> None:
        batch: Batch | None = None
        try:
            while (batch := self._queue.take()) is not None:
                self._after_take()
                unfinished: Work | None = None
                try:
                    unfinished = self._infer(batch)
                finally:
                    self._queue.finish(unfinished)
                unfinished = None
                batch = None  # while it waits it holds no stack
        except BaseException:
            logger.critical("A worker died", exc_info=True)
            self._report_death(batch)

    def _report_death(self, batch: Batch | None) -> None:
        """Fail what a worker held when it died, and close the queue if it was the last."""
        with self._lock:
            self._num_alive -= 1
            is_last = self._num_alive == 0
        if is_last:
            self._queue.close(WorkerDiedError("No worker is left to run inferences; the log says more"))
        self._on_death()  # first: whoever is answered 503 finds that the service is not ready
        for work in [] if batch is None else batch.works:
            work.fail(WorkerDiedError("The worker that ran the inference died; the log says more"))

    def _infer(self, batch: Batch) -> Work | None:
        """Run a batch or a pass; gives the attribution that has passes left."""
        work = batch.works[0]
        try:
            if work.attribution is not None:
                return self._infer_pass(work, work.attribution, is_alone=batch.is_alone)
            self._infer_stacks(batch)
        except Exception as error:  # noqa: BLE001  (raised again where the stack's request waits)
            if len(batch.works) > 1:  # each by itself, so that one cannot fail the others
                for each in batch.works:
                    self._infer(Batch([each], is_alone=False))
            else:
                work.fail(error)
                if isinstance(error, GraphError):
                    # A device can fail for good. Then every further inference fails, and it is better to say so.
                    require_golden(work.engines.pick(is_alone=batch.is_alone))
        return None

    def _infer_stacks(self, batch: Batch) -> None:
        works, engines = batch.works, batch.works[0].engines
        began = time.perf_counter()
        outputs = engines.infer([work.stack for work in works], is_alone=batch.is_alone)
        seconds = time.perf_counter() - began
        self._after_batch(len(works))
        for work, row in zip(works, outputs, strict=True):
            work.succeed(Outcome(row, None, began - work.submitted, seconds, len(works)))

    def _infer_pass(self, work: Work, attribution: AttributionProgress, *, is_alone: bool) -> Work | None:
        is_first, num_px = attribution.outputs is None, attribution.num_px
        attribution.run_pass(work.engines, is_alone=is_alone)
        self._after_pass(num_px)
        if is_first:
            self._after_batch(1)
        outcome = attribution.outcome(work.submitted)
        if outcome is None:
            return work
        work.succeed(outcome)
        return None
