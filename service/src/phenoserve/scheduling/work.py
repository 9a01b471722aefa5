"""One stack on its way to its outputs."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, Shaped

from phenoserve.bundle.outputs import Outputs
from phenoserve.engine.attribution import AttributionPasses, StainAttribution
from phenoserve.scheduling.engines import Engines


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What one stack got.

    Attributes:
        outputs: The outputs, with a batch axis of one.
        attribution: What each stain adds to the logits; None unless it was asked for.
        queue_s: Seconds of waiting, before the first inference and between two passes.
        inference_s: Seconds of inference, for the whole batch, or summed over the passes.
        batch_size: Stacks of the batch.
    """

    outputs: Outputs
    attribution: StainAttribution | None
    queue_s: float
    inference_s: float
    batch_size: int


@dataclass(slots=True, eq=False)
class AttributionProgress:
    """How far the attribution of one stack is; used by the worker that holds the stack.

    The first pass gives the outputs of the stack itself, each further one the logits of some of the subsets.

    Attributes:
        passes: The passes over the subsets.
        outputs: The outputs of the stack itself; None before the first pass.
        logits: The logits of the passes that were run.
        inference_s: Seconds of the passes that were run.
    """

    passes: AttributionPasses
    outputs: Outputs | None = None
    logits: list[Float32[np.ndarray, "batch treatment"]] = field(
        default_factory=list[Float32[np.ndarray, "batch treatment"]]
    )
    inference_s: float = 0.0

    @property
    def num_px(self) -> int:
        """Pixels of the fields of the next pass."""
        num_stacks = 1 if self.outputs is None else self.passes.batch_size
        return num_stacks * self.passes.stack[0].size

    @property
    def left_px(self) -> int:
        """Pixels of the fields of all passes that are left, at most."""
        num_stacks = (len(self.passes) - len(self.logits)) * self.passes.batch_size + (self.outputs is None)
        return num_stacks * self.passes.stack[0].size

    def run_pass(self, engines: Engines, *, is_alone: bool) -> None:
        """Run the next pass.

        Args:
            engines: The bundle that is to infer it.
            is_alone: Whether the inference has the machine to itself.

        Raises:
            EngineError: As `Engine.infer`.
        """
        began = time.perf_counter()
        if self.outputs is None:
            (self.outputs,) = engines.infer([self.passes.stack], is_alone=is_alone)
        else:
            stacks = self.passes.stacks(len(self.logits))
            self.logits.append(engines.pick(is_alone=is_alone).infer(stacks).logits)
        self.inference_s += time.perf_counter() - began

    def outcome(self, submitted: float) -> Outcome | None:
        """The outcome; None while a pass is left.

        Args:
            submitted: When the stack was, on the clock of `time.perf_counter`, in seconds.

        Raises:
            ValueError: If a logit is not finite.
        """
        if self.outputs is None or len(self.logits) < len(self.passes):
            return None
        attribution = self.passes.attribution(self.logits)
        waited_s = time.perf_counter() - submitted - self.inference_s
        return Outcome(self.outputs, attribution, waited_s, self.inference_s, batch_size=1)


@dataclass(slots=True, eq=False)
class Work:
    """One stack that waits for a worker or is at one.

    Attributes:
        engines: The bundle that is to infer it; a reload does not change it.
        stack: Raw intensities `(channel, y, x)`, channels in the bundle's order.
        deadline: On the clock of `time.monotonic`, in seconds; no inference begins after it.
        attribution: The stain attribution, where it is asked for.
        future: Takes the outcome; done or cancelled, nobody waits for it any more.
        submitted: When it was made, on the clock of `time.perf_counter`, in seconds.
    """

    engines: Engines
    stack: Shaped[np.ndarray, "channel y x"]
    deadline: float
    attribution: AttributionProgress | None = None
    future: asyncio.Future[Outcome] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    submitted: float = field(default_factory=time.perf_counter)

    @property
    def is_wanted(self) -> bool:
        """Whether somebody waits for the outcome, and the deadline lies ahead."""
        return not self.future.done() and time.monotonic() < self.deadline

    @property
    def num_px(self) -> int:
        """Pixels of the fields of the next inference: what it costs, next to others of the same bundle."""
        return self.stack[0].size if self.attribution is None else self.attribution.num_px

    @property
    def left_px(self) -> int:
        """Pixels of the fields of all inferences that are left, at most."""
        return self.stack[0].size if self.attribution is None else self.attribution.left_px

    def fits(self, other: "Work") -> bool:
        """Whether both can be stacks of one batch: of one bundle, size and pixel type."""
        return (
            self.engines is other.engines
            and self.stack.shape == other.stack.shape
            and self.stack.dtype == other.stack.dtype
        )

    def succeed(self, outcome: Outcome) -> None:
        """Hand over the outcome; from any thread."""
        self._resolve(lambda: self.future.set_result(outcome))

    def fail(self, error: Exception) -> None:
        """Hand over why there is no outcome; from any thread."""
        self._resolve(lambda: self.future.set_exception(error))

    def _resolve(self, resolve: Callable[[], None]) -> None:
        def unless_done() -> None:
            if not self.future.done():
                resolve()

        self.future.get_loop().call_soon_threadsafe(unless_done)
