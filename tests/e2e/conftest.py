import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from phenoclient import Client, ServiceUnreachableError
from phenoserve.bundle import read_bundle
from phenoserve.engine import Engine

START_LIMIT_S = 180


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def serving(bundle: Path, log: Path, *options: str) -> Iterator[str]:
    """The installed service, answering from a bundle in a process of its own; gives its address."""
    port = free_port()
    command = [Path(sys.executable).with_name("phenoserve"), "serve", bundle, "--host", "127.0.0.1"]
    command += ["--port", str(port), "--device", "cpu", *options]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_ready(url, process, log)
            yield url
        finally:
            process.terminate()
            returncode = process.wait(timeout=30)
    assert returncode == 0, log.read_text()


def wait_until_ready(url: str, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    with Client(url) as client:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if client.ready():
                    return
            except ServiceUnreachableError:
                pass
            time.sleep(0.1)
    pytest.fail(f"the service was not ready in time:\n{log.read_text()}")


@pytest.fixture(scope="session")
def serve(tmp_path_factory) -> Callable:
    """Starts the service on a bundle with more options; a context manager that gives its address."""
    return lambda bundle, *options: serving(bundle, tmp_path_factory.mktemp("service") / "log", *options)


@pytest.fixture(scope="session")
def service_url(serve, tiny_bundle) -> Iterator[str]:
    with serve(tiny_bundle) as url:
        yield url


@pytest.fixture(scope="session")
def engine(tiny_bundle) -> Engine:
    return Engine.load(read_bundle(tiny_bundle), device="cpu")


@pytest.fixture(scope="session")
def stacks(engine) -> list[np.ndarray]:
    """Stacks of several sizes and of every pixel type."""
    generator = np.random.default_rng(20200617)
    num_channels = len(engine.bundle.manifest.input.channels)
    shapes = [(np.uint8, 64, 64), (np.uint16, 96, 70), (np.float32, 130, 101)]
    return [
        uniform_filter(
            generator.gamma(2.0, 30.0, (num_channels, height, width)).clip(0, 255), (1, 3, 3)
        ).astype(dtype)
        for dtype, height, width in shapes
    ]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def client(service_url) -> Iterator[Client]:
    with Client(service_url) as client:
        yield client
