"""One stack on its way to an answer."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Shaped

from phenoserve.bundle.outputs import Outputs
from phenoserve.engine.attribution import StainAttribution
from phenoserve.scheduling.engines import Engines


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What one stack got.

    Attributes:
        outputs: The outputs, with a batch axis of one.
        attribution: What each stain adds to the logits; None unless it was asked for.
        queue_s: Seconds from submission until a worker took it.
        inference_s: Seconds of the inference, for the whole batch.
        batch_size: Stacks of the batch.
    """

    outputs: Outputs
    attribution: StainAttribution | None
    queue_s: float
    inference_s: float
    batch_size: int


@dataclass(slots=True, eq=False)
class Work:
    """One stack that waits for a worker or is at one.

    Attributes:
        engines: The bundle that is to answer it; a reload does not change it.
        stack: Raw intensities `(channel, y, x)`, channels in the bundle's order.
        attribute_stains: Whether the stain attribution is asked for; such a stack runs by itself.
        deadline: On the clock of `time.monotonic`, in seconds; no inference begins after it.
        future: Where the answer goes; done or cancelled, nobody waits for the answer any more.
        submitted: When it was made, on the clock of `time.perf_counter`, in seconds.
    """

    engines: Engines
    stack: Shaped[np.ndarray, "channel y x"]
    attribute_stains: bool
    deadline: float
    future: asyncio.Future[Outcome] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    submitted: float = field(default_factory=time.perf_counter)

    @property
    def is_wanted(self) -> bool:
        """Whether somebody still waits for the answer, and its deadline lies ahead."""
        return not self.future.done() and time.monotonic() < self.deadline

    def fits(self, other: "Work") -> bool:
        """Whether both can be stacks of one batch: of one bundle, size and pixel type."""
        return (
            self.engines is other.engines
            and self.stack.shape == other.stack.shape
            and self.stack.dtype == other.stack.dtype
            and not self.attribute_stains
            and not other.attribute_stains
        )

    def succeed(self, answered: Outcome) -> None:
        """Hand over the answer; from any thread."""
        self._resolve(lambda: self.future.set_result(answered))

    def fail(self, error: Exception) -> None:
        """Hand over why there is no answer; from any thread."""
        self._resolve(lambda: self.future.set_exception(error))

    def _resolve(self, resolve: Callable[[], None]) -> None:
        def unless_done() -> None:
            if not self.future.done():
                resolve()

        self.future.get_loop().call_soon_threadsafe(unless_done)
