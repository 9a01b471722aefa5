"""The service on a GPU: do its answers agree with the CPU's, and how near does it come to the bare session?

    python benchmarks/gpu.py BUNDLE [--device cuda] [--precision auto] [--batches 1 8 32] [--callers 1 16 64]
                                    [--rounds 5] [--seconds 5] [--size 1024]

First every output of drawn stacks of several sizes is compared between the device and the CPU at the same precision;
the script ends with 1 where one is beyond the bundle's tolerance of that precision. Then the session alone runs batches
of stacks that are decoded already, and the service is posted a uint8 TIFF on each route; all of them take turns within
a round, and the first round is not counted. The session is run in three ways: with its outputs bound, which is what the
service does on a GPU; plain; and bound, on a graph that takes pixels as uint8, so that a quarter of the bytes crosses
the bus. `--device cpu` runs the same on the CPU, to try the script.
"""

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import onnx
from onnx import TensorProto, helper
from predict import draw_tiff, served
from rich.console import Console
from rich.table import Table
from serve import Run, rounds_of
from serving.loads import Phase, closed_loop, poster

from phenoserve.bundle import read_bundle
from phenoserve.bundle.outputs import GRAPH_OUTPUT_AXES
from phenoserve.engine import Engine
from phenoserve.engine.graph import run_bound, run_plain
from phenoserve.engine.session import ActiveDevice, open_session
from phenoserve.stack import read_stack

PARITY_MARGINS_PX = ((0, 0), (186, 269), (960, 960))
"""Heights and widths of the fields that are compared, beyond the least that the bundle takes."""
ROUTES = ("/predict", "/embed", "/explain")


def parity_table(cpu: Engine, device: Engine) -> tuple[Table, bool]:
    """Compare every output for drawn stacks; says too whether all are within the device's tolerance."""
    tolerance = device.bundle.tolerance
    table = Table(
        "field", "output", "largest difference", "largest value", "within the tolerance", title="parity"
    )
    is_good = True
    spec = cpu.bundle.manifest.input
    channels = len(spec.channels)
    generator = np.random.default_rng(1)
    for margins in PARITY_MARGINS_PX:
        height, width = (spec.min_size_px + margin for margin in margins)
        stacks = generator.gamma(2, 300, (2, channels, height, width)).astype(np.uint16)
        ours, theirs = device.answer(stacks).arrays(), cpu.answer(stacks).arrays()
        for name, expected in theirs.items():
            difference = np.abs(ours[name] - expected)
            allowed = tolerance.absolute + tolerance.relative * np.abs(expected)
            is_within = bool((difference <= allowed).all())
            is_good &= is_within
            found = (f"{difference.max():.2g}", f"{np.abs(expected).max():.2g}", "yes" if is_within else "NO")
            table.add_row(f"{height} x {width}", name, *found)
    return table, is_good


def taking_uint8(model_onnx: bytes) -> bytes:
    """The same graph for pixels as uint8, which it makes float32 itself."""
    model = onnx.load_model_from_string(model_onnx)
    (stack,) = model.graph.input
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = "stack/float" if name == stack.name else name
    model.graph.node.insert(0, helper.make_node("Cast", [stack.name], ["stack/float"], to=TensorProto.FLOAT))
    stack.type.tensor_type.elem_type = TensorProto.UINT8
    return model.SerializeToString()


def session_ways(model_onnx: bytes, device: ActiveDevice) -> dict[str, Callable[[np.ndarray], object]]:
    """Ways to run a batch of uint8 stacks on the session alone, the service's own first."""
    names = list(GRAPH_OUTPUT_AXES)
    session, _ = open_session(model_onnx, device, None)
    narrow, _ = open_session(taking_uint8(model_onnx), device, None)
    return {
        "bound": lambda stacks: run_bound(session, names, stacks.astype(np.float32)),
        "plain": lambda stacks: run_plain(session, names, stacks.astype(np.float32)),
        "bound, uint8 in": lambda stacks: run_bound(narrow, names, stacks),
    }


def session_phase(run: Callable[[np.ndarray], object], stacks: np.ndarray, seconds: float) -> Phase:
    """Run batches one after another; a phase's calls are batches."""

    def call() -> int:
        run(stacks)
        return 200

    return closed_loop(1, seconds, lambda: call)


def main() -> None:
    """Compare, measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--precision", choices=["auto", "fp32", "fp16", "int8"], default="auto")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--callers", type=int, nargs="+", default=[1, 16, 64])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--size", type=int, default=1024, help="height and width of the stack in pixels")
    asked = parser.parse_args()

    bundle, console = read_bundle(asked.bundle), Console(width=120)
    engine = Engine.load(bundle, device=asked.device, precision=asked.precision)
    console.print(f"{engine.active_device}, {engine.bundle.precision}")
    table, is_good = parity_table(
        Engine.load(bundle, device="cpu", precision=engine.bundle.precision), engine
    )
    console.print(table)

    tiff = draw_tiff(len(bundle.manifest.input.channels), asked.size, None)
    stack = read_stack(tiff).array
    with served(asked.bundle, asked.device, "--precision", asked.precision) as client:
        port = client.base_url.port or 80
        batches: dict[str, int] = {}
        phases: dict[str, Run] = {}
        for way, call in session_ways(engine.bundle.read_model(), engine.active_device).items():
            for batch in asked.batches:
                name = f"session, {way}, batches of {batch}"
                batches[name] = batch
                phases[name] = partial(
                    session_phase, call, np.repeat(stack[None], batch, axis=0), asked.seconds
                )
        for callers in asked.callers:
            phases |= {
                f"{path}, {callers} callers": partial(
                    closed_loop, callers, asked.seconds, partial(poster, port, path, tiff)
                )
                for path in ROUTES
            }
        found = rounds_of(phases, asked.rounds)
    stacks_a_call = {name: batches.get(name, 1) for name in found}
    best = [
        max(found[name][index].rate * batch for name, batch in batches.items())
        for index in range(asked.rounds)
    ]
    table = Table(
        "", "stacks /s (range)", "of the session's best", "p50 ms", "p99 ms", "errors", title="rates"
    )
    for name, of_name in found.items():
        rates = [phase.rate * stacks_a_call[name] for phase in of_name]
        table.add_row(
            name,
            f"{median(rates):.1f} ({min(rates):.1f} to {max(rates):.1f})",
            f"{median(rate / limit for rate, limit in zip(rates, best, strict=True)):.3f}",
            f"{median(phase.percentile_ms(50) for phase in of_name):.1f}",
            f"{median(phase.percentile_ms(99) for phase in of_name):.1f}",
            f"{1 - median(phase.share({200}) for phase in of_name):.3f}",
        )
    console.print(table)
    sys.exit(0 if is_good else 1)


if __name__ == "__main__":
    main()
