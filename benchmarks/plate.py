"""What `phenoclient plate` costs beside plain concurrent requests with the same stacks.

    python benchmarks/plate.py BUNDLE FOLDER [--rounds 5] [--workers 8] [--layout bbbc013]

Starts `phenoserve serve BUNDLE` as a process of its own. In every round both take turns at being first: a plain closed
loop, in which so many workers of one `AsyncClient` each post the next stack as soon as the last is answered, with
every stack read and assembled from its files as in `plate`; and `predict_plate`, journal and table included. The ratio
of their rates is given round by round.
"""

import argparse
import asyncio
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from phenoclient import NO_RETRIES, AsyncClient, Client, ServiceUnreachableError
from phenoclient.plate import LAYOUTS, Plate, PlateOptions, open_plate, predict_plate

START_TIMEOUT_S = 120


async def plain_rate(client: AsyncClient, plate: Plate, num_workers: int) -> float:
    """Return stacks a second of a plain closed loop."""
    stacks = iter([plate.stain_files.stack(plate.folder, site) for site in plate.found.sites])
    started = time.perf_counter()

    async def work() -> None:
        for stack in stacks:
            await client.predict(stack)

    await asyncio.gather(*(work() for _ in range(num_workers)))
    return len(plate.found.sites) / (time.perf_counter() - started)


async def plate_rate(client: AsyncClient, plate: Plate) -> float:
    """Return sites a second of a whole run into an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        outcome = await predict_plate(client, plate, Path(folder) / "results.csv")
        seconds = time.perf_counter() - started
    if outcome.failures:
        sys.exit(f"Sites failed: {outcome.failures}")
    return outcome.num_sites / seconds


async def measure(url: str, arguments: argparse.Namespace) -> np.ndarray:
    """Return the rates (round, plain and plate), after one round that warms up."""
    rates: list[tuple[float, float]] = []
    async with AsyncClient(url, retries=NO_RETRIES) as client:
        plate = await open_plate(client, arguments.folder, PlateOptions(LAYOUTS.get(arguments.layout)))
        for index in range(arguments.rounds + 1):
            if index % 2:
                plain, whole = (
                    await plain_rate(client, plate, arguments.workers),
                    await plate_rate(client, plate),
                )
            else:
                whole, plain = (
                    await plate_rate(client, plate),
                    await plain_rate(client, plate, arguments.workers),
                )
            rates.append((plain, whole))
            print(
                f"round {index}: plain {plain:.1f}/s, plate {whole:.1f}/s, ratio {whole / plain:.3f}",
                flush=True,
            )
    return np.array(rates[1:])


def main() -> None:
    """Read the arguments, start the service, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=8, help="requests in flight of the plain loop")
    parser.add_argument("--layout", choices=tuple(LAYOUTS))
    arguments = parser.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).with_name("phenoserve")), "serve", str(arguments.bundle)]
    command += ["--port", str(port), "--device", "cpu"]
    with tempfile.TemporaryFile() as log:
        service = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603  (our own command)
        try:
            url = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + START_TIMEOUT_S
            while not is_ready(url):
                if service.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    sys.exit(f"The service did not get ready:\n{log.read().decode(errors='replace')}")
                time.sleep(0.1)
            rates = asyncio.run(measure(url, arguments))
        finally:
            service.terminate()
            service.wait(30)
    ratios = rates[:, 1] / rates[:, 0]
    plain, whole = np.median(rates, axis=0)
    print(f"{arguments.rounds} rounds: plain {plain:.1f}/s, plate {whole:.1f}/s (medians)")
    print(f"plate / plain: median {np.median(ratios):.3f}, from {ratios.min():.3f} to {ratios.max():.3f}")


def is_ready(url: str) -> bool:
    """Return whether the service would answer now."""
    with Client(url) as client:
        try:
            return client.ready()
        except ServiceUnreachableError:
            return False


if __name__ == "__main__":
    main()
