"""How much memory a resumed plate takes, a site, while its table is written.

    python benchmarks/plate_memory.py [--sites 500 2000] [--columns 1024]

For every number of sites a folder of empty files and a journal of made-up answers are written. Then a process of its
own goes on with that plate: all sites are answered, so it checks the files, asks nothing, and writes the table. What
its resident memory grows by at most, over what it was with everything imported, is given in KiB a site, for CSV and
Parquet; and from one number of sites to the next, in KiB for each further site.
"""

import argparse
import asyncio
import multiprocessing
import resource
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np

from phenoclient import NO_RETRIES, AsyncClient, ServedBundle
from phenoclient.plate import LAYOUTS, Plate, PlateOptions, find_sites, predict_plate
from phenoclient.plate.asking import signature_of
from phenoclient.plate.journal import Entry, Journal
from phenoclient.plate.reading.sites import row_letters
from phenoclient.plate.reading.stains import assign_stains

STAINS = ("Hoechst", "ConA", "Phalloidin", "Syto14", "MitoTracker", "WGA")
WELLS_A_PLATE = 384


def make_folder(folder: Path, num_sites: int) -> None:
    """Write an empty file for every channel of so many sites."""
    folder.mkdir()
    for index in range(num_sites):
        plate, well = divmod(index, WELLS_A_PLATE)
        row, column = divmod(well, 24)
        for channel in range(1, len(STAINS) + 1):
            (folder / f"P{plate}_{row_letters(row + 1)}{column + 1:02d}_s1_w{channel}.tif").touch()


def plate_of(folder: Path) -> Plate:
    """Return the plate as `open_plate` gives it, without a service."""
    bundle = ServedBundle("made up", "1", "ab" * 32, "cpu", STAINS, ("EMPTY", "x"), "EMPTY", {})
    found = find_sites(folder, LAYOUTS["imagexpress"])
    stain_files = assign_stains(found.sites, STAINS)
    return Plate(folder, PlateOptions(embedding="embedding"), found, bundle, stain_files)


def fill_journal(plate: Plate, results: Path, num_columns: int) -> None:
    """Write an answer with an embedding for every site."""
    generator = np.random.default_rng(0)
    with Journal(results.with_name(f"{results.name}.journal"), plate.binding) as journal:
        for site in plate.found.sites:
            vector = generator.normal(size=num_columns).astype(np.float32).tolist()
            answer = {"predicted_treatment": "x", **{f"emb_{i:04d}": value for i, value in enumerate(vector)}}
            paths = [plate.folder / path for path in plate.stain_files.paths(site)]
            journal.append(Entry(site.identity, signature_of(paths), answer))


def resume(folder: Path, results: Path, grown: Callable[[int], None]) -> None:
    """Go on with a plate that is answered, and tell by how many KiB the largest resident memory grew."""
    import_module("pyarrow.parquet")

    async def go_on() -> None:
        async with AsyncClient("http://127.0.0.1:9", retries=NO_RETRIES) as client:
            await predict_plate(client, plate_of(folder), results)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    asyncio.run(go_on())
    grown(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)


def main() -> None:
    """Read the arguments, measure each number of sites, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sites", type=int, nargs="+", default=[500, 2000])
    parser.add_argument("--columns", type=int, default=1024, help="numbers of the embedding")
    arguments = parser.parse_args()
    last: dict[str, tuple[int, int]] = {}
    processes = multiprocessing.get_context("spawn")
    for num_sites in arguments.sites:
        with tempfile.TemporaryDirectory() as root:
            folder = Path(root, "plate")
            make_folder(folder, num_sites)
            plate = plate_of(folder)
            for ending in (".csv", ".parquet"):
                results = Path(root, f"results{ending}")
                fill_journal(plate, results, arguments.columns)
                told = processes.SimpleQueue()
                process = processes.Process(target=resume, args=(folder, results, told.put))
                process.start()
                process.join()
                if process.exitcode:
                    sys.exit("The resumed run failed.")
                grown_kib = told.get()
                print(f"{num_sites} sites, {ending}: {grown_kib} KiB, {grown_kib / num_sites:.1f} KiB a site")
                if ending in last:
                    fewer, less_kib = last[ending]
                    further = (grown_kib - less_kib) / (num_sites - fewer)
                    print(f"{fewer} to {num_sites} sites, {ending}: {further:.1f} KiB a further site")
                last[ending] = (num_sites, grown_kib)


if __name__ == "__main__":
    main()
