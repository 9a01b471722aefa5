"""Held-out sites worth a look: overlays for the report, and the golden stacks of the bundle."""

import numpy as np
import pandas as pd
from scipy.special import softmax

from phenoserve.bundle import InputSpec
from phenoserve.engine import Graph
from phenoserve.overlay import render_overlay
from phenotrain.cache import FieldCache
from phenotrain.evaluate import Predictions
from phenotrain.labelled import Task
from phenotrain.report import Overlay

_MAX_GOLDEN = 3


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
    cache: FieldCache, roles: np.ndarray, task: Task, predictions: Predictions, model_onnx: bytes
) -> list[Overlay]:
    """Renders, for every class, the held-out site that is surest and the one that is most mistaken.

    Args:
        cache: The pooled fields, and where the original files lie.
        roles: `train`, `validation` or `test` of every site.
        task: Treatments and control.
        predictions: Of every site.
        model_onnx: The exported graph; the heatmaps are those that the service will give.

    Returns:
        Overlays in logit order, each with the heatmap of the predicted treatment.
    """
    graph = Graph.load(model_onnx, device="cpu")
    overlays: list[Overlay] = []
    for index, treatment in enumerate(task.treatments):
        rows = _rows_of(cache.sites, roles, treatment)
        order = rows[np.argsort(predictions.classifier.probabilities[rows, index])]
        wrong = [row for row in order if predictions.classifier.probabilities[row].argmax() != index]
        chosen = dict.fromkeys([int(order[-1]), *(int(row) for row in wrong[:1])])
        overlays.extend(_overlay(cache, graph, task, treatment, row) for row in chosen)
    return overlays


def _overlay(cache: FieldCache, graph: Graph, task: Task, treatment: str, row: int) -> Overlay:
    stack = cache.read_raw(row)
    answers = graph.run(stack[np.newaxis].astype(np.float32))
    predicted = int(answers["logits"][0].argmax())
    probability = float(softmax(answers["logits"][0].astype(np.float64))[predicted])
    site = cache.sites.iloc[row]
    dose = "" if np.isnan(site["treatment_conc"]) else f" {site['treatment_conc']:g}"
    title = f"{treatment}{dose}, predicted {task.treatments[predicted]} {probability:.2f}"
    png = render_overlay(
        stack,
        cache.stains,
        answers["heatmap"][0, predicted],
        title=f"{site['site_id']}: {title}",
        cell_px=InputSpec.of(cache.stains, cache.downsample).min_size_px,
    )
    return Overlay(title, png, task.treatments[predicted] != treatment)


def _rows_of(sites: pd.DataFrame, roles: np.ndarray, treatment: str) -> np.ndarray:
    return np.flatnonzero((roles == "test") & (sites["treatment"] == treatment).to_numpy(dtype=bool))
