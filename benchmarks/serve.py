"""How near the service comes to what the machine can do, what it does beyond that, and what other servers do.

    python benchmarks/serve.py BUNDLE [--concurrency 1 16] [--rounds 5] [--seconds 3] [--size 1024]
                               [--peers] [--rates 0.5 0.8] [--overload 10] [--json FILE]

Starts `phenoserve serve BUNDLE` on the CPU as a process of its own, and with `--peers` the servers of
`benchmarks/peers`, each in an environment that uv makes. One uint8 TIFF is posted again and again. `docs/load.md` says
what each number is. The clients share the machine with the servers, as their users' would not.
"""

import argparse
import json
import re
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import httpx
from predict import draw_tiff, served
from rich.console import Console
from rich.table import Table
from serving.loads import Phase, closed_loop, open_loop, poster
from serving.peers import PEERS, PeerError, peer

from phenoserve.bundle import read_bundle
from phenoserve.cores import available_cores
from phenoserve.engine import Engine
from phenoserve.stack import read_stack

OK, TURNED_AWAY = {200}, {429, 503}
Run = Callable[[], Phase]


def rounds_of(phases: dict[str, Run], num_rounds: int) -> dict[str, list[Phase]]:
    """Run every phase in every round, each round beginning with another one; the first round is not counted."""
    names = list(phases)
    found: dict[str, list[Phase]] = {name: [] for name in names}
    for number in range(num_rounds + 1):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            phase = phases[name]()
            if number:
                found[name].append(phase)
    return found


def closed_table(concurrency: int, found: dict[str, list[Phase]]) -> Table:
    """Medians over the rounds; ratios are of the same round's limit."""
    limits = found["limit"]
    title = f"closed loop, {concurrency} callers"
    table = Table(
        "", "/s", "of the limit", "p50 ms", "p50 / limit's", "p95 ms", "p99 ms", "errors", title=title
    )
    for name, phases in found.items():
        pairs = list(zip(phases, limits, strict=True))
        table.add_row(
            name,
            f"{median(phase.rate for phase in phases):.2f}",
            f"{median(phase.rate / limit.rate for phase, limit in pairs):.3f}",
            f"{median(phase.percentile_ms(50) for phase in phases):.0f}",
            f"{median(phase.percentile_ms(50) / limit.percentile_ms(50) for phase, limit in pairs):.2f}",
            f"{median(phase.percentile_ms(95) for phase in phases):.0f}",
            f"{median(phase.percentile_ms(99) for phase in phases):.0f}",
            f"{1 - median(phase.share(OK) for phase in phases):.3f}",
        )
    return table


def open_table(peak: float, found: dict[str, list[Phase]]) -> Table:
    """Medians over the rounds of what open loops saw."""
    title = f"open loop, Poisson arrivals; the peak is {peak:.2f}/s"
    table = Table(
        "arrivals", "good /s", "of the peak", "p50 ms", "p95 ms", "p99 ms", "429, 503", "errors", title=title
    )
    for name, phases in found.items():
        table.add_row(
            name,
            f"{median(phase.rate for phase in phases):.2f}",
            f"{median(phase.rate for phase in phases) / peak:.2f}",
            *(f"{median(phase.percentile_ms(percent) for phase in phases):.0f}" for percent in (50, 95, 99)),
            f"{median(phase.share(TURNED_AWAY) for phase in phases):.3f}",
            f"{1 - median(phase.share(OK | TURNED_AWAY) for phase in phases):.3f}",
        )
    return table


