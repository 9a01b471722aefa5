"""The threads that run inferences."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

import numpy as np
from jaxtyping import Float32, Shaped

from phenoserve.engine import GraphError
from phenoserve.engine.attribution import StainAttribution, stain_attribution
from phenoserve.engine.golden_replay import require_golden
from phenoserve.scheduling.errors import DeadlineError, StoppedError, WorkerDiedError
from phenoserve.scheduling.queue import Batch, WorkQueue
from phenoserve.scheduling.work import Outcome, Work

JOIN_LIMIT_S: Final = 10.0
"""Seconds at the end for the inferences that run: far more than one takes, unless it hangs in a driver."""

logger = logging.getLogger(__name__)


class Workers:
    """Threads that take batches from a queue and answer them, until the queue is closed.

    Args:
        num_workers: How many.
        queue: Where the batches come from.
        after_take: Called on a worker's thread when it has taken a batch, so that there is room.
        after_batch: Called on a worker's thread with the number of stacks of a batch that was answered.
        on_death: Called on a worker's thread when that ends by anything but the end of the queue.
    """

    def __init__(
        self,
        num_workers: int,
        queue: WorkQueue,
        after_take: Callable[[], object],
        after_batch: Callable[[int], object],
        on_death: Callable[[], object],
    ) -> None:
        self._queue = queue
        self._after_take = after_take
        self._after_batch = after_batch
        self._on_death = on_death
        self._num_alive = num_workers
        self._lock = threading.Lock()
        # Daemons, as one that hangs in a driver must not keep alive a process that was told to end.
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
                try:
                    self._infer(batch)
                finally:
                    self._queue.finish()
                batch = None  # while it waits it holds no stack
        except BaseException:
            logger.critical("A worker died", exc_info=True)
            self._report_death(batch)

    def _report_death(self, batch: Batch | None) -> None:
        """Tell everybody who waits for a worker that died, and close the queue when it was the last."""
        with self._lock:
            self._num_alive -= 1
            is_last = self._num_alive == 0
        if is_last:
            self._queue.close(WorkerDiedError("No worker is left to run inferences; the log says more"))
        self._on_death()  # before its callers hear of it, the service is not ready any more
        for work in [] if batch is None else batch.works:
            work.fail(WorkerDiedError("The worker that ran the inference died; the log says more"))

    def _infer(self, batch: Batch) -> None:
        """Infer a batch; if it fails, each of its stacks by itself, so that one cannot fail the others."""
        works, engines = batch.works, batch.works[0].engines
        began = time.perf_counter()
        try:
            outputs = engines.infer([work.stack for work in works], is_alone=batch.is_alone)
            attribution = self._attribute(works[0]) if works[0].attribute_stains else None
        except Exception as error:  # noqa: BLE001  (raised again where the stack's request waits)
            if len(works) > 1:
                for work in works:
                    self._infer(Batch([work], is_alone=False))
                return
            works[0].fail(error)
            if isinstance(error, GraphError):
                # A device can fail for good. Then every further answer fails, and it is better to say so.
                require_golden(engines.pick(is_alone=batch.is_alone))
            return
        seconds = time.perf_counter() - began
        self._after_batch(len(works))
        for work, row in zip(works, outputs, strict=True):
            work.succeed(Outcome(row, attribution, began - work.submitted, seconds, len(works)))

    def _attribute(self, work: Work) -> StainAttribution:
        """Attribute a stack's logits to its stains, and give up between two passes if nobody waits any more."""

        def logits(stacks: Shaped[np.ndarray, "batch channel y x"]) -> Float32[np.ndarray, "batch treatment"]:
            if self._queue.is_closed:
                raise StoppedError("The service is about to stop")
            if not work.is_wanted:
                raise DeadlineError("Nobody waits for the attribution any more")
            return work.engines.pick(is_alone=self._queue.is_alone).infer(stacks).logits

        return stain_attribution(logits, work.stack)
