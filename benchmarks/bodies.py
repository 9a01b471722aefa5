"""What it costs the service's processor to receive a body, and to refuse one.

    python benchmarks/bodies.py BUNDLE [--sources FOLDER ...] [--mib 6] [--requests 40] [--rounds 5]

Starts `phenoserve serve BUNDLE` on the CPU with the installed code, and once with that of every folder in `--sources`,
such as another version's `service/src`, and posts to all in turn. What is posted is zeros: read whole, with its length
told before or not, and then found to be no TIFF; or refused unread for its media type. The time is that of the
service's process, by its own `process_cpu_seconds_total`.
"""

import argparse
import http.client
import re
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import httpx
import numpy as np
from predict import started
from rich.console import Console
from rich.table import Table

NUM_CHUNK_BYTES = 2**16
NOT_A_TIFF = http.HTTPStatus.UNSUPPORTED_MEDIA_TYPE

Post = Callable[[http.client.HTTPConnection, bytes], None]


def post_whole(connection: http.client.HTTPConnection, body: bytes) -> None:
    """Post a body whose length is told before."""
    connection.request("POST", "/predict", body, {"Content-Type": "image/tiff"})


def post_chunks(connection: http.client.HTTPConnection, body: bytes) -> None:
    """Post a body in chunks of 64 KiB."""
    chunks = (body[at : at + NUM_CHUNK_BYTES] for at in range(0, len(body), NUM_CHUNK_BYTES))
    connection.request("POST", "/predict", chunks, {"Content-Type": "image/tiff"})


def post_refused(connection: http.client.HTTPConnection, body: bytes) -> None:
    """Post a body of a type that is refused before it is read."""
    connection.request("POST", "/predict", body, {"Content-Type": "text/plain"})


KINDS: dict[str, Post] = {
    "read": post_whole,
    "read, in chunks": post_chunks,
    "refused": post_refused,
}


def cpu_seconds(client: httpx.Client) -> float:
    """Processor time of the service until now."""
    found = re.search(r"^process_cpu_seconds_total (\S+)$", client.get("/metrics").text, re.MULTILINE)
    if found is None:
        raise SystemExit("The service does not tell its processor time in /metrics: measure on Linux.")
    return float(found[1])


def milliseconds(client: httpx.Client, post: Post, body: bytes, num_requests: int) -> float:
    """Processor time of the service for one request, in milliseconds."""
    connection = http.client.HTTPConnection("127.0.0.1", client.base_url.port, timeout=60)
    began = cpu_seconds(client)
    for _ in range(num_requests):
        post(connection, body)
        with connection.getresponse() as response:
            response.read()
            if response.status != NOT_A_TIFF:
                raise SystemExit(f"The service answered {response.status} in place of {NOT_A_TIFF}.")
    spent = cpu_seconds(client) - began
    connection.close()
    return 1e3 * spent / num_requests


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument(
        "--sources",
        type=Path,
        nargs="*",
        default=[],
        help="folders of other versions' code to serve with too",
    )
    parser.add_argument("--mib", type=float, default=6, help="size of the body")
    parser.add_argument("--requests", type=int, default=40, help="requests of one round")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    body = bytes(int(asked.mib * 2**20))
    generator = np.random.default_rng(0)
    with ExitStack() as running:
        clients = {
            str(source or "installed"): running.enter_context(started(asked.bundle, "cpu", source=source))[0]
            for source in (None, *asked.sources)
        }
        turns = [(name, kind) for name in clients for kind in KINDS]
        found: dict[tuple[str, str], list[float]] = {turn: [] for turn in turns}
        for number in range(asked.rounds + 1):
            for index in generator.permutation(len(turns)):
                name, kind = turns[index]
                spent = milliseconds(clients[name], KINDS[kind], body, asked.requests)
                if number:  # the first round is not counted
                    found[name, kind].append(spent)
    table = Table("code", *(f"{kind}, ms: median (range)" for kind in KINDS))
    for name in clients:
        spent_ms = [found[name, kind] for kind in KINDS]
        table.add_row(name, *(f"{median(ms):.2f} ({min(ms):.2f} to {max(ms):.2f})" for ms in spent_ms))
    Console(width=130).print(table)


if __name__ == "__main__":
    main()