def resident_mib(client: httpx.Client) -> float:
    """Resident memory of the service, by its own metrics."""
    found = re.search(r"^process_resident_memory_bytes (\S+)$", client.get("/metrics").text, re.MULTILINE)
    return float(found[1]) / 2**20 if found else float("nan")


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--size", type=int, default=1024, help="height and width of the stack in pixels")
    parser.add_argument("--peers", action="store_true", help="measure the servers of benchmarks/peers too")
    parser.add_argument("--rates", type=float, nargs="*", default=[0.5, 0.8], help="shares of the peak")
    parser.add_argument("--overload", type=float, default=10.0, help="multiple of the peak")
    parser.add_argument("--json", type=Path, help="file for every round's calls")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers end too

    bundle, cores, console = read_bundle(asked.bundle), available_cores(), Console(width=110)
    tiff = draw_tiff(len(bundle.manifest.input.channels), asked.size, None)
    narrow = Engine.load(bundle, device="cpu", precision="auto", num_threads=1, may_spin=False)
    wide = Engine.load(bundle, device="cpu", precision="auto", num_threads=cores)
    raw: dict[str, dict[str, list[Phase]]] = {}

    def closed(port: int, path: str, callers: int) -> Run:
        return lambda: closed_loop(callers, asked.seconds, lambda: poster(port, path, tiff))

    def limit(callers: int) -> Run:
        engine = wide if callers == 1 else narrow

        def call() -> int:
            engine.answer(read_stack(tiff).array[None])
            return 200

        return lambda: closed_loop(1 if callers == 1 else cores, asked.seconds, lambda: call)

    with ExitStack() as running:
        client = running.enter_context(served(asked.bundle, "cpu"))
        port = client.base_url.port or 80
        started: dict[str, int] = {}
        for name in PEERS if asked.peers else ():
            try:
                workers, threads = best_settings(name, asked.bundle, tiff, cores, asked.seconds)
                at = running.enter_context(peer(name, asked.bundle, tiff, workers, threads))
            except PeerError as error:
                console.print(f"[bold]{name}[/bold] is left out. {error}")
                continue
            started[f"{name} ({workers} x {threads} threads)"] = at
        peak = float("nan")
        for callers in asked.concurrency:
            phases = {"limit": limit(callers), "/predict": closed(port, "/predict", callers)}
            phases["/explain"] = closed(port, "/explain", callers)
            phases |= {name: closed(at, "/predict", callers) for name, at in started.items()}
            found = raw[f"closed {callers}"] = rounds_of(phases, asked.rounds)
            peak = median(phase.rate for phase in found["/predict"])
            console.print(closed_table(callers, found))
        before_mib = resident_mib(client)
        arrivals: dict[str, Run] = {
            f"{share:g} x": lambda share=share, seed=seed: open_loop(
                share * peak, asked.seconds, seed, lambda: poster(port, "/predict", tiff)
            )
            for seed, share in enumerate([*asked.rates, asked.overload])
        }
        raw["open"] = rounds_of(arrivals, asked.rounds)
        console.print(open_table(peak, raw["open"]))
        console.print(
            f"resident {before_mib:.0f} MiB before the open loops, {resident_mib(client):.0f} MiB after"
        )
        sizes = re.findall(
            r'^phenoserve_inference_batch_size_bucket\{le="(\S+)"\} (\S+)$',
            client.get("/metrics").text,
            re.MULTILINE,
        )
        console.print("inferences of at most so many stacks:", dict(sizes))
    if asked.json is not None:
        told = {
            loop: {name: [one.as_json() for one in phases] for name, phases in found.items()}
            for loop, found in raw.items()
        }
        asked.json.write_text(json.dumps(told))


def best_settings(name: str, bundle: Path, tiff: bytes, cores: int, seconds: float) -> tuple[int, int]:
    """The workers and threads, of those that fill the cores, with which a peer answers 16 callers fastest."""
    candidates = {(cores, 1), (1, cores), (cores, cores)}
    rates: dict[tuple[int, int], float] = {}
    for workers, threads in sorted(candidates):
        with peer(name, bundle, tiff, workers, threads) as port:
            rates[workers, threads] = closed_loop(
                16, seconds, lambda at=port: poster(at, "/predict", tiff)
            ).rate
    return max(rates, key=rates.__getitem__)


if __name__ == "__main__":
    main()
