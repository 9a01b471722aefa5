import io
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import anyio
import httpx
import numpy as np
import pytest
import tifffile
from scipy.ndimage import gaussian_filter

from phenoserve.bundle import read_bundle
from phenoserve.engine import Engine
from phenoserve.http import create_app
from phenoserve.http.app import App
from phenoserve.process.serve import hooks_of
from phenoserve.process.server import DrainingServer, open_listener
from phenoserve.scheduling import Engines, Readiness
from phenoserve.settings import Settings

START_LIMIT_S = 30


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def engine(tiny_bundle) -> Engine:
    return Engine.load(read_bundle(tiny_bundle), device="cpu", num_threads=1)


@pytest.fixture(scope="session")
def array(engine) -> np.ndarray:
    """A stack of the bundle's channels, uint16, not square."""
    generator = np.random.default_rng(7)
    num_channels = len(engine.bundle.manifest.input.channels)
    points = generator.gamma(2.0, 300.0, (num_channels, 130, 70))
    return gaussian_filter(points, (0, 1, 1)).astype(np.uint16)


async def until(is_so: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not is_so():  # noqa: ASYNC110  (a counter has no event to wait for)
            await anyio.sleep(0.01)


def encode_tiff(array: np.ndarray) -> bytes:
    """A stack as a plain TIFF."""
    file = io.BytesIO()
    tifffile.imwrite(file, array, photometric="minisblack")
    return file.getvalue()


async def refusal_before_body(app: App, path: str, headers: dict[str, str]) -> httpx.Response:
    """The answer to a request whose body must not be asked for before it is sent."""
    sent: list[dict] = []

    async def receive() -> dict:
        assert any(message["type"] == "http.response.body" for message in sent), "the body was read"
        return {"type": "http.disconnect"}

    async def send(message) -> None:
        sent.append(message)

    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b""}
    await app({**scope, "root_path": "", "headers": pairs}, receive, send)
    content = b"".join(message.get("body", b"") for message in sent)
    return httpx.Response(sent[0]["status"], headers=sent[0]["headers"], content=content)


@asynccontextmanager
async def asking(app: App) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app in process, its lifespan running and its golden stacks replayed."""
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        await app.service.scheduler.proof
        yield client


@pytest.fixture
def ask(engine) -> Callable:
    """Gives a client of a fresh app with these settings; a context manager."""

    def start(with_engine: Engine | None = None, **settings: object):
        return asking(create_app(Engines.of(with_engine or engine), Settings(**settings)))

    return start


class Listening:
    """A server on a thread, and its address."""

    def __init__(self, app: App, **settings: object) -> None:
        self.app, self.url = app, ""
        self._server = DrainingServer(
            app, hooks_of(app), Settings(**settings), lambda url: setattr(self, "url", url)
        )
        listener = open_listener("127.0.0.1", 0)
        self._thread = threading.Thread(target=self._server.run, args=([listener],))

    def __enter__(self) -> Self:
        self._thread.start()
        deadline = time.monotonic() + START_LIMIT_S
        while self.app.service.scheduler.readiness is Readiness.STARTING or not self.url:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return self

    def stop(self, sig: signal.Signals) -> None:
        """Have the server take a signal now."""
        self._server.handle_exit(sig, None)

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(START_LIMIT_S)


@pytest.fixture
def listen() -> type[Listening]:
    return Listening


@pytest.fixture(scope="session")
def server(engine) -> Iterator[Listening]:
    """The real server on a free port, with bodies of at most a second and a MiB."""
    settings = {"body_timeout_s": 1, "max_body_mib": 1}
    with Listening(create_app(Engines.of(engine), Settings(**settings)), **settings) as listening:
        yield listening


@pytest.fixture(scope="session")
def two_stain_bundle(tmp_path_factory, make_tiny_bundle) -> Path:
    path = tmp_path_factory.mktemp("two") / "bundle"
    make_tiny_bundle(
        path, channels=("GFP", "DNA"), treatments=("negative", "positive"), control="negative", downsample=1
    )
    return path
