"""How near the service comes to what the machine can do: closed-loop `POST /predict` beside the same work in-process.

    python benchmarks/serve.py BUNDLE [--concurrency 1 16] [--rounds 7] [--seconds 4] [--size 1024]
                               [--num-threads-alone N]

Starts `phenoserve serve BUNDLE` on the CPU as a process of its own. For every concurrency, two phases take turns at
being first in every round: as many clients as that, each on a kept connection, posting one uint8 stack again and
again; and the in-process limit, `read_stack` and `Engine.answer` on the same bytes without HTTP: one thread a core with
an inference of one thread each, or, for a concurrency of 1, one caller with all threads. The service idles while the
limit is measured. Printed are medians over the rounds, the ratios' by round. The clients share the machine with
the service, as its users' would not.
"""

import argparse
import http.client
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from predict import draw_tiff, served
from rich.console import Console
from rich.table import Table

from phenoserve.bundle import read_bundle
from phenoserve.cores import available_cores
from phenoserve.engine import Engine
from phenoserve.stack import read_stack


@dataclass
class Phase:
    """Seconds of every call of one phase, and how many were done a second."""

    seconds: list[float]
    rate: float
    num_errors: int = 0


def closed_loop(num_callers: int, seconds: float, make_call: Callable[[], Callable[[], bool]]) -> Phase:
    """Call again and again from as many threads, until the time is over."""
    taken: list[list[float]] = [[] for _ in range(num_callers)]
    errors = [0] * num_callers

    def loop(index: int) -> None:
        call = make_call()
        while (began := time.perf_counter()) < stop:
            errors[index] += not call()
            taken[index].append(time.perf_counter() - began)

    began = time.perf_counter()
    stop = began + seconds
    threads = [threading.Thread(target=loop, args=(index,)) for index in range(num_callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - began
    calls = [one for of_caller in taken for one in of_caller]
    return Phase(calls, len(calls) / took, sum(errors))


def poster(port: int, tiff: bytes) -> Callable[[], bool]:
    """Posts over a connection of its own; says whether the answer was 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def post() -> bool:
        connection.request("POST", "/predict", tiff, {"Content-Type": "image/tiff"})
        response = connection.getresponse()
        response.read()
        return response.status == http.HTTPStatus.OK

    return post


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--num-threads-alone", type=int, default=available_cores())
    asked = parser.parse_args()

    bundle = read_bundle(asked.bundle)
    tiff = draw_tiff(len(bundle.manifest.input.channels), asked.size, None)
    cores = available_cores()
    narrow = Engine.load(bundle, device="cpu", num_threads=1, may_spin=False)
    wide = Engine.load(bundle, device="cpu", num_threads=asked.num_threads_alone)
    table = Table(
        "concurrency",
        "served /s",
        "limit /s",
        "ratio",
        "p50 ms",
        "p95 ms",
        "limit p50 ms",
        "p50 ratio",
        "errors",
    )
    with served(asked.bundle, "cpu", "--num-threads-alone", str(asked.num_threads_alone)) as client:
        port = client.base_url.port or 80
        for concurrency in asked.concurrency:
            engine = wide if concurrency == 1 else narrow

            def direct(engine: Engine = engine) -> bool:
                engine.answer(read_stack(tiff).array[None])
                return True

            num_direct = 1 if concurrency == 1 else cores
            phases: dict[str, Callable[[], Phase]] = {
                "served": lambda n=concurrency: closed_loop(n, asked.seconds, lambda: poster(port, tiff)),
                "limit": lambda n=num_direct, call=direct: closed_loop(n, asked.seconds, lambda: call),
            }
            found: dict[str, list[Phase]] = {"served": [], "limit": []}
            for number in range(asked.rounds + 1):  # the first round warms up and is not counted
                for name in ("served", "limit") if number % 2 else ("limit", "served"):
                    phase = phases[name]()
                    if number:
                        found[name].append(phase)
            table.add_row(str(concurrency), *summary(found["served"], found["limit"]))
    Console(width=110).print(table)


def summary(served_rounds: list[Phase], limit_rounds: list[Phase]) -> list[str]:
    """The medians over the rounds, as the table's cells."""
    pairs = list(zip(served_rounds, limit_rounds, strict=True))
    p50 = [median(phase.seconds) for phase in served_rounds]
    limit_p50 = [median(phase.seconds) for phase in limit_rounds]
    p95 = [sorted(phase.seconds)[int(0.95 * (len(phase.seconds) - 1))] for phase in served_rounds]
    return [
        f"{median(phase.rate for phase in served_rounds):.2f}",
        f"{median(phase.rate for phase in limit_rounds):.2f}",
        f"{median(one.rate / limit.rate for one, limit in pairs):.2f}",
        f"{1e3 * median(p50):.0f}",
        f"{1e3 * median(p95):.0f}",
        f"{1e3 * median(limit_p50):.0f}",
        f"{median(one / limit for one, limit in zip(p50, limit_p50, strict=True)):.2f}",
        str(sum(phase.num_errors for phase in served_rounds)),
    ]


if __name__ == "__main__":
    main()
