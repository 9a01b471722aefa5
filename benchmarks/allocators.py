"""What it costs to give memory back after every call of the graph, and what it holds not to.

    python benchmarks/allocators.py BUNDLE [--calls 15] [--fields 180] [--size 1024]

Each way of keeping memory runs in a process of its own, on one thread: first calls with one field, for the processor's
milliseconds and the page faults of a call; then two sessions at once with fields of random sizes from 128 to 1400 px,
for the resident memory after each third of them and at most. ONNX Runtime is used without the service's settings.
"""

import argparse
import ctypes
import resource
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import numpy as np
import onnxruntime as ort
from rich.console import Console
from rich.table import Table

from phenoserve.bundle import read_bundle

GIVEN_BACK, ARENA, PLANNED, SHARED, MALLOC = (
    "given back after a call",
    "an arena in each session",
    "the same with a memory plan",
    "one arena for all, grown as asked",
    "malloc told to keep what is freed",
)
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # glibc's malloc.h
SIZES_PX = (128, 1400)


def open_session(way: str, model: bytes) -> ort.InferenceSession:
    """Open a session that keeps its memory in one of the ways."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = way in {ARENA, PLANNED, SHARED}
    options.enable_mem_pattern = way == PLANNED
    if way == SHARED:
        options.add_session_config_entry("session.use_env_allocators", "1")
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def prepare(way: str) -> None:
    """Set what a way needs of the whole process."""
    if way == SHARED:
        place = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
        settings = {"max_mem": 0, "arena_extend_strategy": 1, "initial_chunk_size_bytes": -1}
        ort.create_and_register_allocator(place, ort.OrtArenaCfg(settings | {"max_dead_bytes_per_chunk": -1}))
    if way == MALLOC:
        libc = ctypes.CDLL("libc.so.6")
        for name, value in ((M_MMAP_THRESHOLD, 2**30), (M_TRIM_THRESHOLD, 2**31 - 1), (M_ARENA_MAX, 1)):
            libc.mallopt(name, value)


def time_calls(way: str, model: bytes, shape: tuple[int, ...], num_calls: int) -> tuple[float, float]:
    """Medians of the processor's milliseconds and of the page faults of a call, after three that are not counted."""
    prepare(way)
    session, stacks = open_session(way, model), np.random.default_rng(0).integers(0, 256, shape)
    used: list[tuple[float, int]] = []
    for _ in range(num_calls + 4):
        session.run(None, {"stack": stacks.astype(np.float32)})
        usage = resource.getrusage(resource.RUSAGE_SELF)
        used.append((1e3 * (usage.ru_utime + usage.ru_stime), usage.ru_minflt))
    steps = np.diff(np.array(used[3:]), axis=0)
    return median(steps[:, 0]), median(steps[:, 1])


def hold_fields(way: str, model: bytes, num_channels: int, num_fields: int) -> tuple[list[int], int]:
    """Resident MiB after each third of fields of random sizes, and the most at any time."""
    prepare(way)
    sessions = [open_session(way, model) for _ in range(2)]
    sizes = np.random.default_rng(0).integers(*SIZES_PX, (3, num_fields // 3, 2))
    held: list[int] = []

    def work(session: ort.InferenceSession, of_session: np.ndarray) -> None:
        for height, width in of_session:
            session.run(None, {"stack": np.zeros((1, num_channels, height, width), np.float32)})

    for third in sizes:
        threads = [
            threading.Thread(target=work, args=(session, third[at::2])) for at, session in enumerate(sessions)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        held.append(pages * resource.getpagesize() // 2**20)
    return held, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 2**10


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--calls", type=int, default=15)
    parser.add_argument("--fields", type=int, default=180)
    parser.add_argument("--size", type=int, default=1024, help="height and width of the field, px")
    asked = parser.parse_args()
    bundle = read_bundle(asked.bundle)
    models = {at: bundle.at(at).read_model() for at in bundle.goldens if at != "fp16"}
    num_channels = len(bundle.manifest.input.channels)
    shape = (1, num_channels, asked.size, asked.size)
    table = Table("memory", *(f"{at}, ms (page faults)" for at in models), "resident, MiB", "at most, MiB")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as process:
        for way in (GIVEN_BACK, ARENA, PLANNED, SHARED, MALLOC):
            timed = [
                process.submit(time_calls, way, model, shape, asked.calls).result()
                for model in models.values()
            ]
            held, most = process.submit(hold_fields, way, models["fp32"], num_channels, asked.fields).result()
            cells = [f"{milliseconds:.0f} ({faults:.0f})" for milliseconds, faults in timed]
            table.add_row(way, *cells, ", ".join(map(str, held)), str(most))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
