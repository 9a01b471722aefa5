"""Other servers of the same graph, each in an environment of its own that uv makes."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from serving.loads import poster

ROOT = Path(__file__).resolve().parents[2]
PEERS = {
    "FastAPI": ("fastapi_peer.py", ("fastapi", "uvicorn[standard]")),
    "LitServe": ("litserve_peer.py", ("litserve",)),
    "BentoML": ("bentoml_peer.py", ("bentoml",)),
    "MLServer": ("mlserver_peer.py", ("mlserver",)),
    "Ray Serve": ("ray_peer.py", ("ray[serve]",)),
}
"""Script in `benchmarks/peers` and what it needs beside the reader and ONNX Runtime."""

COMMON = ("numpy", "onnxruntime", "tifffile", "imagecodecs")
START_TIMEOUT_S = 240


class PeerError(Exception):
    """Raised when a peer does not answer in time; the message ends with the last of its log."""


@contextmanager
def peer(name: str, bundle: Path, tiff: bytes, num_workers: int, num_threads: int) -> Iterator[int]:
    """Run a peer until the block ends; gives its port.

    Args:
        name: Key of `PEERS`.
        bundle: Folder whose `model.onnx` it serves.
        tiff: A stack that it must answer before it counts as started.
        num_workers: Inferences at the same time: threads or processes, as the peer has them.
        num_threads: Threads of one inference.

    Raises:
        PeerError: If it cannot be installed or does not answer.
    """
    script, packages = PEERS[name]
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv is None:
        sys.exit("No command `uv`: put it on the PATH, or name it in the variable UV.")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = [part for package in (*COMMON, *packages) for part in ("--with", package)]
    command = [uv, "run", "--isolated", "--no-project", "--python", "3.11", *options, "python"]
    command += [str(ROOT / "benchmarks" / "peers" / script), str(bundle.resolve()), str(port)]
    command += [str(num_workers), str(num_threads)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "service" / "src"), "OMP_NUM_THREADS": "1"}
    log = ROOT / ".peers" / f"{script}.log"
    log.parent.mkdir(exist_ok=True)
    with (
        log.open("wb") as output,
        subprocess.Popen(  # noqa: S603  (our own command)
            command, stdout=output, stderr=output, env=environment, start_new_session=True
        ) as process,
    ):
        try:
            call, deadline = poster(port, "/predict", tiff), time.monotonic() + START_TIMEOUT_S
            while call() != 200:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise PeerError(f"{name} did not start:\n{log.read_text(errors='replace')[-800:]}")
                time.sleep(0.5)
            yield port
        finally:
            end_group(process)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started: politely, then not."""
    for sent in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sent)
            process.wait(15)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
