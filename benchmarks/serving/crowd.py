"""A crowd of connections that mean no good, each of one kind, opened anew whenever it is closed."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

MIB = 2**20
HOSTILE_MIB = 20
REST_S = 5.0
BETWEEN_BYTES_S = 1.0
SLOW_BYTES = 1024

START = b"GET /livez HTTP/1.1\r\nHost: x\r\n"
FLOOD_LINES = b"a:b\r\n" * (MIB // 5)
SILENT_CHUNKED = (
    b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/tiff\r\nTransfer-Encoding: chunked\r\n\r\n"
)
REFUSED = (
    "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nConnection: close\r\n"
    f"Content-Length: {HOSTILE_MIB * MIB}\r\n\r\n"
).encode()
UNREAD = b"GET /examples/0.tif HTTP/1.1\r\nHost: x\r\n\r\n" * 50


@dataclass
class Connection:
    """One connection of the crowd, and the stack that it may send."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    tiff: bytes


Member = Callable[[Connection], Awaitable[None]]


def post_head(path: str, num_bytes: int) -> bytes:
    """The head of a request that posts a TIFF of so many bytes."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: image/tiff\r\nContent-Length: {num_bytes}\r\n\r\n"
    )
    return head.encode()


async def silent(on: Connection) -> None:
    """Never send a byte."""
    await on.reader.read()


async def half_a_head(on: Connection) -> None:
    """Begin a head and never end it."""
    on.writer.write(START)
    await on.reader.read()


async def header_flood(on: Connection) -> None:
    """Send header lines without end, up to 20 MiB."""
    on.writer.write(START)
    for _ in range(HOSTILE_MIB):
        on.writer.write(FLOOD_LINES)
        await on.writer.drain()
    await on.reader.read()


async def silent_chunked(on: Connection) -> None:
    """Announce a body of unknown length and send nothing of it."""
    on.writer.write(SILENT_CHUNKED)
    await on.reader.read()


async def slow_body(on: Connection) -> None:
    """Announce 6 MiB and send 1 KiB a second."""
    on.writer.write(post_head("/predict", 6 * MIB))
    while not on.reader.at_eof():
        on.writer.write(bytes(SLOW_BYTES))
        await on.writer.drain()
        with suppress(TimeoutError):
            await asyncio.wait_for(on.reader.read(MIB), BETWEEN_BYTES_S)


async def refused_body(on: Connection) -> None:
    """Send 20 MiB that are refused by their media type, and then look at the answer."""
    on.writer.write(REFUSED)
    for _ in range(HOSTILE_MIB):
        on.writer.write(bytes(MIB))
        await on.writer.drain()
    await on.reader.read()


async def unread_answer(on: Connection) -> None:
    """Ask for an example 50 times and read no more for a minute than asyncio does by itself, 128 KiB."""
    on.writer.write(UNREAD)
    await asyncio.sleep(60)


async def attribution(on: Connection) -> None:
    """Ask for the attribution of every stain, and for the next one once it is there."""
    on.writer.write(
        post_head("/explain?stains=true", len(on.tiff)).replace(b"Host: x", b"Host: x\r\nConnection: close")
    )
    on.writer.write(on.tiff)
    await on.reader.read()


CROWD: dict[Member, int] = {
    silent: 250,
    half_a_head: 250,
    header_flood: 100,
    silent_chunked: 150,
    slow_body: 100,
    refused_body: 100,
    unread_answer: 42,
    attribution: 8,
}


async def _again_and_again(member: Member, port: int, tiff: bytes) -> None:
    while True:
        one = socket.socket()
        one.setblocking(False)
        if member is unread_answer:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with suppress(OSError):
            await asyncio.get_running_loop().sock_connect(one, ("127.0.0.1", port))
            on = Connection(*await asyncio.open_connection(sock=one), tiff)
            try:
                await member(on)
            finally:
                on.writer.transport.abort()
        one.close()
        await asyncio.sleep(REST_S)


def attack(port: int, tiff: bytes, seconds: float) -> None:
    """Hold 1,000 connections of all kinds together for a while; one that is closed is opened again after 5 s.

    Args:
        port: The service's port on this machine.
        tiff: Stack whose stains are to be attributed.
        seconds: How long.
    """

    async def all_of_them() -> None:
        members = [
            _again_and_again(member, port, tiff) for member, number in CROWD.items() for _ in range(number)
        ]
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.gather(*members)

    asyncio.run(all_of_them())
