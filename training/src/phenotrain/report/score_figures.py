"""Figures of scores with intervals: the models beside each other, each dose rank, each treatment's doses."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from phenotrain.doses import UnitOf, as_recorded
from phenotrain.evaluate import Estimate, Interval, MetricName, RoleMetrics
from phenotrain.evaluate.predictions import CLASSIFIER, FOREST, INTENSITY
from phenotrain.report.figures import MAX_PANELS, WIDTH_IN, finish_dose_axis, panel
from phenotrain.report.svg import (
    BASELINE_COLOUR,
    CLASSIFIER_COLOUR,
    CONTROL_COLOUR,
    FOREST_COLOUR,
    ink,
    inline_svg,
    page_style,
)

_DRAWN: Final = {
    CLASSIFIER: (CLASSIFIER_COLOUR, "o-", "●"),
    FOREST: (FOREST_COLOUR, "s--", "■"),
    INTENSITY: (BASELINE_COLOUR, "^:", "▲"),
}
"""Colour, line and mark of the models that are drawn over doses."""


def drawn_models(role: RoleMetrics) -> list[tuple[str, str, str]]:
    """Return name, colour and mark of the models that are drawn over doses."""
    return [(model, colour, mark) for model, (colour, _, mark) in _DRAWN.items() if model in role.models]


def models_compared(role: RoleMetrics) -> str:
    """Draw every model's well-level balanced accuracy with its interval and its chance level."""
    models = role.models
    found = [role.classified(model, "well").balanced_accuracy for model in models]
    with page_style():
        figure = Figure(figsize=(WIDTH_IN, 0.36 * len(models) + 0.9), layout="constrained")
        axes = figure.subplots()
        for position, (model, estimate) in enumerate(zip(models, found, strict=True)):
            colour = _DRAWN[model][0] if model in _DRAWN else ink()
            axes.plot(
                [estimate.chance] * 2, [position - 0.3, position + 0.3], color=CONTROL_COLOUR, linewidth=2
            )
            axes.errorbar(
                estimate.value,
                position,
                xerr=_bars([estimate]),
                color=colour,
                fmt="o",
                markersize=5,
                capsize=2,
            )
        axes.set_yticks(range(len(models)), models)
        axes.set_ylim(len(models) - 0.5, -0.5)
        axes.set_xlim(0, 1.03)
        axes.set_xlabel("balanced accuracy")
        numbers = "; ".join(
            f"{model} {estimate.value:.2f}" for model, estimate in zip(models, found, strict=True)
        )
        return inline_svg(figure, "models", f"Balanced accuracy of the models on test wells: {numbers}.")


def scores_per_rank(role: RoleMetrics) -> list[str]:
    """Draw balanced accuracy and AUROC of the test wells at every dose rank, one panel each."""
    ranks = sorted({found.dose_rank for found in role.by_dose_rank if found.dose_rank is not None})
    panels: list[str] = []
    names: tuple[tuple[MetricName, str], ...] = (
        ("balanced_accuracy", "balanced accuracy"),
        ("auroc", "AUROC"),
    )
    for metric, label in names if ranks else ():
        with page_style():
            figure, axes = panel()
            for model, _, _ in drawn_models(role):
                estimates = [role.at_dose_rank(model, "well", rank).estimates[metric] for rank in ranks]
                _draw_over_doses(axes, list(range(len(ranks))), estimates, model)
            chances = [role.at_dose_rank(CLASSIFIER, "well", rank).estimates[metric] for rank in ranks]
            axes.plot(
                range(len(ranks)),
                [math.nan if found is None else found.chance for found in chances],
                color=CONTROL_COLOUR,
                linewidth=0.8,
                linestyle="--",
            )
            axes.set_ylim(0, 1.05)
            axes.set_xticks(range(len(ranks)), [str(rank) for rank in ranks])
            axes.set_xlim(-0.4, max(len(ranks) - 0.6, 0.4))
            axes.set_xlabel("dose rank, 1 is the top dose")
            axes.set_ylabel(label)
            panels.append(inline_svg(figure, f"rank-{metric}", f"{label} on test wells, by dose rank."))
    return panels


def auroc_per_dose(role: RoleMetrics, unit_of: UnitOf = as_recorded) -> list[str]:
    """Draw, one panel a treatment, the AUROC against same-plate controls at every dose, with intervals."""
    panels: list[str] = []
    treatments = dict.fromkeys(found.treatment for found in role.by_dose)
    for number, treatment in enumerate(list(treatments)[:MAX_PANELS]):
        of_treatment = [found for found in role.by_dose if found.treatment == treatment]
        doses = sorted({found.dose for found in of_treatment if found.dose is not None})
        with page_style():
            figure, axes = panel()
            for model, _, _ in drawn_models(role):
                drawn = [found for found in of_treatment if found.model == model and found.dose is not None]
                positions = [doses.index(found.dose) for found in drawn if found.dose is not None]
                _draw_over_doses(axes, positions, [found.auroc for found in drawn], model)
            axes.axhline(0.5, color=CONTROL_COLOUR, linewidth=0.8, linestyle="--")
            axes.set_ylim(0, 1.05)
            finish_dose_axis(axes, treatment, doses, "AUROC", unit_of(treatment, ""))
            description = f"AUROC of {treatment} against same-plate controls, by dose."
            panels.append(inline_svg(figure, f"auroc-{number}", description))
    return panels


def _draw_over_doses(
    axes: Axes, positions: Sequence[int], estimates: Sequence[Estimate | None], model: str
) -> None:
    colour, style, _ = _DRAWN[model]
    kept = [(place, found) for place, found in zip(positions, estimates, strict=True) if found is not None]
    shift = 0.08 * (list(_DRAWN).index(model) - 1)
    axes.errorbar(
        [place + shift for place, _ in kept],
        [found.value for _, found in kept],
        yerr=_bars([found for _, found in kept]),
        color=colour,
        fmt=style,
        markersize=4,
        linewidth=1.2,
    )


def _bars(estimates: Sequence[Estimate]) -> np.ndarray:
    # An interval of percentiles need not contain the value itself; a bar cannot have a negative length.
    intervals = [(found.value, found.interval or Interval(found.value, found.value)) for found in estimates]
    lengths = [(value - interval.low, interval.high - value) for value, interval in intervals]
    return np.maximum(np.array(lengths).reshape(-1, 2).T, 0)
