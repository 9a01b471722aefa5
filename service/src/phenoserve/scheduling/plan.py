"""How many inferences run at once, on how many threads each, of how many stacks."""

from dataclasses import dataclass
from typing import Final

from phenoserve.engine import ActiveDevice
from phenoserve.engine.cores import available_cores
from phenoserve.settings import Settings

DEFAULT_CUDA_BATCH: Final = 16


@dataclass(frozen=True, slots=True)
class Plan:
    """How the machine is shared out.

    Attributes:
        num_inferences: Workers, each running one inference at a time.
        num_threads: Threads of one inference while others run or wait.
        num_threads_alone: Threads of one inference that is alone.
        max_batch: Stacks of one inference.
        num_decoders: Threads that decode bodies and draw answers.
    """

    num_inferences: int
    num_threads: int
    num_threads_alone: int
    max_batch: int
    num_decoders: int

    @classmethod
    def of(cls, settings: Settings, device: ActiveDevice) -> "Plan":
        """Fill in what the settings leave open.

        On the CPU an inference of one thread by core gives the highest throughput, and batches give none. On a GPU
        one inference at a time fills the device, and batches are what fills it.

        Args:
            settings: The service's settings.
            device: Where the graph runs.
        """
        cores = max(1, available_cores() // settings.workers)
        num_threads = settings.num_threads or 1
        is_cpu = device == "cpu"
        return cls(
            num_inferences=settings.num_inferences or (max(1, cores // num_threads) if is_cpu else 1),
            num_threads=num_threads,
            num_threads_alone=settings.num_threads_alone or cores,
            max_batch=settings.max_batch or (1 if is_cpu else DEFAULT_CUDA_BATCH),
            num_decoders=settings.num_decoders or cores,
        )
