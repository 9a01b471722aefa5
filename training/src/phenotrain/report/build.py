"""Puts a report and a model card together from what a run found."""

import base64
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pandas as pd

from phenotrain.evaluate import Difference, Estimate, MetricName, doses_text, p_text
from phenotrain.evaluate.confounding import confounding_text
from phenotrain.evaluate.dose_response import left_out_text
from phenotrain.evaluate.draws import NUM_PERMUTATIONS, NUM_PERMUTATIONS_FOR_CHANCE
from phenotrain.evaluate.estimates import FEW_WELLS, MIN_WELLS
from phenotrain.evaluate.headline import interval_text, wells_text
from phenotrain.evaluate.predictions import CLASSIFIER, FOREST
from phenotrain.grouping import treated_names
from phenotrain.report import figures, score_figures
from phenotrain.report.context import ReportContext
from phenotrain.report.section import render
from phenotrain.report.svg import CLASSIFIER_COLOUR, CONTROL_COLOUR
from phenotrain.splits import notes_of

_SIDES: Final = ("test", "validation")
_METRIC_NAMES: Final[tuple[tuple[MetricName, str, str], ...]] = (
    ("balanced_accuracy", "Balanced accuracy", "↑"),
    ("auroc", "AUROC", "↑"),
    ("average_precision", "Average precision", "↑"),
    ("f1", "F1", "↑"),
    ("brier", "Brier", "↓"),
    ("calibration_error", "Calibration error", "↓"),
)


def build_report(context: ReportContext) -> dict[str, bytes]:
    """Render the report.

    Args:
        context: What the run found.

    Returns:
        Content by file name: `report.html`, one page with everything in it that asks nothing of the network,
        and `metrics.json`, the same numbers for programs.
    """
    metrics = context.metrics
    test = metrics.test
    table, bare_plates = context.dose_probability.table, context.dose_probability.left_out
    html = render(
        "report.html.j2",
        **_shared(context),
        auroc=score_figures.auroc_per_dose(test, context.unit_of),
        colours={"classifier": CLASSIFIER_COLOUR, "control": CONTROL_COLOUR},
        confusion=[
            (
                model,
                figures.confusion_matrix(
                    test.classified(model, "well"), metrics.treatments, f"confusion-{model}"
                ),
            )
            for model in (CLASSIFIER, FOREST)
            if model in test.models
        ],
        dose_left_out=left_out_text(bare_plates),
        dose_rows=_records(table),
        dose_text=figures.dose_text,
        doses=figures.response_per_dose(table, context.unit_of),
        drawn_models=score_figures.drawn_models(test),
        model_figure=score_figures.models_compared(test),
        more_panels=_more_panels,
        num_dose_panels=int((table.groupby(["treatment", "series"]).size() > 1).sum()),
        min_wells=MIN_WELLS,
        num_permutations=NUM_PERMUTATIONS,
        num_permutations_of_rank=NUM_PERMUTATIONS_FOR_CHANCE,
        ranks=score_figures.scores_per_rank(test),
        treated=treated_names(metrics.treatments, metrics.control),
        overlays=[
            {**overlay._asdict(), "base64": base64.b64encode(overlay.png).decode("ascii")}
            for overlay in context.overlays
        ],
        recipe=list(_flattened(context.recipe)),
        training=figures.training_curve(context.training_log) if len(context.training_log) else None,
    )
    numbers = {
        "name": context.name,
        "dataset": {"name": context.dataset_name, "licence": context.dataset_licence},
        "split": dict(context.split),
        **metrics.to_json(),
        "headline": context.headline,
        "num_left_out": len(context.left_out),
        "dose_probability": _records(table),
        "dose_plates_without_controls": list(bare_plates),
        **{section.key: dict(section.numbers) for section in context.sections},
    }
    return {
        "report.html": html.encode(),
        "metrics.json": (json.dumps(numbers, indent=2, allow_nan=False) + "\n").encode(),
    }


def card_markdown(context: ReportContext) -> str:
    """Render the model card: data, split, metrics with intervals, limits, licence of the data.

    Args:
        context: What the run found.

    Returns:
        Markdown, ending in one line feed.
    """
    return render("card.md.j2", **_shared(context)).rstrip("\n") + "\n"


def _shared(context: ReportContext) -> dict[str, Any]:
    return {
        "context": context,
        "doses_text": doses_text,
        "estimate": _estimate_text,
        "interval": interval_text,
        "left_out": _records(context.left_out),
        "limits": _limits(context),
        "metric_names": _METRIC_NAMES,
        "metrics": context.metrics,
        "number": _number_text,
        "p_text": p_text,
        "simulated": context.simulated,
        "split_notes": notes_of(context.split),
        "sides": [(side, role) for side in _SIDES if (role := getattr(context.metrics, side)) is not None],
    }


def _limits(context: ReportContext) -> list[str]:
    held_out = context.metrics.test.held_out
    scope = held_out[0].lower() + held_out[1:]
    limits = [
        f"The test sites are {scope}; other cell types, stains, microscopes and treatments are untested.",
        "A treatment outside the classes is answered with one of the classes all the same.",
        "The heatmap says where the classifier looked, not why, and its grid is coarse.",
        "For research only, not for decisions about patients.",
    ]
    if context.split.get("leaks"):
        limits.insert(0, f"The split leaks. {context.split['why_it_leaks']}")
    if context.split.get("protocol") == "leave-well-out":
        limits.insert(1, "Training and test wells share their plates, so nothing is known about a new plate.")
    if context.metrics.confounded:
        limits.insert(
            0,
            confounding_text(context.metrics.confounded),
        )
    smallest = context.metrics.test.classified(CLASSIFIER, "well").smallest_class
    if smallest < FEW_WELLS:
        limits.append(
            f"The smallest class has {wells_text(smallest)} on the test side; the numbers may be far off, and no model "
            "is called better than another."
        )
    if context.simulated:
        limits.insert(
            0, "The images are simulated; the numbers say that the software works, nothing of biology."
        )
    return limits


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as plain values, missing ones as None."""
    return [
        {
            str(key): None if isinstance(value, float) and math.isnan(value) else value
            for key, value in row.items()
        }
        for row in table.to_dict(orient="records")
    ]


def _flattened(recipe: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in recipe.items():
        if isinstance(value, Mapping):
            yield from _flattened(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)


def _estimate_text(found: Estimate | Difference | None) -> str:
    return "-" if found is None else f"{found.value:.2f} {interval_text(found.interval)}"


def _number_text(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _more_panels(num_panels: int) -> str:
    if num_panels <= figures.MAX_PANELS:
        return ""
    return f" The first {figures.MAX_PANELS} of {num_panels} are drawn; metrics.json has all."
