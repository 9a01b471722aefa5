"""Bodies on the wire, refusals that arrive, and connections that are bounded in all that a stranger can open."""

import hashlib
import json
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st

from phenoserve.http.linger import LingeringMiddleware, Pace
from phenoserve.process.connection import MAX_HEAD_BYTES, MAX_HEAD_LINES, OVERFLOW, Bounds, bounded_by

LARGE = 20 * 2**20
PIECE = 2**16
BOUNDS = Bounds(head_timeout_s=0.5, write_timeout_s=0.5, max_connections=1000)
seen: list[str] = []
"""What the application was told of bodies that it did not get."""


async def application(scope, receive, send) -> None:
    """Answers with the SHA-256 of the body; `/refuse` and `/give-up` do not read it, `/large` answers at length."""
    if scope["type"] == "lifespan":
        for kind in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{kind}.complete"})
        return
    path, found, size = scope["path"], hashlib.sha256(), 0
    is_over = path == "/refuse"
    while not is_over:
        message = await receive()
        if message["type"] == "http.disconnect":
            seen.append("left")
            return
        found.update(message["body"])
        size += len(message["body"])
        is_over = not message["more_body"] or (path == "/give-up" and size > 0)
    status = {"/refuse": 429, "/give-up": 408}.get(path, 200)
    content = bytes(LARGE) if path == "/large" else found.hexdigest().encode()
    headers = [(b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


@contextmanager
def served(
    bounds: Bounds = BOUNDS, timeout_s: float = 20.0, pace: Pace | None = None, *, drains: bool = False
) -> Iterator[int]:
    """Run the application until the block ends; gives its port."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
    app = LingeringMiddleware(application, timeout_s, lambda: drains, pace)
    options = {
        "log_config": None,
        "loop": "uvloop",
        "ws": "none",
        "h11_max_incomplete_event_size": MAX_HEAD_BYTES,
    }
    server = uvicorn.Server(
        uvicorn.Config(app, http=bounded_by(bounds), timeout_graceful_shutdown=1, **options)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with served() as port:
        yield port


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        yield connection


def head(path: str, num_bytes: int | None, *more: str, version: str = "1.1") -> bytes:
    length = "Transfer-Encoding: chunked" if num_bytes is None else f"Content-Length: {num_bytes}"
    return "\r\n".join([f"POST {path} HTTP/{version}", "Host: here", length, *more, "", ""]).encode()


def chunked(content: bytes, size: int = 2**20) -> bytes:
    parts = (content[start : start + size] for start in range(0, len(content), size))
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and content of the next answer, byte by byte, so that nothing behind it is taken."""
    received = b""
    while not received.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        assert byte, f"the connection ended after {received!r}"
        received += byte
    first, *lines = received.decode().strip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    content = connection.recv(int(headers.get("content-length", 0)), socket.MSG_WAITALL)
    return int(first.split()[1]), headers, content


def digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


def noise(num_bytes: int, seed: int) -> bytes:
    return hashlib.shake_128(bytes([seed])).digest(num_bytes)


def is_closed(connection: socket.socket) -> bool:
    """Wait for the other end to close; whatever still comes is thrown away."""
    try:
        while connection.recv(2**16):
            pass
    except ConnectionResetError:
        pass
    return True


@given(
    sizes=st.lists(st.integers(0, 4 * PIECE), min_size=1, max_size=4),
    are_chunked=st.lists(st.booleans(), min_size=4, max_size=4),
    cuts=st.lists(st.integers(0, 16 * PIECE), max_size=6),
)
@settings(deadline=None, max_examples=100)
def test_every_request_of_a_connection_gets_its_own_body(port, sizes, are_chunked, cuts) -> None:
    """However requests follow one another and wherever the wire cuts them, each is answered for its own bytes."""
    bodies = [noise(size, seed) for seed, size in enumerate(sizes)]
    stream = b"".join(
        head("/", None) + chunked(body, PIECE) if is_chunked else head("/", len(body)) + body
        for body, is_chunked in zip(bodies, are_chunked, strict=False)
    )
    with connected(port) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        at = 0
        for cut in [*sorted(cuts), len(stream)]:
            connection.sendall(stream[at:cut])
            at = max(at, cut)
        for body in bodies:
            assert answer(connection)[::2] == (200, digest(body))


@pytest.mark.parametrize("reads", ["at the end", "meanwhile"])
@pytest.mark.parametrize(
    ("form", "more", "version", "drains"),
    [
        ("stated", (), "1.1", False),
        ("stated", ("Connection: close",), "1.1", False),
        ("stated", (), "1.0", False),
        ("stated", (), "1.1", True),
        ("chunked", (), "1.1", False),
        ("chunked", ("Connection: close",), "1.1", False),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else str(value),
)
def test_every_refusal_arrives(form, more, version, drains, reads) -> None:
    """Whatever a refused client says of its connection, it gets the answer, though 20 MiB of body were not wanted."""
    body = bytes(LARGE)
    request = head("/refuse", LARGE if form == "stated" else None, *more, version=version)
    request += body if form == "stated" else chunked(body)
    with served(drains=drains) as port, connected(port) as connection, ThreadPoolExecutor(1) as sender:
        sending = sender.submit(connection.sendall, request)
        if reads == "at the end":
            sending.result()
        status, headers, _ = answer(connection)
        sending.result()
        assert (status, headers["connection"]) == (429, "close")
        assert is_closed(connection)


def test_what_an_application_gives_up_on_is_answered(port) -> None:
    """A body that is answered before its end ends its connection after the answer, and the answer arrives."""
    with connected(port) as connection:
        connection.sendall(head("/give-up", LARGE) + bytes(LARGE))
        assert answer(connection)[0] == 408
        assert is_closed(connection)


def test_a_client_that_leaves_halfway_is_noticed(port) -> None:
    """The application hears that a client left in the middle of its body; other connections go on."""
    seen.clear()
    with connected(port) as connection:
        connection.sendall(head("/", 10 * PIECE) + bytes(5 * PIECE))
    with connected(port) as connection:
        connection.sendall(head("/", 3) + b"abc")
        assert answer(connection)[::2] == (200, digest(b"abc"))
        deadline = time.monotonic() + 10
        while not seen and time.monotonic() < deadline:
            time.sleep(0.01)
    assert seen == ["left"]


def test_a_refused_body_that_never_ends_is_not_waited_for() -> None:
    """The connection of a refused body is closed when what is left of it has not come in the time it has."""
    with served(timeout_s=0.3) as port, connected(port) as connection:
        connection.sendall(head("/refuse", LARGE) + bytes(PIECE))
        assert answer(connection)[0] == 429
        assert is_closed(connection)


def test_refused_bodies_are_thrown_away_at_their_pace() -> None:
    """Refused bodies take the time that their bytes are worth together; their answers come at once."""
    with served(pace=Pace(2.0**20)) as port, connected(port) as one, connected(port) as other:
        began = time.monotonic()
        for connection in (one, other):
            connection.sendall(head("/refuse", 2**20) + bytes(2**20))
        assert [answer(connection)[0] for connection in (one, other)] == [429, 429]
        for connection in (one, other):
            assert is_closed(connection)
        assert time.monotonic() - began > 1


def test_a_body_that_nobody_asked_for_is_not_waited_for(port) -> None:
    """Who is refused before it was asked for its body is told that the connection ends, as the body may never come."""
    with connected(port) as connection:
        connection.sendall(head("/refuse", LARGE, "Expect: 100-continue"))
        status, headers, _ = answer(connection)
        assert (status, headers["connection"]) == (429, "close")
        assert connection.recv(1) == b""


def test_a_body_that_is_wanted_is_asked_for(port) -> None:
    """Who waits to be asked for its body is asked when the application wants it."""
    body = noise(3 * PIECE, 5)
    with connected(port) as connection:
        connection.sendall(head("/", len(body), "Expect: 100-continue"))
        assert answer(connection)[0] == 100
        connection.sendall(body)
        assert answer(connection)[::2] == (200, digest(body))


@pytest.mark.parametrize("start", [b"", b"POST / HT", b"POST / HTTP/1.1\r\nHost: here\r\n"], ids=len)
def test_half_a_head_is_not_waited_for(port, start) -> None:
    """A connection without a whole head is closed in time; one that sent a part of it is told so."""
    with connected(port) as connection:
        connection.sendall(start)
        if start:
            status, headers, content = answer(connection)
            assert (status, headers["content-type"]) == (408, "application/problem+json")
            assert json.loads(content)["code"] == "head_too_slow"
        assert is_closed(connection)


def test_a_head_that_trickles_in_is_not_waited_for(port) -> None:
    """The time for a head is not begun anew by its bytes, nor for the second request of a connection."""
    with connected(port) as connection:
        connection.sendall(head("/", 3) + b"abc")
        assert answer(connection)[0] == 200
        connection.settimeout(0.01)
        for byte in b"POST / HTTP/1.1\r\nX-Slow: " + bytes([97]) * 1000:
            connection.sendall(bytes([byte]))
            try:
                assert connection.recv(12) == b"HTTP/1.1 408"
            except TimeoutError:
                continue
            break
        else:
            pytest.fail("the head was waited for")


def test_an_idle_connection_is_kept(port) -> None:
    """The time for a head begins with its first byte, not with the answer before it."""
    with connected(port) as connection:
        for _ in range(2):
            connection.sendall(head("/", 3) + b"abc")
            assert answer(connection)[0] == 200
            time.sleep(2 * BOUNDS.head_timeout_s)


@pytest.mark.parametrize(
    "flood",
    [
        b"a:" + b"b" * MAX_HEAD_BYTES + b"\r\n",
        b"".join(b"a%d: b\r\n" % line for line in range(MAX_HEAD_LINES)),
        b"a:b\n" * MAX_HEAD_LINES,
    ],
    ids=["long line", "many lines", "many bare lines"],
)
@pytest.mark.parametrize("end", [b"", b"\r\n"], ids=["unfinished", "finished"])
def test_a_head_beyond_its_bounds_is_refused(port, flood, end) -> None:
    """A head of too many bytes or lines is answered 431, whether it ends or not, and whatever follows it."""
    with connected(port) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 0\r\n" + flood + end + flood)
        status, _, content = answer(connection)
        assert (status, json.loads(content)["code"]) == (431, "head_too_large")


def test_a_body_of_many_lines_is_no_head(port) -> None:
    """Lines of a body do not count for its head, wherever the wire cuts them apart."""
    body = b"\n" * PIECE
    request = head("/", len(body))
    for cut in range(len(request) - 4, len(request) + 2):
        with connected(port) as connection:
            connection.sendall((request + body)[:cut])
            time.sleep(0.01)
            connection.sendall((request + body)[cut:])
            assert answer(connection)[::2] == (200, digest(body))


def test_a_flood_of_header_lines_takes_no_memory(port) -> None:
    """20 MiB of header lines cost the process less than 4 MiB, and the answer arrives."""
    with connected(port) as connection, ThreadPoolExecutor(1) as sender:
        tracemalloc.start()
        flood = b"POST / HTTP/1.1\r\n" + b"a:b\r\n" * (LARGE // 5)
        held = len(flood)
        sending = sender.submit(connection.sendall, flood)
        assert answer(connection)[0] == 431
        sending.result()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak - 2 * held < 4 * 2**20


def test_what_is_not_http_is_refused_as_a_problem(port) -> None:
    """Bytes that are no request are answered 400 as problem+json, with the connection's end."""
    with connected(port) as connection:
        connection.sendall(b"\x16\x03\x01 this is TLS, perhaps\r\n\r\n")
        status, headers, content = answer(connection)
        assert (status, headers["connection"], json.loads(content)["code"]) == (
            400,
            "close",
            "malformed_request",
        )
        assert is_closed(connection)


def test_an_upgrade_that_is_not_offered_is_ignored(port) -> None:
    """A client that offers HTTP/2 in clear, as Java's does by default, is answered over HTTP/1.1, body and all."""
    body = noise(3 * PIECE, 7)
    offer = (
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk",
    )
    with connected(port) as connection:
        connection.sendall(head("/", len(body), *offer) + body)
        assert answer(connection)[::2] == (200, digest(body))


def test_an_answer_that_is_not_read_ends_its_connection(port) -> None:
    """A client that does not take its answer is disconnected in time, and the answer's memory is free."""
    with connected(port) as connection:
        connection.sendall(head("/large", 0))
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                connection.send(b"x")
            except OSError:
                return
            time.sleep(0.05)
        pytest.fail("the connection is still open")


def test_an_answer_that_is_read_slowly_arrives(port) -> None:
    """A client that takes its answer bit by bit, in more time than one wait, gets all of it."""
    with connected(port) as connection:
        connection.sendall(head("/large", 0))
        received = 0
        while received < LARGE:
            received += len(connection.recv(2**20))
            time.sleep(0.04)
    assert received >= LARGE


def test_silent_connections_give_way() -> None:
    """Where as many connections are open as may be, a new one takes the place of the longest without a request."""
    with served(Bounds(60.0, 60.0, max_connections=4)) as port, ExitStack() as opened:
        waiting = [opened.enter_context(connected(port)) for _ in range(4)]
        for _ in range(6):
            waiting.append(opened.enter_context(connected(port)))
            waiting[-1].sendall(head("/", 3) + b"abc")
            assert answer(waiting[-1])[0] == 200
            assert is_closed(waiting.pop(0))


def test_too_many_busy_connections_refuse_a_new_one() -> None:
    """Where every open connection has a request, a new one is told so, and the others are served."""
    with served(Bounds(60.0, 60.0, max_connections=3)) as port:
        busy = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(3)]
        for connection in busy:
            connection.sendall(head("/", 3))
        time.sleep(0.2)
        for _ in range(OVERFLOW + 2):
            with connected(port) as refused:
                refused.sendall(head("/", 3) + b"abc")
                status, headers, content = answer(refused)
                assert (status, json.loads(content)["code"]) == (429, "too_many_requests")
                assert headers["retry-after"]
        for connection in busy:
            connection.sendall(b"abc")
            assert answer(connection)[0] == 200
            connection.close()
