"""Bodies on the wire: received whole and in place, or thrown away, on a connection that goes on."""

import asyncio
import hashlib
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import pytest
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st

from phenoserve.http.body_protocol import WORTH_IT, BodyProtocol
from phenoserve.http.discards import Discards

MAX_BYTES = 20 * 2**20
GIVE_UP_S = 0.2
seen: list[str] = []
"""What the application was told of bodies that it did not get."""


async def application(scope, receive, send) -> None:
    """Answers with the SHA-256 of the body and its number of messages; `/refuse` and `/give-up` do not read it."""
    if scope["type"] == "lifespan":
        for kind in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{kind}.complete"})
        return
    found, num_chunks = hashlib.sha256(), 0
    status, is_over = 200, scope["path"] == "/refuse"
    while not is_over:
        try:
            async with asyncio.timeout(GIVE_UP_S if scope["path"] == "/give-up" else None):
                message = await receive()
        except TimeoutError:
            status, is_over = 408, True
            continue
        if message["type"] == "http.disconnect":
            seen.append("left")
            return
        found.update(message["body"])
        num_chunks += len(message["body"]) > 0
        is_over = not message["more_body"]
    status = 429 if scope["path"] == "/refuse" else status
    content = f"{found.hexdigest()} {num_chunks}".encode()
    headers = [(b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


@contextmanager
def served(discards: Discards) -> Iterator[int]:
    """Run the application until the block ends; gives its port."""
    listening = socket.create_server(("127.0.0.1", 0))
    protocol = partial(BodyProtocol, max_body_bytes=MAX_BYTES, discards=discards)
    server = uvicorn.Server(uvicorn.Config(application, http=protocol, log_config=None, loop="uvloop"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join()
    listening.close()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with served(Discards(timeout_s=0.5)) as port:
        yield port


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        yield connection


def head(path: str, num_bytes: int, *more: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: here", f"Content-Length: {num_bytes}", *more]
    return "\r\n".join([*lines, "", ""]).encode()


def answers(connection: socket.socket, number: int) -> list[tuple[int, bytes]]:
    """Status and content of so many answers in a row."""
    file, found = connection.makefile("rb"), []
    for _ in range(number):
        status = int(file.readline().split()[1])
        length = 0
        while (line := file.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        found.append((status, file.read(length)))
    return found


def digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


def noise(num_bytes: int, seed: int) -> bytes:
    return hashlib.shake_128(bytes([seed])).digest(num_bytes)


@given(
    sizes=st.lists(st.integers(0, 4 * WORTH_IT), min_size=1, max_size=4),
    paths=st.lists(st.sampled_from(["/", "/refuse"]), min_size=4, max_size=4),
    cuts=st.lists(st.integers(0, 16 * WORTH_IT), max_size=6),
)
@settings(deadline=None, max_examples=150)
def test_every_request_of_a_connection_gets_its_own_body(port, sizes, paths, cuts) -> None:
    """However requests follow one another and wherever the wire cuts them, each is answered for its own bytes."""
    bodies = [noise(size, seed) for seed, size in enumerate(sizes)]
    stream = b"".join(head(path, len(body)) + body for path, body in zip(paths, bodies, strict=False))
    with connected(port) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        at = 0
        for cut in [*sorted(cuts), len(stream)]:
            connection.sendall(stream[at:cut])
            at = max(at, cut)
        found = answers(connection, len(bodies))
    for (status, content), path, body in zip(found, paths, bodies, strict=False):
        assert status == (429 if path == "/refuse" else 200)
        assert content.split()[0] == digest(b"" if path == "/refuse" else body)


def test_a_body_of_stated_length_is_one_message(port) -> None:
    """A body that states its length arrives whole; one in chunks, or larger than any may be, in parts."""
    large = noise(2**21, 1)
    chunked = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (large[:WORTH_IT], large[WORTH_IT:]))
    with connected(port) as connection:
        connection.sendall(head("/", len(large)) + large)
        assert answers(connection, 1) == [(200, digest(large) + b" 1")]
        start = b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(start + chunked + b"0\r\n\r\n")
        assert answers(connection, 1)[0][1].split()[0] == digest(large)
        huge = bytes(MAX_BYTES + 1)
        connection.sendall(head("/", len(huge)) + huge)
        _, content = answers(connection, 1)[0]
        assert content.split()[0] == digest(huge)
        assert int(content.split()[1]) > 1


def test_a_body_is_held_once(port) -> None:
    """A body of stated length takes its own bytes and no copy of them on its way to the application."""
    piece, number = bytes(2**20), 16
    with connected(port) as connection:
        tracemalloc.start()
        connection.sendall(head("/", number * len(piece)))
        for _ in range(number):
            connection.sendall(piece)
        (answer,) = answers(connection, 1)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert answer[1].split()[1] == b"1"
    assert number * len(piece) <= peak < 1.1 * number * len(piece)


def test_a_client_that_leaves_halfway_is_noticed(port) -> None:
    """The application hears that a client left in the middle of its body; other connections go on."""
    seen.clear()
    with connected(port) as connection:
        connection.sendall(head("/", 10 * WORTH_IT) + bytes(5 * WORTH_IT))
    with connected(port) as connection:
        connection.sendall(head("/", 3) + b"abc")
        assert answers(connection, 1) == [(200, digest(b"abc") + b" 1")]
        deadline = time.monotonic() + 10
        while not seen and time.monotonic() < deadline:
            time.sleep(0.01)
    assert seen == ["left"]


def test_what_an_application_gives_up_on_is_thrown_away(port) -> None:
    """The rest of a body that was answered before its end is not taken for the next request."""
    with connected(port) as connection:
        connection.sendall(head("/give-up", 3 * WORTH_IT) + bytes(WORTH_IT + 7))
        assert answers(connection, 1)[0][0] == 408
        connection.sendall(bytes(2 * WORTH_IT - 7) + head("/", 3) + b"abc")
        assert answers(connection, 1) == [(200, digest(b"abc") + b" 1")]


def test_a_refused_body_that_never_ends_is_not_waited_for(port) -> None:
    """The connection of a refused body is closed when what is left of it has not come in the time it has."""
    with connected(port) as connection:
        connection.sendall(head("/refuse", 10 * WORTH_IT) + bytes(WORTH_IT))
        assert answers(connection, 1)[0][0] == 429
        assert connection.recv(1) == b""


def test_refused_bodies_are_thrown_away_at_their_pace() -> None:
    """Refused bodies take the time that their bytes are worth together; then their connections go on."""
    with (
        served(Discards(timeout_s=20.0, bytes_per_s=2.0**20)) as port,
        connected(port) as one,
        connected(port) as other,
    ):
        began = time.monotonic()
        request = head("/refuse", 2**20) + bytes(2**20)
        with ThreadPoolExecutor(2) as senders:
            list(senders.map(lambda connection: connection.sendall(request), (one, other)))
        for connection in (one, other):
            connection.sendall(head("/", 3) + b"abc")
        for connection in (one, other):
            assert [status for status, _ in answers(connection, 2)] == [429, 200]
        assert time.monotonic() - began > 1


def test_a_body_that_nobody_asked_for_is_not_waited_for(port) -> None:
    """Who is refused before it was asked for its body is told that the connection ends, as the body may never come."""
    with connected(port) as connection:
        connection.sendall(head("/refuse", 10 * WORTH_IT, "Expect: 100-continue"))
        received = b""
        while piece := connection.recv(65536):
            received += piece
    assert received.startswith(b"HTTP/1.1 429")
    assert b"\r\nconnection: close\r\n" in received


def test_a_body_that_is_wanted_is_asked_for(port) -> None:
    """Who waits to be asked for its body is asked when the application wants it."""
    body = noise(3 * WORTH_IT, 5)
    with connected(port) as connection:
        connection.sendall(head("/", len(body), "Expect: 100-continue"))
        asked = b"HTTP/1.1 100 Continue\r\n\r\n"
        assert connection.recv(len(asked), socket.MSG_WAITALL) == asked
        connection.sendall(body)
        assert answers(connection, 1) == [(200, digest(body) + b" 1")]
