"""What `phenotrain quantize` does with its arguments, and how it says what went wrong."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console

from phenoserve.bundle import (
    Bundle,
    BundleError,
    Golden,
    Tolerance,
    Variant,
    VariantPrecision,
    VariantSpec,
    read_bundle,
    write_variants,
)
from phenoserve.engine import Engine, EngineError, Graph
from phenotrain.bundle_screen import ScreenMismatchError, open_screen, require_fit
from phenotrain.datasets import DescriptionError, load_description
from phenotrain.datasets.spelling import not_among
from phenotrain.doses import top_doses
from phenotrain.plates import PlateError
from phenotrain.profiles.screen_roles import roles_of
from phenotrain.progress import step_bar, uncounted_step
from phenotrain.quantize.graphs import to_fp16, to_int8
from phenotrain.quantize.measure import Change, WorseError, measure_change
from phenotrain.terminal import fail, show_result

TOLERANCE = Tolerance(absolute=0.05, relative=0.05)
"""Rounding to few bits turns differences of 1e-6 between processors into steps."""


@dataclass(frozen=True)
class QuantizeRequest:
    """What to make of which bundle.

    Attributes:
        dataset: Name or path of the description of the screen that the bundle learned from.
        data: Root folder of the screen.
        bundle: The bundle's folder.
        out: Folder of the new bundle; must not exist.
        precisions: What to add.
        num_calibration_sites: Training sites that the ranges of the activations come from.
        max_sites: Most held-out sites that the change is measured on.
        seed: Seed of the draws of sites.
    """

    dataset: str
    data: Path
    bundle: Path
    out: Path
    precisions: tuple[VariantPrecision, ...]
    num_calibration_sites: int
    max_sites: int
    seed: int


class QuantizeError(ValueError):
    """The screen holds no sites to calibrate or to measure on, or the new bundle has no place."""


def quantize_command(console: Console, request: QuantizeRequest, *, as_json: bool) -> int:
    """Adds graphs of lower precision to a bundle, as a new bundle.

    Args:
        console: Where progress, findings and errors go.
        request: What to make of which bundle.
        as_json: Print the result as JSON.

    Returns:
        The command's exit code: 0, or 1 after an error that the user can mend.
    """
    try:
        changes = _quantize(console, request)
    except (
        BundleError,
        DescriptionError,
        EngineError,
        OSError,
        PlateError,
        QuantizeError,
        ScreenMismatchError,
        WorseError,
    ) as error:
        return fail(console, error)
    show_result(
        {
            "bundle": str(request.out),
            "precisions": {name: {**asdict(one), "note": one.note} for name, one in changes.items()},
        },
        *(_told(name, one) for name, one in changes.items()),
        f"Bundle {request.out}",
        as_json=as_json,
    )
    return 0


def _quantize(console: Console, request: QuantizeRequest) -> dict[VariantPrecision, Change]:
    bundle, description = read_bundle(request.bundle), load_description(request.dataset)
    require_fit(description, bundle)
    sites, read_stack = open_screen(description, request.data, "Copy these files again from their source.")
    if request.out.exists():
        raise QuantizeError(f"{request.out} exists, and a bundle is never edited. Choose another folder.")
    train, held_out = _rows(bundle, sites, description.task.control, request)
    model_onnx = bundle.read_model()
    first = Graph.load(model_onnx, device="cpu")
    targets = np.array([bundle.manifest.treatments.index(name) for name in sites["treatment"].iloc[held_out]])
    variants: dict[VariantPrecision, Variant] = {}
    changes: dict[VariantPrecision, Change] = {}
    for precision in request.precisions:
        with uncounted_step(f"Graph at {precision}", console):
            is_int8 = precision == "int8"
            stacks = (read_stack(row) for row in train)
            converted = to_int8(model_onnx, stacks) if is_int8 else to_fp16(model_onnx)
            graph = Graph.load(converted, device="cpu")
        with step_bar(f"Held-out sites at {precision}", console) as on_site:
            change = measure_change(first, graph, read_stack, held_out, targets, on_site)
        change.require_as_good(precision)
        changes[precision] = change
        spec = _spec_of(change, len(train) if is_int8 else 0)
        variants[precision] = Variant(model_onnx=converted, golden=_golden(graph, bundle), spec=spec)
    write_variants(request.out, bundle, variants)
    return changes


def _told(precision: VariantPrecision, change: Change) -> str:
    return (
        f"{precision}: balanced accuracy {change.accuracy:.4f}, {change.accuracy_fp32:.4f} at fp32; cosine of the "
        f"embeddings at least {change.min_cosine:.4f}, mean {change.mean_cosine:.4f}; {change.num_sites} sites"
        f"{f'. {change.note}' if change.note else ''}"
    )


def _rows(
    bundle: Bundle, sites: pd.DataFrame, control: str, request: QuantizeRequest
) -> tuple[list[int], list[int]]:
    """Training sites to calibrate on, and held-out sites to measure on, at the doses that were learned from."""
    recipe = bundle.manifest.provenance.recipe
    if not (sites["treatment"] == control).any():
        found = not_among("control", control, sites["treatment"])
        raise QuantizeError(f"{found} Pass the screen that the bundle learned from, with its description.")
    roles, _ = roles_of(bundle, sites)
    known = np.flatnonzero(sites["treatment"].isin(bundle.manifest.treatments).to_numpy(dtype=bool))
    heads = recipe.get("heads")
    num_doses = int(str(heads["num_top_doses"])) if isinstance(heads, dict) else 0
    known = known[top_doses(sites.iloc[known], control, num_doses)]
    rng = np.random.default_rng(request.seed)
    train = rng.permutation(known[roles[known] == "train"])[: request.num_calibration_sites]
    held_out = rng.permutation(known[roles[known] == "test"])[: request.max_sites]
    if not len(train) or not len(held_out):
        raise QuantizeError(
            f"{request.data} has {len(train)} training and {len(held_out)} held-out sites of {request.bundle}; "
            "expected some of both. Pass the screen that the bundle learned from."
        )
    return sorted(train.tolist()), sorted(held_out.tolist())


def _spec_of(change: Change, num_calibration_sites: int) -> VariantSpec:
    return VariantSpec(
        tolerance=TOLERANCE,
        min_embedding_cosine=change.min_cosine,
        mean_embedding_cosine=change.mean_cosine,
        accuracy=change.accuracy,
        accuracy_fp32=change.accuracy_fp32,
        num_sites=change.num_sites,
        num_calibration_sites=num_calibration_sites,
    )


def _golden(graph: Graph, bundle: Bundle) -> Golden:
    """The bundle's golden stacks, answered by another graph."""
    engine = Engine(bundle, graph)
    answers = tuple(engine.infer(stack[np.newaxis]) for stack in bundle.golden.stacks)
    return Golden(bundle.golden.stacks, answers)
