"""What the graph itself costs on this CPU, as it is written and at each precision that a bundle holds.

    phenotrain quantize rxrx2 demo/screen demo/bundle demo/quantized
    python benchmarks/graph.py demo/quantized [--rounds 15] [--size 1024]

Every round runs each form once. Printed are the processor's milliseconds on one thread, which other work on the machine
hardly changes, and the wall's on all cores, each as median with its range, and the ratio to the first form, which is
what tf2onnx writes: every batch normalisation that follows no convolution as a product and a sum, and averages after
the convolutions of DenseNet's transitions, as the network is defined.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import onnx
from onnx import helper, numpy_helper
from rich.console import Console
from rich.table import Table

from phenoserve.bundle import read_bundle
from phenoserve.engine import Graph
from phenoserve.engine.cores import available_cores
from phenotrain.onnx_rewrite import exchange, rewrite_for_speed

CLOCKS: dict[str, Callable[[], float]] = {"processor": time.process_time, "wall": time.perf_counter}


def as_tf2onnx(model_onnx: bytes) -> bytes:
    """Write a graph as tf2onnx does: batch normalisations as products and sums, averages after convolutions."""
    model = onnx.load_model_from_string(one_node(model_onnx))
    graph = model.graph
    constants = {constant.name: constant for constant in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.op_type != "BatchNormalization":
            nodes.append(node)
            continue
        product = f"{node.output[0]}/product"
        for source, op_type, constant, target in (
            (node.input[0], "Mul", node.input[1], product),
            (product, "Add", node.input[2], node.output[0]),
        ):
            name = f"{constant}/by_channel"
            values = numpy_helper.to_array(constants[constant]).reshape(1, -1, 1, 1)
            graph.initializer.append(numpy_helper.from_array(values, name))
            nodes.append(helper.make_node(op_type, [source, name], [target]))
        for unread in node.input[1:]:
            graph.initializer.remove(constants[unread])
    del graph.node[:]
    graph.node.extend(nodes)
    return model.SerializeToString()


def one_node(model_onnx: bytes) -> bytes:
    """Write each batch normalisation as one node, and average after the transitions' convolutions."""
    model = onnx.load_model_from_string(model_onnx)
    rewrite_for_speed(model.graph)
    poolings = {node.output[0]: node for node in model.graph.node if node.op_type == "AveragePool"}
    for node in list(model.graph.node):
        if node.op_type == "Conv" and node.input[0] in poolings:
            exchange(model.graph, poolings[node.input[0]], node)
    return model.SerializeToString()


def rewritten(model_onnx: bytes) -> bytes:
    """Write a graph as `phenotrain run` does, whatever version exported it."""
    model = onnx.load_model_from_string(model_onnx)
    rewrite_for_speed(model.graph)
    return model.SerializeToString()


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--size", type=int, default=1024, help="height and width of the field, px")
    arguments = parser.parse_args()
    bundle = read_bundle(arguments.bundle)
    forms = {
        "fp32, as tf2onnx writes it": as_tf2onnx(bundle.read_model()),
        "fp32, batch normalisation as one node": one_node(bundle.read_model()),
        "fp32, and averages before convolutions": rewritten(bundle.read_model()),
    }
    forms |= {at: bundle.at(at).read_model() for at in bundle.goldens if at != "fp32"}
    shape = (1, len(bundle.manifest.input.channels), arguments.size, arguments.size)
    stack = np.random.default_rng(0).integers(0, 256, shape).astype(np.float32)
    threads = {"processor": 1, "wall": available_cores()}
    graphs = {
        (form, clock): Graph.load(model, device="cpu", num_threads=threads[clock])
        for form, model in forms.items()
        for clock in CLOCKS
    }
    taken: dict[tuple[str, str], list[float]] = {key: [] for key in graphs}
    for round_number in range(arguments.rounds + 1):
        for (form, clock), graph in graphs.items():
            began = CLOCKS[clock]()
            graph.run(stack)
            if round_number > 0:
                taken[form, clock].append(1e3 * (CLOCKS[clock]() - began))
    _print(list(forms), taken, threads, arguments.size)


def _print(
    forms: list[str], taken: dict[tuple[str, str], list[float]], threads: dict[str, int], size: int
) -> None:
    table = Table(title=f"One field of {size} by {size} pixels, ms", title_justify="left")
    for heading in ("graph", *(f"{clock}, {threads[clock]} thread(s)" for clock in CLOCKS), "first / this"):
        table.add_column(heading)
    for form in forms:
        cells = [
            f"{median(found):.0f} ({min(found):.0f} to {max(found):.0f})"
            for found in (taken[form, clock] for clock in CLOCKS)
        ]
        ratios = [
            median(
                first / this for first, this in zip(taken[forms[0], clock], taken[form, clock], strict=True)
            )
            for clock in CLOCKS
        ]
        table.add_row(form, *cells, ", ".join(f"{ratio:.2f}" for ratio in ratios))
    Console().print(table)


if __name__ == "__main__":
    main()
