"""Held-out sites worth a look: overlays for the report, and the golden stacks of the bundle."""

import io
from typing import Final

import numpy as np
import pandas as pd
from PIL import Image
from scipy.special import softmax

from phenoserve.bundle import InputSpec
from phenoserve.engine import Graph
from phenoserve.engine.attribution import MAX_CHANNELS
from phenoserve.overlay import render_overlay
from phenotrain.cache import FieldCache
from phenotrain.evaluate import Predictions
from phenotrain.explain.stains import attribute_site, same_plate_controls
from phenotrain.labelled import Task
from phenotrain.report import Overlay

_MAX_GOLDEN = 3
_MAX_CLASSES: Final = 13
_STAND_IN_PX: Final = 20_000_000
"""Pooled pixels that go through the graph for the stain bars of all pictures: half a minute on two cores."""
_MAX_STAND_INS: Final = 4
_WIDTH_PX: Final = 1000
_NUM_COLOURS: Final = 256


def golden_rows(sites: pd.DataFrame, roles: np.ndarray, task: Task) -> list[int]:
    """Picks the sites whose raw stacks go into `golden.npz`: held-out ones of different treatments.

    Args:
        sites: Sites table.
        roles: `train`, `validation` or `test` of every site.
        task: Treatments and control.

    Returns:
        Up to three rows.
    """
    firsts = [_rows_of(sites, roles, treatment)[:1] for treatment in task.treatments]
    return [int(row) for row in np.concatenate(firsts)[:_MAX_GOLDEN]]


def gallery(
    cache: FieldCache,
    roles: np.ndarray,
    task: Task,
    predictions: Predictions,
    model_onnx: bytes,
    *,
    seed: int = 0,
) -> list[Overlay]:
    """Renders, for every class, the best, the median and the most mistaken held-out site.

    Each picture shows all stains and their composite under the heatmap of the predicted treatment, the heatmap's
    scale, and what each stain adds to that treatment's logit, a removed stain being that of controls of the same
    plate.

    Args:
        cache: The pooled fields, and where the original files lie.
        roles: `train`, `validation` or `test` of every site.
        task: Treatments and control; the first thirteen classes are shown.
        predictions: Of every site.
        model_onnx: The exported graph; the heatmaps are those that the service will give.
        seed: Seed of the draw of controls.

    Returns:
        Overlays in logit order, no site twice; a class without a held-out site has none.
    """
    graph = Graph.load(model_onnx, device="cpu")
    chosen = [
        (index, kind, row)
        for index, treatment in enumerate(task.treatments[:_MAX_CLASSES])
        for kind, row in exemplary_rows(
            _rows_of(cache.sites, roles, treatment), predictions.classifier.probabilities, index
        )
    ]
    num_stand_ins = _num_stand_ins(cache, len(chosen))
    overlays: list[Overlay] = []
    for index, kind, row in chosen:
        stand_ins = same_plate_controls(cache.sites, roles, row, task.control, num_stand_ins, seed)
        overlays.append(_overlay(cache, graph, task, index, kind, row, stand_ins))
    return overlays


def exemplary_rows(rows: np.ndarray, probabilities: np.ndarray, index: int) -> list[tuple[str, int]]:
    """Picks the best, the median and the most mistaken site of one class.

    Args:
        rows: Sites of the class, in any order; may be empty.
        probabilities: Of every site, `(num_sites, treatment)`.
        index: The class, in logit order.

    Returns:
        Pairs of what the site is (`best`, `median` or `most mistaken`) and its row, no row twice: the greatest
        probability of the class, the middle one (the upper one of two), and the least one among the sites that are
        classified wrong, where there are any.
    """
    order = rows[np.argsort(probabilities[rows, index], kind="stable")]
    wrong = order[probabilities[order].argmax(axis=1) != index]
    named = (("best", order[-1:]), ("most mistaken", wrong[:1]), ("median", order[len(order) // 2 :][:1]))
    kinds: dict[int, str] = {}
    for kind, found in named:
        for row in found.tolist():
            kinds.setdefault(row, kind)
    shown = ("best", "median", "most mistaken")
    return sorted(((kind, row) for row, kind in kinds.items()), key=lambda pair: shown.index(pair[0]))


def small_png(png: bytes) -> bytes:
    """Makes a picture fit for a page that holds many: 1000 pixels wide at most, 256 colours.

    Args:
        png: Any PNG.

    Returns:
        A PNG of about a fifth of the size.
    """
    image = Image.open(io.BytesIO(png)).convert("RGB")
    width = min(image.width, _WIDTH_PX)
    image = image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.quantize(_NUM_COLOURS, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _num_stand_ins(cache: FieldCache, num_pictures: int) -> int:
    num_channels, height, width = cache.field_shape
    pixels = max(1, num_pictures) * 2 ** min(num_channels, MAX_CHANNELS) * height * width
    return min(_MAX_STAND_INS, max(1, _STAND_IN_PX // pixels))


def _overlay(
    cache: FieldCache, graph: Graph, task: Task, index: int, kind: str, row: int, stand_ins: list[int]
) -> Overlay:
    stack = cache.read_raw(row)
    answers = graph.run(stack[np.newaxis].astype(np.float32))
    predicted = int(answers["logits"][0].argmax())
    probability = float(softmax(answers["logits"][0].astype(np.float64))[predicted])
    site = cache.sites.iloc[row]
    dose = "" if np.isnan(site["treatment_conc"]) else f" {site['treatment_conc']:g}"
    truth, answer = f"{task.treatments[index]}{dose}", f"{task.treatments[predicted]} {probability:.2f}"
    is_misclassified = predicted != index
    label = "MISCLASSIFIED, " if is_misclassified else ""
    values = None
    if len(stack) <= MAX_CHANNELS:
        values = attribute_site(graph, cache, row, stand_ins)[0][:, predicted].tolist()
    png = render_overlay(
        stack,
        cache.stains,
        answers["heatmap"][0, predicted],
        title=f"{label}{truth}, predicted {answer} ({site['site_id']})",
        cell_px=InputSpec.of(cache.stains, cache.downsample).min_size_px,
        stain_values=values,
    )
    return Overlay(f"{kind} of {truth}: predicted {answer}", small_png(png), is_misclassified)


def _rows_of(sites: pd.DataFrame, roles: np.ndarray, treatment: str) -> np.ndarray:
    return np.flatnonzero((roles == "test") & (sites["treatment"] == treatment).to_numpy(dtype=bool))
