"""What a stranger can do to the service, and what a caller who means well sees meanwhile.

    python benchmarks/hostile.py BUNDLE [--only flood closing bodies refusals java head attributions crowd]
                                 [--limit-s 60] [--seconds 60] [--stop-mib 1024] [--source FOLDER]

Starts `phenoserve serve BUNDLE` on the CPU as a process of its own, once for all the single measures and once for the
crowd, and prints a line for each number. `docs/load.md` says what each is. Linux only: memory and open descriptors
are read from `/proc`.
"""

import argparse
import http.client
import math
import multiprocessing
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Self

from predict import draw_tiff, started
from serving.crowd import CROWD, FLOOD_LINES, HOSTILE_MIB, MIB, SILENT_CHUNKED, START, attack

from phenoserve.bundle import read_bundle

SMALL_PX, MIDDLE_PX, LARGE_PX = 128, 640, 1024
NUM_REFUSALS = 6
NUM_HELD = 4
SETTLE_S = 10.0
RETRY_S = 1.0
ASK = Path(__file__).parent / "serving" / "Ask.java"


@dataclass
class Target:
    """The service that is measured.

    Attributes:
        port: Its port on this machine.
        pid: Id of its process.
        tiffs: Stacks that it takes, by height and width in pixels.
        limit_s: Seconds after which a wait is given up.
    """

    port: int
    pid: int
    tiffs: dict[int, bytes]
    limit_s: float

    def connect(self) -> socket.socket:
        """Open a connection."""
        return socket.create_connection(("127.0.0.1", self.port), self.limit_s)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, float]:
        """Ask on a connection of its own.

        Returns:
            Status, 0 where the connection broke or the limit passed, and the seconds it took.
        """
        began = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.limit_s)
        try:
            connection.request(method, path, body, {"Content-Type": "image/tiff", **headers})
            response = connection.getresponse()
            response.read()
            return response.status, time.perf_counter() - began
        except (OSError, http.client.HTTPException):
            return 0, time.perf_counter() - began
        finally:
            connection.close()

    def predict(self, size_px: int = SMALL_PX) -> tuple[int, float]:
        """Ask for a prediction of a stack of this size."""
        return self.ask("POST", "/predict", self.tiffs[size_px])

    def attribute(self, size_px: int) -> tuple[int, float]:
        """Ask for the attribution of every stain of a stack of this size."""
        return self.ask("POST", "/explain?stains=true", self.tiffs[size_px], Accept="application/json")

    def resident_mib(self) -> float:
        """Resident memory of the service."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / MIB

    def num_open(self) -> int:
        """Files and sockets that the service has open."""
        return sum(1 for _ in Path(f"/proc/{self.pid}/fd").iterdir())


class Watch:
    """Looks at the service's memory twenty times a second for as long as it is open.

    Args:
        target: The service.
        stop_mib: Growth at which to stop what makes it grow.
        stop: Stops it.

    Attributes:
        grown_mib: How much more was resident at most than when it was opened.
        num_opened: How many more files and sockets were open at most.
    """

    def __init__(
        self, target: Target, stop_mib: float = math.inf, stop: Callable[[], object] = lambda: None
    ) -> None:
        self._target, self._stop_mib, self._stop = target, stop_mib, stop
        self._before_mib, self._before_open = target.resident_mib(), target.num_open()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.grown_mib, self.num_opened = 0.0, 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def now_mib(self) -> float:
        """How much more is resident now than when it was opened."""
        return self._target.resident_mib() - self._before_mib

    def _look(self) -> None:
        while not self._is_over.wait(0.05):
            self.grown_mib = max(self.grown_mib, self.now_mib())
            self.num_opened = max(self.num_opened, self._target.num_open() - self._before_open)
            if self.grown_mib > self._stop_mib:
                self._stop()


def flood(target: Target) -> Iterator[str]:
    """20 MiB of header lines on one connection."""
    sent, answer = 0, b""
    with Watch(target) as watch, target.connect() as one:
        one.settimeout(5)
        try:
            one.sendall(START)
            for _ in range(HOSTILE_MIB):
                one.sendall(FLOOD_LINES)
                sent += 1
            answer = one.recv(MIB)
        except TimeoutError:
            answer = b"(none)"
        except OSError as error:
            answer = str(error).encode()
        status = target.ask("GET", "/livez")[0]
    yield f"{HOSTILE_MIB} MiB of header lines: {watch.grown_mib:.0f} MiB more resident at most"
    yield f"  of which {sent} MiB were taken; the answer: {_first_line(answer)}; /livez beside it: {status}"


def closing(target: Target) -> Iterator[str]:
    """Connections that never come to a request."""
    kinds: dict[str, Callable[[socket.socket], object]] = {
        "a silent connection": socket.socket.fileno,
        "half a head": lambda one: one.sendall(START),
        "half a head, a byte a second": lambda one: one.sendall(START),
        "half a head after an answer": _after_an_answer,
    }

    def wait(kind: str) -> str:
        with target.connect() as one:
            kinds[kind](one)
            return _until_closed(one, target.limit_s, drips=kind.endswith("second"))

    with ThreadPoolExecutor() as pool:
        for kind, found in zip(kinds, pool.map(wait, kinds), strict=True):
            yield f"{kind}: {found}"


def bodies(target: Target) -> Iterator[str]:
    """A prediction beside four bodies of unknown length of which nothing comes."""
    with ExitStack() as held:
        for _ in range(NUM_HELD):
            held.enter_context(target.connect()).sendall(SILENT_CHUNKED)
        time.sleep(0.5)
        status, seconds = target.predict()
        first = f"/predict beside {NUM_HELD} silent chunked bodies: {status} in {1e3 * seconds:.0f} ms"
        began = time.perf_counter()
        while status != http.HTTPStatus.OK and time.perf_counter() - began < 2 * target.limit_s:
            time.sleep(RETRY_S)
            status, _ = target.predict()
        if (waited := time.perf_counter() - began) > RETRY_S:
            first += (
                f"; still {status} after {waited:.0f} s" if status != 200 else f"; 200 after {waited:.0f} s"
            )
    yield first


def refusals(target: Target) -> Iterator[str]:
    """Refusals of a body of 20 MiB to clients that send all of it before they read."""
    body = bytes(HOSTILE_MIB * MIB)
    for connection in ("close", "keep-alive"):
        got = Counter(
            target.ask("POST", "/predict", body, Connection=connection, **{"Content-Type": "text/plain"})[0]
            for _ in range(NUM_REFUSALS)
        )
        arrived = NUM_REFUSALS - got[0]
        yield f"refusals that arrive, Connection: {connection}: {arrived} of {NUM_REFUSALS} {_counts(got)}"


def java(target: Target) -> Iterator[str]:
    """Java's HTTP client as it comes."""
    program = shutil.which("java")
    if program is None:
        yield "Java's HTTP client: not tried, as there is no java"
        return
    with tempfile.TemporaryDirectory() as folder:
        for size_px in (SMALL_PX, LARGE_PX):
            path = Path(folder, f"{size_px}.tif")
            path.write_bytes(target.tiffs[size_px])
            command = [program, str(ASK), f"http://127.0.0.1:{target.port}/predict", str(path)]
            ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  (our own command)
            said = ended.stdout.strip() or ended.stderr.strip().partition("\n")[0]
            yield f"Java's HTTP client, {size_px} px: {said}"


