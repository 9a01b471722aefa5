"""One bundle, loaded in the ways that the scheduler runs it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Shaped

from phenoserve.bundle import Bundle
from phenoserve.bundle.outputs import Outputs
from phenoserve.engine import ActiveDevice, Engine
from phenoserve.engine.golden_replay import require_golden
from phenoserve.scheduling.plan import Plan
from phenoserve.settings import Settings


@dataclass(frozen=True, slots=True, eq=False)
class Engines:
    """A bundle loaded once for a lone inference and once for several at a time; on a GPU both are one.

    Attributes:
        alone: Takes every core.
        under_load: Shares the cores with others of its kind.
        batch_sizes: Sizes that a batch is filled up to, ascending; empty if a batch runs at its own size.
    """

    alone: Engine
    under_load: Engine
    batch_sizes: tuple[int, ...] = ()

    @classmethod
    def of(cls, engine: Engine) -> "Engines":
        """One engine for both."""
        return cls(engine, engine)

    @property
    def bundle(self) -> Bundle:
        """The bundle."""
        return self.alone.bundle

    @property
    def active_device(self) -> ActiveDevice:
        """The device it runs on."""
        return self.alone.active_device

    def pick(self, *, is_alone: bool) -> Engine:
        """The engine for an inference that has the machine to itself, or has not."""
        return self.alone if is_alone else self.under_load

    def infer(self, stacks: Sequence[Shaped[np.ndarray, "channel y x"]], *, is_alone: bool) -> list[Outputs]:
        """Run stacks of one size and pixel type together.

        Args:
            stacks: Raw intensities, each `(channel, y, x)`, as `Engine.infer` takes them; at least one.
            is_alone: Whether the inference has the machine to itself.

        Returns:
            The outputs for each, with a batch axis of one.

        Raises:
            EngineError: As `Engine.infer`, for the whole batch.
        """
        size = min((size for size in self.batch_sizes if size >= len(stacks)), default=len(stacks))
        filled = [*stacks, *[stacks[-1]] * (size - len(stacks))]
        batch = filled[0][np.newaxis] if size == 1 else np.stack(filled)
        outputs = self.pick(is_alone=is_alone).infer(batch)
        return [outputs.row(index) for index in range(len(stacks))]

    def prove(self) -> None:
        """Replay the golden stacks on each engine, and run every size of batch once.

        Raises:
            EngineError: If an engine cannot answer, or (`GoldenMismatchError`) not as the bundle says.
        """
        require_golden(self.alone)
        if self.under_load is not self.alone:
            require_golden(self.under_load)
        for stack in {stack.shape: stack for stack in self.bundle.golden.stacks}.values():
            for size in self.batch_sizes:
                self.infer([stack] * size, is_alone=False)


def load_engines(bundle: Bundle, settings: Settings) -> Engines:
    """Load a bundle as the settings say.

    Args:
        bundle: The bundle, read and verified.
        settings: The service's settings.

    Raises:
        BundleError: If the graph's file changed since the bundle was read, or it has none of the precision.
        EngineError: If it cannot be loaded on the device.
    """
    on_cpu = Plan.of(settings, "cpu")
    is_shared = on_cpu.num_threads == on_cpu.num_threads_alone
    alone = Engine.load(
        bundle,
        device=settings.device,
        precision=settings.precision,
        num_threads=on_cpu.num_threads_alone,
        may_spin=not is_shared or on_cpu.num_inferences == 1,
        max_gpu_bytes=settings.max_gpu_bytes,
    )
    if alone.active_device == "cuda":
        return Engines(alone, alone, _buckets(Plan.of(settings, "cuda").max_batch))
    if is_shared:
        return Engines.of(alone)
    under_load = Engine.load(
        bundle,
        device="cpu",
        precision=alone.bundle.precision,
        num_threads=on_cpu.num_threads,
        may_spin=False,
    )
    return Engines(alone, under_load)


def _buckets(max_batch: int) -> tuple[int, ...]:
    """Powers of two below the largest batch, and that itself: cuDNN plans anew for every size it meets."""
    return (*(2**power for power in range(max_batch.bit_length()) if 2**power < max_batch), max_batch)
