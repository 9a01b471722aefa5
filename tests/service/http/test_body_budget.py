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
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from phenoserve.http import create_app
from phenoserve.http.request.body import read_head, read_upload
from phenoserve.scheduling import Engines
from phenoserve.settings import MIB, Settings

from .conftest import asking, encode_tiff, until
from .engines import HeldEngine
from .problem import assert_problem

pytestmark = pytest.mark.anyio
HEADERS = {"content-type": "image/tiff"}


async def in_pieces(content: bytes, gate: anyio.Event):
    """A body without a length, whose second half waits for the gate."""
    yield content[: len(content) // 2]
    await gate.wait()
    yield content[len(content) // 2 :]


async def never_read():
    raise AssertionError("the body was read")
    yield b""


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
        refused = await client.post(
            "/predict", content=never_read(), headers={**HEADERS, "content-length": str(len(tiff))}
        )
        assert "MiB" in assert_problem(refused, "too_many_requests")
        held.gate.set()
    assert statuses == [200, 200]
    assert app.service.scheduler.admission.num_bytes == 0


async def test_a_body_of_unknown_length_takes_the_largest(engine, array) -> None:
    """Without Content-Length a body takes as much as any may while it arrives, then what it is; it is never refused."""
    tiff = encode_tiff(array)
    held = HeldEngine(engine)
    app = create_app(Engines.of(held), Settings(max_body_mib=1, max_in_flight_mib=1.5))
    admission = app.service.scheduler.admission
    gate = anyio.Event()
    statuses: list[int] = []
    async with asking(app) as client, anyio.create_task_group() as tasks:
        held.gate.clear()

        async def post() -> None:
            answer = await client.post("/predict", content=in_pieces(tiff, gate), headers=HEADERS)
            statuses.append(answer.status_code)

        tasks.start_soon(post)
        await until(lambda: admission.num_bytes == MIB)
        assert_problem(
            await client.post("/predict", content=never_read(), headers=HEADERS), "too_many_requests"
        )
        gate.set()
        await until(lambda: admission.num_bytes == len(tiff))
        held.gate.set()
    assert statuses == [200]
    assert admission.num_bytes == 0


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
    upload = anyio.run(partial(read_upload, request, read_head(request, Settings()), Settings()))
    assert upload.content == b"".join(chunks)


async def test_a_body_that_comes_whole_is_not_copied() -> None:
    """A body that arrives in one piece is read as that very piece."""
    piece = memoryview(bytes(100))
    request = request_of([piece], declares=True)
    upload = await read_upload(request, read_head(request, Settings()), Settings())
    assert upload.content is piece


def test_the_server_runs_on_the_fast_loop_and_parser(server) -> None:
    """The real server parses with httptools, and runs on uvloop where there is one."""
    config = server._server.config
    kind = config.http_protocol_class
    assert issubclass(getattr(kind, "func", kind), HttpToolsProtocol)
    assert httpx.get(server.url + "livez").status_code == 200
    assert config.get_loop_factory().__module__.startswith("uvloop" if sys.platform != "win32" else "asyncio")


def test_what_stays_is_left_out_of_garbage_collection(server) -> None:
    """Once the port is open, what was imported and loaded is not looked at by a collection any more."""
    assert httpx.get(server.url + "livez").status_code == 200
    assert gc.get_freeze_count() > len(sys.modules)
