"""Replays a bundle's golden stacks: the proof that this machine answers as the one that exported it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from phenoserve.bundle import Bundle, Tolerance, read_bundle
from phenoserve.bundle.outputs import Outputs
from phenoserve.engine import ActiveDevice, Device, Engine, EngineError


class GoldenMismatchError(EngineError):
    """Raised when a golden stack is answered otherwise than the bundle says."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How far one replayed output lies from the golden one.

    Attributes:
        stack: Index of the golden stack.
        output: Name of the output.
        max_difference: Largest absolute difference of any number, in the output's unit.
        difference: Absolute difference of the number nearest to its allowance, or furthest beyond it.
        allowed: The allowance of that number: `absolute + relative * |golden|`.
    """

    stack: int
    output: str
    max_difference: float
    difference: float
    allowed: float

    @property
    def ok(self) -> bool:
        """Whether every number of the output is within its allowance."""
        return self.difference <= self.allowed


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """A bundle that was read, verified and replayed.

    Attributes:
        bundle: The bundle, at the precision that was replayed.
        active_device: The device the golden stacks were replayed on.
        differences: One for every golden stack and output.
    """

    bundle: Bundle
    active_device: ActiveDevice
    differences: tuple[Difference, ...]

    @property
    def ok(self) -> bool:
        """Whether every output of every golden stack is within its allowance."""
        return all(difference.ok for difference in self.differences)


def verify(bundle_path: Path, device: Device = "auto") -> tuple[VerifyReport, ...]:
    """Read a bundle, verify its files, and replay its golden stacks on each of its graphs.

    Args:
        bundle_path: The bundle's folder.
        device: The device to replay on.

    Returns:
        A report for every precision, fp32 first.

    Raises:
        BundleError: If the bundle cannot be trusted or read.
        EngineError: If it cannot be loaded on the device, or an answer is not finite.
    """
    bundle = read_bundle(bundle_path)
    engines = (Engine.load(bundle, device=device, precision=precision) for precision in bundle.goldens)
    return tuple(
        VerifyReport(engine.bundle, engine.active_device, replay_golden(engine)) for engine in engines
    )


def replay_golden(engine: Engine) -> tuple[Difference, ...]:
    """Answer the golden stacks of the engine's bundle again, and compare.

    Args:
        engine: The loaded engine.

    Returns:
        One difference for every golden stack and output, stacks first.

    Raises:
        EngineError: If the engine cannot answer.
    """
    golden, tolerance = engine.bundle.golden, engine.bundle.tolerance
    return tuple(
        difference
        for index, (stack, expected) in enumerate(zip(golden.stacks, golden.outputs, strict=True))
        for difference in compare(index, engine.infer(stack[np.newaxis]), expected, tolerance)
    )


def require_golden(engine: Engine) -> None:
    """Replay the golden stacks and refuse an engine that answers otherwise.

    Args:
        engine: The loaded engine.

    Raises:
        GoldenMismatchError: If an output lies outside its allowance; the message names all that do.
        EngineError: If the engine cannot answer.
    """
    wrong = [difference for difference in replay_golden(engine) if not difference.ok]
    if wrong:
        told = "; ".join(
            f"stack {difference.stack}, {difference.output}: off by {difference.difference:.3g}, allowed "
            f"{difference.allowed:.3g}"
            for difference in wrong
        )
        raise GoldenMismatchError(
            f"On {engine.active_device} the golden stacks of {engine.bundle.path} are not answered as they must be: "
            f"{told}. Export the bundle again, or serve it on the device it was made on."
        )


def compare(stack: int, outputs: Outputs, golden: Outputs, tolerance: Tolerance) -> tuple[Difference, ...]:
    """Compare outputs with golden ones; a match is `|out - golden| <= absolute + relative * |golden|`.

    Args:
        stack: Index of the golden stack, for the report.
        outputs: What was put out.
        golden: What must be answered.
        tolerance: The manifest's tolerance.

    Returns:
        One difference an output; an output of another shape differs by infinity.
    """
    found = outputs.arrays()
    return tuple(
        _difference(stack, name, found[name], expected, tolerance)
        for name, expected in golden.arrays().items()
    )


def _difference(
    stack: int, name: str, out: np.ndarray, golden: np.ndarray, tolerance: Tolerance
) -> Difference:
    if out.shape != golden.shape:
        return Difference(stack, name, np.inf, np.inf, 0.0)
    expected = golden.astype(np.float64)
    differences = np.abs(out - expected).ravel()
    allowances = (tolerance.absolute + tolerance.relative * np.abs(expected)).ravel()
    worst = int(np.argmax(differences - allowances))
    return Difference(
        stack, name, float(differences.max()), float(differences[worst]), float(allowances[worst])
    )
