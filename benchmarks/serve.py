"""How near the service comes to what the machine can do, what it does beyond that, and what other servers do.

    python benchmarks/serve.py BUNDLE [--concurrency 1 16] [--rounds 5] [--seconds 3] [--size 1024]
                               [--peers [NAME ...]] [--peers-graph as-served] [--rates 0.5 0.8] [--overload 10]
                               [--json FILE]

Starts `phenoserve serve BUNDLE` on the CPU as a process of its own, at fp32 and at the precision that it chooses
itself where that is another one, and with `--peers` the servers of `benchmarks/peers`, each in an environment that uv
makes. One uint8 TIFF is posted again and again. `docs/load.md` says what each number is. The clients share the machine
with the servers, as their users' would not.
"""

import argparse
import json
import re
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median

import httpx
import numpy as np
from graph import as_tf2onnx
from predict import draw_tiff, served
from rich.console import Console
from rich.table import Table
from serving.loads import Phase, closed_loop, open_loop, poster, time_to_recover
from serving.peers import PEERS, PeerError, peer

from phenoserve.bundle import Precision, read_bundle
from phenoserve.engine import Engine
from phenoserve.engine.cores import available_cores
from phenoserve.engine.precision import choose_precision
from phenoserve.stack import read_stack

OK, TURNED_AWAY = {200}, {429, 503}
LIMIT = "limit, fp32"
Run = Callable[[], Phase]


def rounds_of(phases: dict[str, Run], num_rounds: int) -> dict[str, list[Phase]]:
    """Run every phase in every round, in an order drawn for each; the first round is not counted."""
    names, generator = list(phases), np.random.default_rng(0)
    found: dict[str, list[Phase]] = {name: [] for name in phases}
    for number in range(num_rounds + 1):
        for index in generator.permutation(len(names)):
            name = names[index]
            phase = phases[name]()
            if number:
                found[name].append(phase)
    return found