def head(target: Target) -> Iterator[str]:
    """HEAD where there is GET."""
    yield f"HEAD of /livez: {target.ask('HEAD', '/livez')[0]}"


def attributions(target: Target) -> Iterator[str]:
    """Predictions, one after the other, beside four attributions of stains."""
    target.predict(MIDDLE_PX)  # the first of a size takes longer
    alone = median(target.predict()[1] for _ in range(5))
    one_pass = median(target.predict(MIDDLE_PX)[1] for _ in range(5))
    calls: list[tuple[int, float]] = []
    with ThreadPoolExecutor() as pool:
        asked = [pool.submit(target.attribute, MIDDLE_PX) for _ in range(NUM_HELD)]
        time.sleep(0.5)
        while not all(one.done() for one in asked):
            calls.append(target.predict())
            time.sleep(0.1)
    seconds = [taken for _, taken in calls]
    yield f"/predict of {SMALL_PX} px alone: {1e3 * alone:.0f} ms; of {MIDDLE_PX} px: {1e3 * one_pass:.0f} ms"
    yield (
        f"/predict of {SMALL_PX} px beside {NUM_HELD} attributions of {MIDDLE_PX} px: at most {1e3 * max(seconds):.0f} "
        f"ms, median {1e3 * median(seconds):.0f} ms {_counts(Counter(status for status, _ in calls))}"
    )
    ended = [one.result() for one in asked]
    yield (
        f"  the attributions: {_counts(Counter(status for status, _ in ended))} in "
        f"{max(taken for _, taken in ended):.1f} s"
    )


