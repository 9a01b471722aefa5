"""Readiness, limits of requests in flight, and the end of the service."""

import io
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import anyio
import httpx
import pytest
import tifffile

from phenoserve.bundle import Golden
from phenoserve.engine import Engine
from phenoserve.http import create_app
from phenoserve.scheduling import Engines, Readiness
from phenoserve.settings import Settings

from .conftest import asking, until
from .engines import HeldEngine
from .problem import assert_problem

HEADERS = {"content-type": "image/tiff"}


@pytest.fixture
def tiff(array) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, array, photometric="minisblack")
    return file.getvalue()


@pytest.mark.anyio
async def test_requests_beyond_the_limit_are_told_to_come_back(engine, tiff) -> None:
    """With n in flight the next request is refused at once with 429; the n are answered."""
    held = HeldEngine(engine)
    app = create_app(Engines.of(held), Settings(max_in_flight=3))
    answers: list[httpx.Response] = []
    async with asking(app) as client, anyio.create_task_group() as tasks:
        held.gate.clear()

        async def post() -> None:
            answers.append(await client.post("/predict", content=tiff, headers=HEADERS))

        for _ in range(3):
            tasks.start_soon(post)
        await until(lambda: app.service.scheduler.admission.num_requests == 3)
        assert_problem(await client.post("/embed", content=tiff, headers=HEADERS), "too_many_requests")
        assert (await client.get("/livez")).status_code == 200
        held.gate.set()
    assert [answer.status_code for answer in answers] == [200] * 3
    assert app.service.scheduler.admission.num_requests == 0


@pytest.mark.anyio
async def test_an_attribution_does_not_hold_up_the_end(engine, tiff) -> None:
    """When the service ends, an attribution gives up before its next pass, and its request is told so."""
    held = HeldEngine(engine)
    app = create_app(Engines.of(held), Settings())
    answers: list[httpx.Response] = []
    async with asking(app) as client, anyio.create_task_group() as tasks:
        held.gate.clear()
        num_asked = held.num_asked

        async def post() -> None:
            answers.append(await client.post("/explain?stains=true", content=tiff, headers=HEADERS))

        tasks.start_soon(post)
        await until(lambda: held.num_asked == num_asked + 1)
        threading.Timer(0.2, held.gate.set).start()
        await app.service.scheduler.stop()
    assert held.num_asked == num_asked + 1
    assert_problem(answers[0], "not_ready")


@pytest.mark.anyio
async def test_the_service_is_not_ready_before_the_golden_stacks_match(engine, tiff) -> None:
    """Until the replay is done /readyz and the stack routes answer 503, /livez 200; afterwards all answer."""
    held = HeldEngine(engine)
    held.gate.clear()
    app = create_app(Engines.of(held), Settings())
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        assert_problem(await client.get("/readyz"), "not_ready")
        assert_problem(await client.post("/predict", content=tiff, headers=HEADERS), "not_ready")
        assert (await client.get("/livez")).status_code == 200
        held.gate.set()
        await app.service.scheduler.proof
        assert (await client.get("/readyz")).json() == {"status": "ready"}
        assert (await client.post("/predict", content=tiff, headers=HEADERS)).status_code == 200


@pytest.mark.anyio
async def test_a_bundle_that_answers_otherwise_never_gets_ready(engine, tiff, caplog) -> None:
    """If a golden answer is missed the service stays unready, and the log says which output and by how much."""
    golden = engine.bundle.golden
    wrong = replace(golden.outputs[0], logits=golden.outputs[0].logits + 1)
    bundle = replace(engine.bundle, golden=Golden(golden.stacks[:1], (wrong,)))
    app = create_app(Engines.of(Engine(bundle, engine._graph)), Settings())
    async with asking(app) as client:
        assert app.service.scheduler.readiness is Readiness.GOLDEN_MISMATCH
        assert_problem(await client.get("/readyz"), "not_ready")
        assert_problem(await client.post("/predict", content=tiff, headers=HEADERS), "not_ready")
    assert "logits" in caplog.text
    assert "off by 1" in caplog.text


def test_sigterm_finishes_what_is_in_flight(tiny_bundle, array, tmp_path) -> None:
    """After SIGTERM the service is not ready, still answers for its draining time, and ends with 0."""
    log = tmp_path / "log"
    command = [
        Path(sys.executable).with_name("phenoserve"),
        "serve",
        tiny_bundle,
        "--port",
        "0",
        "--drain-s",
        "1.5",
    ]
    file = io.BytesIO()
    tifffile.imwrite(file, array, photometric="minisblack")
    half = len(file.getvalue()) // 2
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            url = address(process, log)
            with httpx.Client(base_url=url) as client:
                while client.get("/readyz").status_code != 200:
                    time.sleep(0.05)

                def halves():
                    yield file.getvalue()[:half]
                    process.send_signal(signal.SIGTERM)
                    deadline = time.monotonic() + 10
                    while httpx.get(url + "readyz").status_code == 200 and time.monotonic() < deadline:
                        time.sleep(0.02)
                    assert_problem(httpx.get(url + "readyz"), "not_ready")
                    assert httpx.get(url + "livez").status_code == 200
                    while is_open(url) and time.monotonic() < deadline:
                        time.sleep(0.05)
                    yield file.getvalue()[half:]

                answer = client.post("/predict", content=halves(), headers=HEADERS, timeout=30)
            assert answer.status_code == 200
            assert not is_open(url)
            assert process.wait(30) == 0, log.read_text()
        finally:
            process.kill()
    assert "Traceback" not in log.read_text()


def address(process: subprocess.Popen, log: Path) -> str:
    """The address that the service prints."""
    deadline = time.monotonic() + 180
    while process.poll() is None and time.monotonic() < deadline:
        words = [word for word in log.read_text().split() if word.startswith("http://")]
        if words:
            return words[0].rstrip("/") + "/"
        time.sleep(0.05)
    pytest.fail(f"the service did not start:\n{log.read_text()}")


def is_open(url: str) -> bool:
    try:
        httpx.get(url + "livez")
    except httpx.TransportError:
        return False
    return True
