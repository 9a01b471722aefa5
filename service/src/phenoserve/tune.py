"""Measures how a bundle runs fastest on this machine: inferences at once, threads of each, stacks of each."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
from jaxtyping import Shaped

from phenoserve.bundle import Bundle, read_bundle
from phenoserve.engine import ActiveDevice, Device, Engine
from phenoserve.engine.cores import available_cores
from phenoserve.engine.golden_replay import require_golden
from phenoserve.scheduling import Engines

NUM_ROUNDS: Final = 3
"""Rounds over all candidates; interleaved, so that a slow moment of the machine meets all of them."""

CUDA_BATCHES: Final = (1, 4, 8, 16, 32)
CUDA_INFERENCES: Final = (1, 2)
CPU_BATCHES: Final = (1, 2, 4)
WORTH: Final = 1.03
"""How much faster a candidate must be than a simpler one: less is noise, and a batch costs latency and memory."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to share out the machine.

    Attributes:
        num_inferences: Inferences at the same time.
        num_threads: Threads of each on the CPU.
        batch: Stacks of each.
    """

    num_inferences: int
    num_threads: int
    batch: int


@dataclass(frozen=True, slots=True)
class Measured:
    """How fast a candidate was.

    Attributes:
        candidate: The candidate.
        stacks_per_s: Median throughput over the rounds, stacks a second.
        batch_s: Median seconds from the start of an inference to its end.
    """

    candidate: Candidate
    stacks_per_s: float
    batch_s: float


@dataclass(frozen=True, slots=True)
class TuneReport:
    """What was measured and what follows.

    Attributes:
        active_device: Where.
        field_px: Height and width of the field of the stack that was used.
        measured: Every candidate, in the order they were tried.
        alone_s: Median seconds of a lone inference by its threads; empty on a GPU.
        best: The candidate to serve with.
    """

    active_device: ActiveDevice
    field_px: tuple[int, int]
    measured: tuple[Measured, ...]
    alone_s: dict[int, float]
    best: Candidate

    def variables(self) -> dict[str, int]:
        """The settings that follow, as variables of the environment."""
        named = {
            "NUM_INFERENCES": self.best.num_inferences,
            "NUM_THREADS": self.best.num_threads,
            "MAX_BATCH": self.best.batch,
        }
        if self.alone_s:
            named["NUM_THREADS_ALONE"] = min(self.alone_s, key=lambda threads: self.alone_s[threads])
        return {f"PHENOSERVE_{name}": value for name, value in named.items()}

    def env_file(self) -> str:
        """The settings as the text of an env file, with what they were measured on."""
        height, width = self.field_px
        about = f"# phenoserve tune, on {self.active_device} with fields of {height} by {width} pixels.\n"
        return about + "".join(f"{name}={value}\n" for name, value in self.variables().items())


def tune(bundle_path: Path, device: Device = "auto", seconds: float = 1.0) -> TuneReport:
    """Measure candidates in interleaved rounds on the first golden stack of a bundle.

    Args:
        bundle_path: The bundle's folder.
        device: Where to run.
        seconds: How long each candidate runs in each round, at least; one pass of every worker is always made.

    Raises:
        BundleError: If the bundle cannot be trusted or read.
        EngineError: If it cannot be loaded on the device, or does not answer as it must.
    """
    bundle = read_bundle(bundle_path)
    stack = bundle.golden.stacks[0]
    cores = available_cores()
    alone = Engine.load(bundle, device=device, precision="auto", num_threads=cores)
    require_golden(alone)
    is_cuda = alone.active_device == "cuda"
    candidates = list(_cuda_candidates() if is_cuda else cpu_candidates(cores))
    engines = {1: alone} if is_cuda else _shared_engines(alone.bundle, candidates)
    lone = {} if is_cuda else {cores: alone, **({1: engines[1]} if cores > 1 else {})}
    rounds: dict[Candidate, list[tuple[float, float]]] = {candidate: [] for candidate in candidates}
    lone_s: dict[int, list[float]] = {threads: [] for threads in lone}
    for candidate in candidates:
        run(engines[candidate.num_threads], stack, candidate, 0.0)  # warms what a first run would pay for
    for _ in range(NUM_ROUNDS):
        for candidate, found in rounds.items():
            found.append(run(engines[candidate.num_threads], stack, candidate, seconds))
        for threads, engine in lone.items():
            lone_s[threads].append(run(engine, stack, Candidate(1, threads, 1), seconds)[1])
    measured = tuple(
        Measured(candidate, median(rate for rate, _ in found), median(batch_s for _, batch_s in found))
        for candidate, found in rounds.items()
    )
    return TuneReport(
        active_device=alone.active_device,
        field_px=(stack.shape[1], stack.shape[2]),
        measured=measured,
        alone_s={threads: median(found) for threads, found in lone_s.items()},
        best=choose(measured),
    )


def cpu_candidates(cores: int) -> Iterator[Candidate]:
    """Every way to give each core one thread by halves, each with every size of batch; simpler ones first.

    Args:
        cores: Cores to share out.
    """
    for power in range(cores.bit_length()):
        threads = 2**power
        for batch in CPU_BATCHES:
            yield Candidate(max(1, cores // threads), threads, batch)


def _cuda_candidates() -> Iterator[Candidate]:
    for num_inferences in CUDA_INFERENCES:
        for batch in CUDA_BATCHES:
            yield Candidate(num_inferences, 1, batch)


def _shared_engines(bundle: Bundle, candidates: Sequence[Candidate]) -> dict[int, Engine]:
    return {
        threads: Engine.load(
            bundle, device="cpu", precision=bundle.precision, num_threads=threads, may_spin=False
        )
        for threads in {candidate.num_threads for candidate in candidates}
    }


def run(
    engine: Engine, stack: Shaped[np.ndarray, "channel y x"], candidate: Candidate, seconds: float
) -> tuple[float, float]:
    """Keep every worker of a candidate busy for a while.

    Args:
        engine: Loaded with the candidate's threads.
        stack: Raw intensities `(channel, y, x)`.
        candidate: What to run.
        seconds: How long, at least.

    Returns:
        Stacks a second over all workers, and the median seconds of a batch.
    """
    batch = [stack] * candidate.batch
    engines = Engines.of(engine)

    def work() -> list[float]:
        taken: list[float] = []
        while not taken or time.perf_counter() < stop:
            began = time.perf_counter()
            engines.infer(batch, is_alone=True)
            taken.append(time.perf_counter() - began)
        return taken

    with ThreadPoolExecutor(candidate.num_inferences) as pool:
        began = time.perf_counter()
        stop = began + seconds
        taken = [running.result() for running in [pool.submit(work) for _ in range(candidate.num_inferences)]]
        took = time.perf_counter() - began
    batches = [batch_s for worker in taken for batch_s in worker]
    return len(batches) * candidate.batch / took, median(batches)


def choose(measured: Sequence[Measured]) -> Candidate:
    """The fastest candidate, or a simpler one that is as fast within noise.

    Args:
        measured: At least one.
    """
    best = max(found.stacks_per_s for found in measured)
    near = [found for found in measured if found.stacks_per_s * WORTH >= best]
    return min(near, key=lambda found: (found.candidate.batch, found.batch_s)).candidate
