"""What HTTP costs: `POST /predict` beside the same decoding and inference called directly.

    python benchmarks/predict.py BUNDLE [--rounds 60] [--device cpu] [--size 1024] [--compression zlib]

Starts `phenoserve serve BUNDLE` as a process of its own and posts one uint8 stack as a raw image/tiff over one
kept-alive connection. The direct calls are `read_stack` and `Engine.infer` on the same bytes, in this process.
In every round the request and the direct calls take turns at being first, so what else the machine does falls on
both. The stack is drawn: blobs under noise, with as many channels as the bundle has stains.
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import tifffile
from rich.console import Console
from rich.progress import track

from phenoserve.bundle import read_bundle
from phenoserve.engine import Engine
from phenoserve.engine.cores import available_cores
from phenoserve.stack import StackLimits, read_stack

START_TIMEOUT_S = 120
NUM_WARM_UPS = 5
MILLISECONDS = 1e3


def draw_tiff(num_channels: int, size_px: int, compression: str | None) -> bytes:
    """Return a drawn stack `(channel, y, x)` uint8 as the bytes of a multi-page TIFF."""
    generator = np.random.default_rng(0)
    blobs = generator.uniform(10, 120, (num_channels, size_px // 16 + 1, size_px // 16 + 1))
    blobs = blobs.repeat(16, axis=1).repeat(16, axis=2)[:, :size_px, :size_px]
    stack = (blobs + generator.normal(20, 5, blobs.shape)).clip(0, 255).astype(np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stack.tif"
        tifffile.imwrite(path, stack, photometric="minisblack", compression=compression)
        return path.read_bytes()


@contextmanager
def served(bundle: Path, device: str, *options: str) -> Iterator[httpx.Client]:
    """Run the service on a free port of this machine until the block ends."""
    with started(bundle, device, *options) as (client, _):
        yield client


@contextmanager
def started(
    bundle: Path, device: str, *options: str, source: Path | None = None
) -> Iterator[tuple[httpx.Client, int]]:
    """Run the service as `served` does, with the code of a folder if one is given; gives the id of its process too."""
    environment = {**os.environ, **({} if source is None else {"PYTHONPATH": str(source.resolve())})}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = shutil.which("phenoserve", path=str(Path(sys.executable).parent))
    if program is None:
        sys.exit(f"No command `phenoserve` beside {sys.executable}: run this with the environment of `make`.")
    command = [program, "serve", str(bundle), "--host", "127.0.0.1", "--port", str(port), "--device", device]
    command += options
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)  # noqa: S603  (our own command)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
                if not is_ready(client, process):
                    log.seek(0)
                    sys.exit(f"The service did not get ready:\n{log.read().decode(errors='replace')}")
                yield client, process.pid
        finally:
            process.terminate()
            process.wait(30)


def is_ready(client: httpx.Client, process: subprocess.Popen[bytes]) -> bool:
    """Wait until the service is ready; False if it ends first or takes too long."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if client.get("/readyz").is_success:
                return True
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    return False


def timed_ms(call: Callable[[], object]) -> float:
    """Return the milliseconds that a call takes."""
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * MILLISECONDS


def measure(client: httpx.Client, engine: Engine, tiff: bytes, num_rounds: int) -> dict[str, np.ndarray]:
    """Time every part in every round; milliseconds, one value a round."""
    limits = StackLimits()

    def request() -> dict[str, float]:
        def post() -> None:
            headers = {"content-type": "image/tiff"}
            client.post("/predict", content=tiff, headers=headers).raise_for_status()

        return {"http": timed_ms(post)}

    def direct() -> dict[str, float]:
        started = time.perf_counter()
        stack = read_stack(tiff, limits).array[np.newaxis]
        decoded = time.perf_counter()
        engine.infer(stack)
        answered = time.perf_counter()
        return {
            "decode": (decoded - started) * MILLISECONDS,
            "answer": (answered - decoded) * MILLISECONDS,
            "direct": (answered - started) * MILLISECONDS,
        }

    rounds: list[dict[str, float]] = []
    numbers = track(range(NUM_WARM_UPS + num_rounds), "rounds", console=Console(stderr=True))
    for index in numbers:
        first, second = (request, direct) if index % 2 else (direct, request)
        rounds.append({**first(), **second()})
    return {name: np.array([r[name] for r in rounds[NUM_WARM_UPS:]]) for name in rounds[0]}


def print_table(times: dict[str, np.ndarray]) -> None:
    """Print median and spread of every part in milliseconds, then HTTP over the direct calls."""
    names = {
        "http": "POST /predict over HTTP",
        "direct": "decode + answer, called directly",
        "decode": "  read_stack",
        "answer": "  Engine.answer",
    }
    print(f"{'milliseconds':<34}{'p50':>9}{'p5':>9}{'p95':>9}")
    for key, name in names.items():
        p5, p50, p95 = np.percentile(times[key], (5, 50, 95))
        print(f"{name:<34}{p50:>9.1f}{p5:>9.1f}{p95:>9.1f}")
    p5, p50, p95 = np.percentile(times["http"] / times["direct"], (5, 50, 95))
    print(f"{'HTTP / direct, round by round':<34}{p50:>9.3f}{p5:>9.3f}{p95:>9.3f}")
    ratio = np.median(times["http"]) / np.median(times["direct"])
    print(f"{'HTTP / direct, p50 over p50':<34}{ratio:>9.3f}")


def main() -> None:
    """Read the arguments, start the service, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="cpu")
    parser.add_argument("--size", type=int, default=1024, help="height and width of the stack in pixels")
    parser.add_argument("--compression", default=None, help="such as lzw or zlib; none by default")
    args = parser.parse_args()

    bundle = read_bundle(args.bundle)
    stains, downsample = bundle.manifest.input.channels, bundle.manifest.input.downsample
    tiff = draw_tiff(len(stains), args.size, args.compression)
    engine = Engine.load(bundle, device=args.device)
    with served(args.bundle, args.device) as client:
        times = measure(client, engine, tiff, args.rounds)
    print(
        f"{len(stains)} x {args.size} x {args.size} uint8, {len(tiff) / 2**20:.1f} MiB of TIFF, "
        f"compression {args.compression}; downsample {downsample}; {engine.active_device}, "
        f"{available_cores()} cores; {args.rounds} rounds"
    )
    print_table(times)


if __name__ == "__main__":
    main()
