"""What the unit of float pixels does to the answers of a bundle.

    python benchmarks/units.py demo/bundle

Every golden stack is sent in several units, as float32. Printed are, by unit, the least cosine of its embedding and the
greatest difference of a logit to those in grey levels, by the graph alone; and how many of the stacks the service
answers, and with what least cosine. The others it refuses.
"""

import argparse
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from phenoserve.bundle import read_bundle
from phenoserve.engine import Graph
from phenoserve.http.problems import RequestError
from phenoserve.http.request.intensities import require_deviation

FACTORS = {
    "x / 65535": 1 / 65535,
    "x / 4095": 1 / 4095,
    "x / 255": 1 / 255,
    "x / 20": 1 / 20,
    "x * 257": 257.0,
    "x * 1e-12": 1e-12,
    "x * 1e9": 1e9,
}


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    """Cosine of two vectors of any shape."""
    one, other = one.ravel().astype(np.float64), other.ravel().astype(np.float64)
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    bundle = read_bundle(parser.parse_args().bundle)
    graph = Graph.load(bundle.read_model(), device="cpu")
    table = Table(
        title=f"{len(bundle.golden.stacks)} golden stacks, format {bundle.manifest.format_version}",
        title_justify="left",
    )
    for heading in (
        "unit",
        "graph: least cosine",
        "graph: logits by up to",
        "answered",
        "their least cosine",
    ):
        table.add_column(heading)
    expected = [graph.run(stack[np.newaxis].astype(np.float32)) for stack in bundle.golden.stacks]
    for unit, factor in FACTORS.items():
        cosines, differences, answered = [], [], []
        for stack, in_grey in zip(bundle.golden.stacks, expected, strict=True):
            scaled = (stack * factor).astype(np.float32)
            found = graph.run(scaled[np.newaxis])
            cosines.append(cosine(found["embedding"], in_grey["embedding"]))
            differences.append(np.abs(found["logits"] - in_grey["logits"]).max())
            try:
                require_deviation(scaled, bundle)
            except RequestError:
                continue
            answered.append(cosines[-1])
        told = f"{min(answered):.7f}" if answered else "none answered"
        table.add_row(unit, f"{min(cosines):.7f}", f"{max(differences):.2g}", str(len(answered)), told)
    Console().print(table)


if __name__ == "__main__":
    main()
