"""What share of stacks with two channels swapped, or one copied over another, is called out of distribution.

    python benchmarks/channels.py BUNDLE HELD_OUT_CSV [--sites 60] [--also FOLDER]

The CSV is what `phenotrain run --held-out` writes: held-out sites and the files of their channels. Every site is asked
as it is, with each pair of channels swapped, and with each channel copied over each other. `--also` adds the stack
whose channels are the TIFFs of a folder, in the order of their names. Printed are the shares flagged by the distance
alone, by the order of the stains alone, by pixels that no image has (a channel twice), and by any, each test at the
limit that the bundle holds.
"""

import argparse
import csv
import json
from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations, permutations
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from phenoclient.images import read_channel
from phenoserve.bundle import read_bundle
from phenoserve.engine import Engine
from phenoserve.stack import find_notices

BATCH = 16


def spoilt(stack: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the stack `(channel, y, x)` as it is and with its channels confused, each with what was done."""
    order = np.arange(len(stack))
    yield "as it is", stack
    for first, second in combinations(order, 2):
        swapped = order.copy()
        swapped[[first, second]] = second, first
        yield "two swapped", stack[swapped]
    for source, target in permutations(order, 2):
        copied = order.copy()
        copied[target] = source
        yield "one copied", stack[copied]


def flags(engine: Engine, stack: np.ndarray) -> dict[str, list[tuple[bool, bool, bool]]]:
    """Ask about a stack in every form: whether the distance, the order of the stains, and its pixels flag it."""
    calibration = engine.bundle.calibration
    if calibration is None:
        raise SystemExit(f"{engine.bundle.path} has no calibration. Expected a bundle of format 2 or later.")
    forms, found = list(spoilt(stack)), defaultdict[str, list[tuple[bool, bool, bool]]](list)
    for start in range(0, len(forms), BATCH):
        part = forms[start : start + BATCH]
        embeddings = engine.infer(np.stack([changed for _, changed in part])).embedding
        for (name, changed), embedding in zip(part, embeddings, strict=True):
            mismatch = calibration.mismatch(changed, engine.bundle.manifest.input.downsample)
            is_far = not calibration.in_distribution(calibration.distance(embedding), None)
            notices = find_notices(changed, engine.bundle.manifest.input.channels)
            is_unusable = any(notice.is_unusable for notice in notices)
            found[name].append((is_far, calibration.looks_swapped(mismatch), is_unusable))
    return found


def main() -> None:
    """Print a table a set of stacks."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("held_out", type=Path)
    parser.add_argument("--sites", type=int, default=60, help="held-out sites, spread evenly [60]")
    parser.add_argument("--also", type=Path, help="a folder of TIFFs that are the channels of one more stack")
    options = parser.parse_args()
    engine = Engine.load(read_bundle(options.bundle))
    with options.held_out.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    chosen = np.linspace(0, len(rows) - 1, min(options.sites, len(rows))).astype(int)
    files = [[Path(name) for name in json.loads(rows[row]["files"])] for row in chosen]
    sets = {"held-out sites": files}
    if options.also is not None:
        sets[str(options.also)] = [sorted(options.also.glob("*.tif*"))]
    for title, stacks in sets.items():
        total = defaultdict[str, list[tuple[bool, bool, bool]]](list)
        for paths in stacks:
            for name, found in flags(engine, np.stack([read_channel(path) for path in paths])).items():
                total[name] += found
        table = Table("stack", "number", "distance", "stain order", "pixels", "any", title=title)
        for name, found in total.items():
            flagged = np.array(found)
            shares = (*flagged.mean(axis=0), flagged.any(axis=1).mean())
            table.add_row(name, str(len(found)), *(f"{share:.3f}" for share in shares))
        Console().print(table)


if __name__ == "__main__":
    main()