def crowd(target: Target, seconds: float, stop_mib: float) -> Iterator[str]:
    """Predictions, one after the other, beside 1,000 hostile connections of all kinds."""
    for _ in range(5):
        target.predict()
    # What the network itself takes, of several passes at a time, is not the connections'.
    with ThreadPoolExecutor() as pool:
        for asked in [pool.submit(target.attribute, SMALL_PX) for _ in range(NUM_HELD)]:
            asked.result()
    alone = median(target.predict()[1] for _ in range(5))
    attacking = multiprocessing.get_context("spawn").Process(
        target=attack, args=(target.port, target.tiffs[SMALL_PX], seconds)
    )
    first, waits = Counter[int](), list[float]()
    attacking.start()
    with Watch(target, stop_mib, attacking.terminate) as watch:
        time.sleep(2)  # the crowd's process starts
        while attacking.is_alive():
            began = time.perf_counter()
            status, _ = target.predict()
            first[status] += 1
            while status != http.HTTPStatus.OK and attacking.is_alive():
                time.sleep(RETRY_S)
                status, _ = target.predict()
            waits.append(time.perf_counter() - began)
            time.sleep(0.1)
        attacking.join()
        time.sleep(SETTLE_S)
        kept_mib = watch.now_mib()
    yield f"the crowd: {sum(CROWD.values())} connections, at most {watch.num_opened} open in the service"
    yield (
        f"  resident: {watch.grown_mib:.0f} MiB more than idle at most, {kept_mib:.0f} MiB more {SETTLE_S:g} s later"
        + (f"; the crowd was sent away at {stop_mib:g} MiB" if attacking.exitcode else "")
    )
    yield f"  /predict of {SMALL_PX} px at the first attempt: {_counts(first)}; alone {1e3 * alone:.0f} ms"
    yield f"  until it was answered 200: median {1e3 * median(waits):.0f} ms, at most {max(waits):.1f} s"


def _first_line(answer: bytes) -> str:
    return answer.partition(b"\r\n")[0].decode("latin-1").strip() or "closed"


def _after_an_answer(one: socket.socket) -> None:
    one.sendall(START + b"\r\n")
    one.recv(MIB)
    one.sendall(START)


def _until_closed(one: socket.socket, limit_s: float, *, drips: bool) -> str:
    """How long it takes until the service closes a connection, and what it says before."""
    began, said = time.perf_counter(), b""
    one.settimeout(1)
    while (taken := time.perf_counter() - began) < limit_s:
        try:
            if drips:
                one.sendall(b"a")
            got = one.recv(MIB)
        except TimeoutError:
            continue
        except OSError as error:
            return f"closed after {taken:.0f} s ({error})"
        said += got
        if not got:
            return f"closed after {taken:.0f} s ({_first_line(said) if said else 'without a word'})"
    return f"still open after {limit_s:g} s"


def _counts(statuses: Counter[int]) -> str:
    """Statuses and how many there were of each; 0 is a connection that broke or was given up."""
    return "(" + ", ".join(f"{status}: {number}" for status, number in sorted(statuses.items())) + ")"


SINGLE: dict[str, Callable[[Target], Iterator[str]]] = {
    "flood": flood,
    "closing": closing,
    "bodies": bodies,
    "refusals": refusals,
    "java": java,
    "head": head,
    "attributions": attributions,
}


@contextmanager
def targeted(bundle: Path, limit_s: float, source: Path | None) -> Iterator[Target]:
    """Run the service until the block ends; it has answered once."""
    num_channels = len(read_bundle(bundle).manifest.input.channels)
    tiffs = {size_px: draw_tiff(num_channels, size_px, None) for size_px in (SMALL_PX, MIDDLE_PX, LARGE_PX)}
    with started(bundle, "cpu", source=source) as (client, pid):
        target = Target(client.base_url.port or 0, pid, tiffs, limit_s)
        target.predict()
        yield target


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    names = [*SINGLE, "crowd"]
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="measure these alone")
    parser.add_argument("--limit-s", type=float, default=60, help="seconds after which a wait is given up")
    parser.add_argument("--seconds", type=float, default=60, help="how long the crowd stays")
    parser.add_argument(
        "--stop-mib",
        type=float,
        default=4096,
        help="growth at which the crowd is sent away, to save the machine",
    )
    parser.add_argument(
        "--source",
        type=Path,
        help="serve with the code of this folder, such as another version's service/src",
    )
    asked = parser.parse_args()
    if single := [SINGLE[name] for name in SINGLE if name in asked.only]:
        with targeted(asked.bundle, asked.limit_s, asked.source) as target:
            for measure in single:
                for line in measure(target):
                    print(line, flush=True)
    if "crowd" in asked.only:
        with targeted(asked.bundle, asked.limit_s, asked.source) as target:
            for line in crowd(target, asked.seconds, asked.stop_mib):
                print(line, flush=True)


if __name__ == "__main__":
    main()
