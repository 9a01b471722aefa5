"""What is over leaves nothing in memory, whether or not garbage is ever collected."""

import gc
import socket
import time
import tracemalloc
from collections.abc import Callable, Iterator

import httpx
import numpy as np
import pytest

from phenoserve.engine import Engine
from phenoserve.http import create_app
from phenoserve.scheduling import Engines
from phenoserve.settings import Settings

from .conftest import Listening, encode_tiff

NUM_REQUESTS = 6
SIZE_PX = 600
CONTENT = encode_tiff(np.random.default_rng(0).integers(0, 250, (6, SIZE_PX, SIZE_PX)).astype(np.uint8))
FEWER = encode_tiff(np.random.default_rng(0).integers(0, 250, (5, SIZE_PX, SIZE_PX)).astype(np.uint8))
CUT = CONTENT[:-1000]
HEADERS = {"content-type": "image/tiff"}
RELEASE_S = 5


@pytest.fixture(scope="module")
def url(engine: Engine) -> Iterator[str]:
    with Listening(create_app(Engines.of(engine), Settings())) as listening:
        yield listening.url


@pytest.fixture
def without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def post(url: str, content: bytes, **headers: str) -> int:
    return httpx.post(f"{url}predict", content=content, headers=HEADERS | headers, timeout=20).status_code


def post_parts(url: str, *contents: bytes) -> int:
    parts = [("stack", (f"{number}.tif", content, "image/tiff")) for number, content in enumerate(contents)]
    return httpx.post(f"{url}predict", files=parts, timeout=20).status_code


def leave(url: str) -> int:
    """Send a whole request and go."""
    at = httpx.URL(url)
    head = f"POST /predict HTTP/1.1\r\nHost: h\r\nContent-Type: image/tiff\r\nContent-Length: {len(CONTENT)}\r\n\r\n"
    with socket.create_connection((at.host, at.port or 80)) as connection:
        connection.sendall(head.encode() + CONTENT)
        time.sleep(0.02)
    return 499


@pytest.mark.parametrize(
    ("status", "ask"),
    [
        pytest.param(200, lambda url: post(url, CONTENT), id="answered"),
        pytest.param(200, lambda url: post_parts(url, CONTENT, CONTENT), id="parts answered"),
        pytest.param(422, lambda url: post(url, CUT), id="damaged"),
        pytest.param(422, lambda url: post(url, FEWER), id="other channels"),
        pytest.param(422, lambda url: post_parts(url, CONTENT, CUT, FEWER), id="parts damaged"),
        pytest.param(503, lambda url: post(url, CONTENT, **{"x-timeout-ms": "1"}), id="deadline"),
        pytest.param(499, leave, id="left"),
    ],
)
@pytest.mark.usefixtures("without_collector")
def test_neither_body_nor_stack_stays(url: str, status: int, ask: Callable[[str], int]) -> None:
    """Once a request is over, however it ended, its body and its stacks are gone, though no garbage is collected."""
    assert ask(url) == status
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(NUM_REQUESTS):
            assert ask(url) == status
        give_up = time.monotonic() + RELEASE_S
        while (kept := tracemalloc.get_traced_memory()[0] - before) > len(CONTENT):
            assert time.monotonic() < give_up, f"{kept / len(CONTENT):.1f} bodies of {NUM_REQUESTS} requests"
            time.sleep(0.05)
    finally:
        tracemalloc.stop()
