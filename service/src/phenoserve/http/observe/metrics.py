"""Counts what the service does, in Prometheus' text format.

Where several processes serve, each writes its numbers to files of a folder that they share, and whichever is asked adds
them up: `prometheus_client` does so wherever `PROMETHEUS_MULTIPROC_DIR` names a folder.
"""

import os
import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    Metric,
    ProcessCollector,
    generate_latest,
    multiprocess,
)
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.registry import Collector

from phenoserve.http.observe.requests import FinishedRequest
from phenoserve.scheduling import Readiness, Scheduler, StageTimes

if sys.platform != "win32":
    import fcntl

SHARED_FOLDER_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
DURATION_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
BATCH_SIZE_BUCKETS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)
STAGE_METRICS: Final = {
    "decode": ("phenoserve_decode_duration_seconds", "Seconds of reading a request's TIFFs."),
    "queue": ("phenoserve_inference_queue_duration_seconds", "Seconds a request's stacks waited."),
    "inference": (
        "phenoserve_inference_compute_infer_duration_seconds",
        "Seconds of the inferences that a request's stacks were in.",
    ),
}


class Metrics:
    """The metrics of one app, in a registry of its own.

    Args:
        scheduler: Read at every scrape for readiness, what is in flight, and the bundle.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._is_shared = SHARED_FOLDER_VARIABLE in os.environ
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "phenoserve_requests", "Requests answered.", ["route", "method", "status"], registry=registry
        )
        self._seconds = Histogram(
            "phenoserve_request_duration_seconds",
            "Seconds from the head of a request to the end of its answer.",
            ["route"],
            buckets=DURATION_BUCKETS_S,
            registry=registry,
        )
        self._stacks = Counter("phenoserve_stacks", "Stacks answered.", registry=registry)
        self._stages = {
            stage: Histogram(name, meaning, buckets=DURATION_BUCKETS_S, registry=registry)
            for stage, (name, meaning) in STAGE_METRICS.items()
        }
        self.batch_size = Histogram(
            "phenoserve_inference_batch_size",
            "Stacks of an inference.",
            buckets=BATCH_SIZE_BUCKETS,
            registry=registry,
        )
        self._now = {
            "pending": self._gauge(
                "phenoserve_inference_pending_requests", "Stacks that wait for an inference."
            ),
            "pending_bytes": self._gauge(
                "phenoserve_inference_pending_bytes", "Bytes of decoded stacks that wait."
            ),
            "in_flight": self._gauge("phenoserve_in_flight", "Requests with a stack in flight."),
            "in_flight_bytes": self._gauge("phenoserve_in_flight_bytes", "Bytes of all bodies in flight."),
            "ready": self._gauge("phenoserve_ready", "Processes that are ready."),
            "processes": self._gauge("phenoserve_processes", "Processes that serve."),
        }
        # What the answering process knows of itself; with several, they agree within moments of a reload.
        self._own = registry if not self._is_shared else CollectorRegistry()
        self._served = Info(
            "phenoserve", "The bundle served, the device and the precision.", registry=self._own
        )
        if not self._is_shared:
            ProcessCollector(registry=registry)

    def _gauge(self, name: str, meaning: str) -> Gauge:
        return Gauge(name, meaning, registry=self._registry, multiprocess_mode="livesum")

    def observe(self, times: StageTimes, num_stacks: int) -> None:
        """Count one answered request's stacks and where its time went."""
        self._stacks.inc(num_stacks)
        for stage, seconds in times.by_stage().items():
            self._stages[stage].observe(seconds)

    def observe_request(self, request: FinishedRequest) -> None:
        """Count one request by its route, never by its path, which a stranger chooses."""
        self._requests.labels(request.route, request.method, str(request.status)).inc()
        self._seconds.labels(request.route).observe(request.seconds)

    def sample(self) -> None:
        """Note what is so at this moment; of several processes each must, as any may be asked."""
        queue, admission = self._scheduler.queue, self._scheduler.admission
        self._now["pending"].set(queue.num_waiting)
        self._now["pending_bytes"].set(queue.num_bytes)
        self._now["in_flight"].set(admission.num_requests)
        self._now["in_flight_bytes"].set(admission.num_bytes)
        self._now["ready"].set(self._scheduler.readiness is Readiness.READY)
        self._now["processes"].set(1)

    def text(self) -> bytes:
        """Everything, as Prometheus scrapes it."""
        self.sample()
        engines = self._scheduler.engines
        manifest = engines.bundle.manifest
        self._served.info(
            {
                "bundle": manifest.name,
                "version": manifest.version,
                "digest": engines.bundle.digest,
                "device": engines.active_device,
                "precision": engines.bundle.precision,
            }
        )
        if not self._is_shared:
            return generate_latest(self._registry)
        everybody = CollectorRegistry()
        everybody.register(EveryProcess(Path(os.environ[SHARED_FOLDER_VARIABLE])))
        return generate_latest(everybody) + generate_latest(self._own)


class EveryProcess(Collector):
    """The counts of all processes that share a folder, some of which may be starting or gone.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        """Sum what the files of the processes hold."""
        untyped: Any = multiprocess.MultiProcessCollector
        with _locked(self._folder):
            return untyped.merge([str(file) for file in self._folder.glob("*.db") if _is_filled(file)])


def _is_filled(file: Path) -> bool:
    """Whether a process's file has its size: it is made empty, and what is read before then is no file of counts."""
    try:
        return file.stat().st_size > 0
    except FileNotFoundError:
        return False


def forget_process(pid: int, folder: Path) -> None:
    """Take a process that ended out of the sums of what is so at this moment; what it counted stays counted.

    Args:
        pid: The process.
        folder: The folder that the processes share.
    """
    untyped: Any = multiprocess
    untyped.mark_process_dead(pid, str(folder))
    # One file for all that ended: with one for each, processes that die again and again would fill the disk.
    with _locked(folder):
        for kind in ("counter", "histogram"):
            ended = folder / f"{kind}_{pid}.db"
            if ended.is_file() and _is_filled(ended):
                _add_counts(ended, folder / f"{kind}_ended.db")
            ended.unlink(missing_ok=True)


def _add_counts(source: Path, target: Path) -> None:
    untyped: Any = MmapedDict
    counts = untyped(str(target))
    for key, value, timestamp, _ in untyped.read_all_values_from_file(str(source)):
        counts.write_value(key, counts.read_value(key)[0] + value, timestamp)
    counts.close()


@contextmanager
def _locked(folder: Path) -> Generator[None]:
    """Let nobody read the counts while those of a process are moved, as they would be there twice or not at all."""
    with (folder / "lock").open("w") as file:
        if sys.platform != "win32":  # where one process serves alone
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
