"""How fast sites are cached, and what that means for the whole of RxRx2.

    python benchmarks/cache.py [--sites 96] [--workers 1 2] [--downsample 4] [--data FOLDER --dataset rxrx2]

Without `--data` it writes drawn six-channel sites of RxRx2's size (1024 x 1024, 8-bit PNG) with its channel
means and spreads, smoothed until a file is about as large as RxRx2's own (185 GB in 791,718 files: 234 kB).
The rate is that of the last three quarters of the sites, so the start of the worker processes does not count.
The files are in the page cache when they are read: the rate is that of decoding and pooling, and a disk must
keep up with the MB/s that are printed beside it. The processor time is that of one process, which depends
less on what else the machine is doing.
"""

import argparse
import tempfile
import time
from pathlib import Path

import imagecodecs
import numpy as np
from scipy import ndimage

from phenoserve.engine.cores import available_cores
from phenotrain.cache import build_cache
from phenotrain.cache.pooling import pooled_dtype
from phenotrain.datasets import Description, load_description
from phenotrain.plates import read_sites, site_files

FIELD_PX = 1024
MEAN_GREY = (3.6, 15.7, 8.1, 8.9, 1.8, 11.3)
STD_GREY = (6.0, 14.0, 3.8, 7.3, 1.7, 6.4)
SMOOTHING_PX = 4.0
NUM_DRAWN = 4
RXRX2_SITES, RXRX2_FILES = 131_953, 791_718


def draw_site(rng: np.random.Generator) -> list[bytes]:
    """Draw six channels and encode them as PNG."""
    encoded = []
    for mean, std in zip(MEAN_GREY, STD_GREY, strict=True):
        texture = ndimage.gaussian_filter(rng.gamma(0.3, 1, (FIELD_PX, FIELD_PX)), SMOOTHING_PX)
        grey = (texture - texture.mean()) / texture.std() * std + mean
        encoded.append(imagecodecs.png_encode(np.round(grey.clip(0, 255)).astype(np.uint8), level=6))
    return encoded


def write_screen(root: Path, num_sites: int) -> None:
    """Write a screen in RxRx2's layout: a few drawn sites, each many times over."""
    rng = np.random.default_rng(0)
    drawn = [draw_site(rng) for _ in range(NUM_DRAWN)]
    rows = ["site_id,well_id,cell_type,experiment,plate,well,site,treatment,treatment_conc"]
    folder = root / "images" / "HUVEC-1" / "Plate1"
    folder.mkdir(parents=True)
    for index in range(num_sites):
        well, site = f"B{index // 4:03d}", index % 4 + 1
        rows.append(f"HUVEC-1_1_{well}_{site},HUVEC-1_1_{well},HUVEC,HUVEC-1,1,{well},{site},EMPTY,")
        for channel, content in enumerate(drawn[index % NUM_DRAWN], start=1):
            (folder / f"{well}_s{site}_w{channel}.png").write_bytes(content)
    (root / "metadata.csv").write_text("\n".join(rows) + "\n", "utf-8")


def time_build(
    description: Description, data: Path, num_sites: int, workers: int, downsample: int
) -> tuple[float, float]:
    """Build a cache of so many sites in a temporary folder; elapsed and own processor seconds."""
    with tempfile.TemporaryDirectory() as out:
        started, used = time.perf_counter(), time.process_time()
        options = {"downsample": downsample, "num_workers": workers, "limit": num_sites, "progress": True}
        build_cache(description, data, Path(out), **options)
        return time.perf_counter() - started, time.process_time() - used


def measure(description: Description, data: Path, args: argparse.Namespace) -> None:
    """Print one row for each number of workers, then the size on disk for each downsample."""
    sites = read_sites(description, data)
    num_sites = min(args.sites, len(sites))
    few = num_sites // 4
    files = [data / file for row in site_files(description, sites.head(num_sites)) for file in row]
    mean_kb = sum(path.stat().st_size for path in files) / len(files) / 1e3
    num_channels = len(description.stains)
    print(
        f"{num_sites} sites of {num_channels} files, {mean_kb:.0f} kB a file, downsample {args.downsample}\n"
    )
    print("| workers | sites/s | MB/s read | whole RxRx2 |")
    print("|---|---|---|---|")
    for workers in args.workers:
        before, _ = time_build(description, data, few, workers, args.downsample)
        after, _ = time_build(description, data, num_sites, workers, args.downsample)
        rate = (num_sites - few) / (after - before)
        read = rate * num_channels * mean_kb / 1e3
        print(f"| {workers} | {rate:.1f} | {read:.0f} | {RXRX2_SITES / rate / 3600:.1f} h |")
    _, used = time_build(description, data, num_sites, 1, args.downsample)
    hours = RXRX2_SITES * used / num_sites / 3600
    print(f"\nprocessor time: {used / num_sites * 1e3:.0f} ms a site, {hours:.1f} h for the whole of RxRx2")
    print("\n| downsample | stored field | whole RxRx2 |")
    print("|---|---|---|")
    for downsample in (1, 2, 4, 8):
        side, dtype = FIELD_PX // downsample, pooled_dtype(np.uint8, downsample)
        size_gib = RXRX2_FILES * side**2 * dtype.itemsize / 2**30
        print(f"| {downsample} | 6 x {side} x {side} {dtype} | {size_gib:.0f} GiB |")


def main() -> None:
    """Read the command line, make the data if none are given, measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sites", type=int, default=96)
    parser.add_argument("--workers", type=int, nargs="+", default=sorted({1, available_cores()}))
    parser.add_argument("--downsample", type=int, default=4)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--dataset", default="rxrx2")
    args = parser.parse_args()
    description = load_description(args.dataset)
    if args.data is not None:
        measure(description, args.data, args)
        return
    with tempfile.TemporaryDirectory() as root:
        write_screen(Path(root), args.sites)
        measure(description, Path(root), args)


if __name__ == "__main__":
    main()