def closed_table(concurrency: int, found: dict[str, list[Phase]], limits: dict[str, str]) -> Table:
    """Medians over the rounds; ratios are of the same round's limit and of the same round's fastest peer."""
    peers = [phases for name, phases in found.items() if name not in limits]
    best = max(peers, key=lambda phases: median(phase.rate for phase in phases), default=None)
    headings = [
        "",
        "/s (range)",
        "of the limit",
        "of the best peer",
        "p50 ms",
        "p50 / limit's",
        "p99 ms",
        "errors",
    ]
    table = Table(*headings, title=f"closed loop, {concurrency} callers")
    for name, phases in found.items():
        pairs = list(zip(phases, found[limits.get(name, LIMIT)], strict=True))
        rates = [phase.rate for phase in phases]
        table.add_row(
            name,
            f"{median(rates):.2f} ({min(rates):.2f} to {max(rates):.2f})",
            f"{median(phase.rate / limit.rate for phase, limit in pairs):.3f}",
            ""
            if best is None
            else f"{median(phase.rate / peer.rate for phase, peer in zip(phases, best, strict=True)):.3f}",
            f"{median(phase.percentile_ms(50) for phase in phases):.0f}",
            f"{median(phase.percentile_ms(50) / limit.percentile_ms(50) for phase, limit in pairs):.2f}",
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
    parser.add_argument(
        "--peers",
        nargs="*",
        choices=PEERS,
        help="measure these servers of benchmarks/peers too; all of them without a name",
    )
    parser.add_argument(
        "--peers-graph",
        choices=["as-served", "as-tf2onnx"],
        default="as-served",
        help="graph of the peers: the bundle's, or in the form that tf2onnx writes",
    )
    parser.add_argument("--rates", type=float, nargs="*", default=[0.5, 0.8], help="shares of the peak")
    parser.add_argument("--overload", type=float, default=10.0, help="multiple of the peak")
    parser.add_argument("--json", type=Path, help="file for every round's calls")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers end too

    bundle, cores, console = read_bundle(asked.bundle), available_cores(), Console(width=130)
    tiff = draw_tiff(len(bundle.manifest.input.channels), asked.size, None)
    chosen = choose_precision(bundle, "auto", "cpu")
    precisions: list[Precision] = ["fp32"] if chosen == "fp32" else ["fp32", chosen]
    raw: dict[str, dict[str, list[Phase]]] = {}

    def closed(port: int, path: str, callers: int) -> Run:
        return lambda: closed_loop(callers, asked.seconds, lambda: poster(port, path, tiff))

    def limit(precision: Precision, callers: int) -> Run:
        num_threads = cores if callers == 1 else 1
        engine = Engine.load(
            bundle, device="cpu", precision=precision, num_threads=num_threads, may_spin=callers == 1
        )

        def call() -> int:
            engine.infer(read_stack(tiff).array[None])
            return 200

        return lambda: closed_loop(1 if callers == 1 else cores, asked.seconds, lambda: call)

    with ExitStack() as running:
        clients: dict[Precision, httpx.Client] = {
            precision: running.enter_context(served(asked.bundle, "cpu", "--precision", precision))
            for precision in precisions
        }
        ports: dict[Precision, int] = {
            precision: client.base_url.port or 80 for precision, client in clients.items()
        }
        peers = (
            running.enter_context(started_peers(asked, tiff, cores, console))
            if asked.peers is not None
            else {}
        )
        for callers in asked.concurrency:
            phases: dict[str, Run] = {}
            limits: dict[str, str] = {}
            for precision, port in ports.items():
                of_precision = {f"limit, {precision}": limit(precision, callers)}
                of_precision |= {
                    f"{path}, {precision}": closed(port, path, callers) for path in ("/predict", "/explain")
                }
                limits |= dict.fromkeys(of_precision, f"limit, {precision}")
                phases |= of_precision
            phases |= {name: closed(at, "/predict", callers) for name, at in peers.items()}
            found = raw[f"closed {callers}"] = rounds_of(phases, asked.rounds)
            console.print(closed_table(callers, found, limits))

        client, port = clients[chosen], ports[chosen]
        peak = median(phase.rate for phase in raw[f"closed {asked.concurrency[-1]}"][f"/predict, {chosen}"])
        usual_s = closed(port, "/predict", 1)().percentile_ms(50) / 1e3
        recoveries: list[float] = []

        def arrive(share: float, seed: int, *, asks_first: bool) -> Phase:
            phase = open_loop(
                share * peak,
                asked.seconds,
                seed,
                lambda: poster(port, "/predict", tiff, asks_first=asks_first),
            )
            if share == asked.overload:
                recoveries.append(time_to_recover(poster(port, "/predict", tiff), usual_s))
            return phase

        before_mib = resident_mib(client)
        arrivals: dict[str, Run] = {
            f"{share:g} x{', asking first' * asks_first}": partial(arrive, share, seed, asks_first=asks_first)
            for seed, share in enumerate([*asked.rates, asked.overload])
            for asks_first in (False, True)
        }
        raw["open"] = rounds_of(arrivals, asked.rounds)
        console.print(f"open loops are of {chosen}")
        console.print(open_table(peak, raw["open"]))
        console.print(
            f"after {asked.overload:g} x, s until a lone caller is answered in 1.5 times its usual "
            f"{usual_s:.3f} s: " + ", ".join(f"{seconds:.2f}" for seconds in recoveries)
        )
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


@contextmanager
def started_peers(
    asked: argparse.Namespace, tiff: bytes, cores: int, console: Console
) -> Iterator[dict[str, int]]:
    """Run every peer that starts, each at its best settings, until the block ends; gives their ports by name."""
    with ExitStack() as running:
        folder = asked.bundle
        if asked.peers_graph == "as-tf2onnx":
            folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
            (folder / "model.onnx").write_bytes(as_tf2onnx(read_bundle(asked.bundle).read_model()))
        ports: dict[str, int] = {}
        for name in asked.peers or PEERS:
            try:
                workers, threads = best_settings(name, folder, tiff, cores, asked.seconds)
                at = running.enter_context(peer(name, folder, tiff, workers, threads))
            except PeerError as error:
                console.print(f"[bold]{name}[/bold] is left out. {error}")
                continue
            ports[f"{name} ({workers} x {threads})"] = at
        yield ports


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
