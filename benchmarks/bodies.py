"""What it costs the server's processor to receive a body, and to refuse one.

    python benchmarks/bodies.py [--mib 6] [--requests 100] [--rounds 7]

Runs one application under uvicorn's own protocol and under the service's, each in a process of its own, and posts to
both in turn. The application puts the body together and answers with the processor time of its process.
"""

import argparse
import asyncio
import http.client
import multiprocessing
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from statistics import median
from typing import Any

import uvicorn
from rich.console import Console
from rich.table import Table

from phenoserve.http.body_protocol import BodyProtocol
from phenoserve.http.discards import Discards

PROTOCOLS = {
    "uvicorn's": "httptools",
    "the service's": partial(BodyProtocol, max_body_bytes=2**30, discards=Discards(30.0, float("inf"))),
}
KINDS = {"read": 200, "refused": 429}


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Read a body, or refuse it unread on `/refused`."""
    chunks: list[bytes] = []
    more = scope["path"] != "/refused"
    while more:
        message = await receive()
        more = message.get("more_body", False)
        chunks += [message["body"]] if message["body"] else []
    body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
    content = repr(time.process_time()).encode()
    headers = [(b"content-length", str(len(content)).encode())]
    status = 200 if body else 429
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def run(protocol: Any, listening: socket.socket) -> None:
    """Serve until the process is ended."""
    config = uvicorn.Config(application, http=protocol, loop="uvloop", lifespan="off", log_level="warning")
    asyncio.run(uvicorn.Server(config).serve([listening]))


@contextmanager
def served(protocol: Any) -> Iterator[int]:
    """Run the application until the block ends; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        process = multiprocessing.Process(target=run, args=(protocol, listening))
        process.start()
        yield listening.getsockname()[1]
        process.terminate()
        process.join()


def milliseconds(port: int, path: str, body: bytes, num_requests: int) -> float:
    """Processor time of the server for one request, in milliseconds."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    times: list[float] = []
    for _ in range(num_requests + 1):
        connection.request("POST", path, body)
        with connection.getresponse() as response:
            times.append(float(response.read()))
            if response.status != KINDS[path[1:]]:
                raise SystemExit(f"{path} answered {response.status}")
    connection.close()
    return 1e3 * (times[-1] - times[0]) / num_requests


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mib", type=float, default=6, help="size of the body")
    parser.add_argument("--requests", type=int, default=100, help="requests of one round")
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    body = bytes(int(asked.mib * 2**20))
    table = Table("protocol", *(f"{kind}, ms: median (range)" for kind in KINDS))
    found: dict[tuple[str, str], list[float]] = {(name, kind): [] for name in PROTOCOLS for kind in KINDS}
    with served(PROTOCOLS["uvicorn's"]) as theirs, served(PROTOCOLS["the service's"]) as ours:
        for number in range(asked.rounds + 1):
            for name, port in zip(PROTOCOLS, (theirs, ours), strict=True):
                for kind in KINDS:
                    spent = milliseconds(port, f"/{kind}", body, asked.requests)
                    if number:
                        found[name, kind].append(spent)
    for name in PROTOCOLS:
        spent = [found[name, kind] for kind in KINDS]
        table.add_row(name, *(f"{median(ms):.2f} ({min(ms):.2f} to {max(ms):.2f})" for ms in spent))
    Console().print(table)


if __name__ == "__main__":
    main()
