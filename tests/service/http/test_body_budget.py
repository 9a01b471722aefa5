"""The bytes of bodies in flight: taken before a body is read, never more than may be, all given back."""

import gc
import sys
from collections.abc import Sequence
from functools import partial

import anyio
import httpx
import pytest
from fastapi import Request
from hypothesis import given, settings
from hypothesis import strategies as st
from uvicorn.protocols.http.h11_impl import H11Protocol

from phenoserve.http import create_app
from phenoserve.http.request import body
from phenoserve.http.request.body import read_head, read_upload
from phenoserve.scheduling import Engines
from phenoserve.settings import MIB, Settings

from .conftest import asking, encode_tiff, refusal_before_body, until
from .engines import HeldEngine
from .problem import assert_problem

pytestmark = pytest.mark.anyio
HEADERS = {"content-type": "image/tiff"}


async def in_pieces(content: bytes, gate: anyio.Event):
    """A body without a length, whose second half waits for the gate."""
    yield content[: len(content) // 2]
    await gate.wait()
    yield content[len(content) // 2 :]


async def test_a_body_beyond_the_budget_is_refused_unread(engine, array) -> None:
    """A body that does not fit beside those in flight is answered 429 unread; afterwards all bytes are free."""
    tiff = encode_tiff(array)
    held = HeldEngine(engine)
    app = create_app(Engines.of(held), Settings(max_in_flight_mib=2.5 * len(tiff) / MIB))
    statuses: list[int] = []
    async with asking(app) as client, anyio.create_task_group() as tasks:
        held.gate.clear()

        async def post() -> None:
            statuses.append((await client.post("/predict", content=tiff, headers=HEADERS)).status_code)

        for _ in range(2):
            tasks.start_soon(post)
        await until(lambda: app.service.scheduler.admission.num_bytes == 2 * len(tiff))
        refused = await refusal_before_body(app, "/predict", {**HEADERS, "content-length": str(len(tiff))})
        assert "MiB" in assert_problem(refused, "too_many_requests")
        held.gate.set()
    assert statuses == [200, 200]
    assert app.service.scheduler.admission.num_bytes == 0


@given(st.lists(st.integers(0, 12 * MIB), max_size=8), st.booleans())
@settings(deadline=None, max_examples=30)
def test_a_body_holds_what_has_arrived_and_a_step(sizes: list[int], declares: bool) -> None:
    """A body holds nothing for its first 16 KiB, then at most twice what has arrived or a large page, then its size."""
    request = request_of([bytes(size) for size in sizes], declares=declares)
    held = [0]
    anyio.run(partial(read_upload, request, read_head(request, Settings()), Settings(), held.append))
    arrived = 0
    steps = iter(held[1:])
    holds = 0
    for size in sizes:
        arrived += size
        if arrived > max(holds, 2**14):
            holds = next(steps)
            assert arrived <= holds <= max(2 * arrived, 2**21)
            assert holds <= arrived + max(2**23, 2**21)
    assert list(steps) == [arrived]


@pytest.mark.parametrize("stains", ["", "?stains=true"])
@pytest.mark.parametrize("declares", [True, False])
async def test_silent_senders_turn_nobody_away(engine, array, declares, stains) -> None:
    """Any number of bodies that are announced and do not come leaves room and places for those that do."""
    tiff = encode_tiff(array)
    app = create_app(Engines.of(engine), Settings(max_in_flight=2, max_in_flight_mib=1))
    silence = anyio.Event()

    async def silent():
        yield tiff[:1000]
        await silence.wait()

    headers = HEADERS | ({"content-length": str(MIB)} if declares else {})
    path = "/explain" + stains if stains else "/predict"
    async with asking(app) as client, anyio.create_task_group() as tasks:
        for _ in range(80):
            tasks.start_soon(partial(client.post, path, content=silent(), headers=headers))
        await anyio.wait_all_tasks_blocked()
        for _ in range(20):
            assert (await client.post(path, content=tiff, headers=HEADERS)).status_code == 200
        tasks.cancel_scope.cancel()
    assert app.service.scheduler.admission.num_bytes == 0


async def test_a_body_that_comes_too_slowly_is_refused(engine, monkeypatch) -> None:
    """A body that falls behind the least rate after the grace is answered 408 with what came and what is expected."""
    monkeypatch.setattr(body, "GRACE_S", 0.1)
    app = create_app(Engines.of(engine), Settings())

    async def trickling():
        while True:
            yield bytes(1024)
            await anyio.sleep(0.05)

    async with asking(app) as client:
        detail = assert_problem(
            await client.post("/predict", content=trickling(), headers=HEADERS), "body_too_slow"
        )
    assert "64 KiB for each second" in detail


async def test_an_answer_is_held_until_it_is_sent(engine, array) -> None:
    """An answer counts with its own bytes until the server has taken its end, and then no more."""
    tiff = encode_tiff(array)
    app = create_app(Engines.of(engine), Settings())
    admission = app.service.scheduler.admission
    messages = iter([{"type": "http.request", "body": tiff, "more_body": False}])
    sent: list[tuple[int, int]] = []

    async def receive():
        if (message := next(messages, None)) is None:
            await anyio.sleep_forever()
        return message

    async def send(message) -> None:
        if message["type"] == "http.response.body" and not message["more_body"]:
            sent.append((admission.num_requests, admission.num_bytes))
        elif message["type"] == "http.response.body":
            assert admission.num_bytes == len(message["body"])

    headers = [(b"content-type", b"image/tiff"), (b"accept", b"image/png")]
    scope = {"type": "http", "method": "POST", "path": "/explain", "query_string": b"", "headers": headers}
    async with asking(app):
        await app({**scope, "root_path": "", "raw_path": b"/explain"}, receive, send)
    assert sent[0][0] == 1
    assert sent[0][1] > 0
    assert admission.num_bytes == admission.num_requests == 0


@pytest.mark.parametrize("content", [b"GIF89a", b"II*\0", b""])
async def test_a_refused_body_gives_its_bytes_back(engine, content) -> None:
    """Bodies that are refused, whatever for, leave no bytes behind."""
    app = create_app(Engines.of(engine), Settings(max_in_flight_mib=1))
    async with asking(app) as client:
        for _ in range(5):
            assert (await client.post("/predict", content=content, headers=HEADERS)).status_code >= 400
    assert app.service.scheduler.admission.num_bytes == 0


async def test_no_body_may_be_larger_than_all_together(engine) -> None:
    """A body that could never be let in is refused as too large, not told to come back."""
    async with asking(create_app(Engines.of(engine), Settings(max_in_flight_mib=0.5))) as client:
        assert_problem(await client.post("/predict", content=bytes(MIB), headers=HEADERS), "body_too_large")


def request_of(chunks: Sequence[bytes | memoryview], *, declares: bool) -> Request:
    messages = iter(
        [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
        + [{"type": "http.request", "body": b"", "more_body": False}]
    )

    async def receive():
        return next(messages)

    headers = [(b"content-type", b"image/tiff")]
    if declares:
        headers.append((b"content-length", str(sum(map(len, chunks))).encode()))
    return Request(
        {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers}, receive
    )


@given(st.lists(st.binary(max_size=500)), st.booleans())
@settings(deadline=None)
def test_a_body_arrives_as_it_was_sent(chunks: list[bytes], declares: bool) -> None:
    """Whatever its pieces and whether its length is declared, a body is read byte by byte."""
    request = request_of(chunks, declares=declares)
    held: list[int] = []
    upload = anyio.run(partial(read_upload, request, read_head(request, Settings()), Settings(), held.append))
    assert upload.content == b"".join(chunks)
    assert held[-1] == len(upload.content)


def test_the_server_runs_on_the_fast_loop_and_the_strict_parser(server) -> None:
    """The real server parses with h11, whose heads are bounded, and runs on uvloop where there is one."""
    config = server._server.config
    assert issubclass(config.http_protocol_class, H11Protocol)
    assert httpx.get(server.url + "livez").status_code == 200
    assert config.get_loop_factory().__module__.startswith("uvloop" if sys.platform != "win32" else "asyncio")


def test_what_stays_is_left_out_of_garbage_collection(server) -> None:
    """Once the port is open, what was imported and loaded is not looked at by a collection any more."""
    assert httpx.get(server.url + "livez").status_code == 200
    assert gc.get_freeze_count() > len(sys.modules)
