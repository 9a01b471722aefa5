"""The report's figures: training curve, confusion matrices, AUROC per dose, probability per dose."""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from phenotrain.evaluate import Classification, Comparison, RoleMetrics
from phenotrain.report.svg import (
    CLASSIFIER_COLOUR,
    CONTROL_COLOUR,
    FOREST_COLOUR,
    ink,
    inline_svg,
    page_style,
)

MAX_PANELS: Final = 12
_WIDTH_IN: Final = 4.7
_PANEL_WIDTH_IN: Final = 3.1
_MODEL_COLOURS: Final = {"classifier": CLASSIFIER_COLOUR, "forest": FOREST_COLOUR}


def training_curve(log: pd.DataFrame) -> str:
    """Draw loss, contrastive accuracy and learning rate over epochs, one below the other."""
    curves = (
        ("loss", "NT-Xent loss"),
        ("contrastive_accuracy", "contrastive accuracy"),
        ("learning_rate", "learning rate"),
    )
    with page_style():
        figure = Figure(figsize=(_WIDTH_IN, 4.6), layout="constrained")
        panels = figure.subplots(3, 1, sharex=True)
        for axes, (column, label) in zip(panels, curves, strict=True):
            axes.plot(log["epoch"], log[column], color=CLASSIFIER_COLOUR, marker="o", markersize=2.5)
            axes.set_ylabel(label)
            axes.set_ylim(bottom=0)
            axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
        panels[-1].set_xlabel("epoch")
        panels[-1].xaxis.get_major_locator().set_params(integer=True)
        return inline_svg(figure, "training", "Loss, contrastive accuracy and learning rate over the epochs.")


def confusion_matrix(found: Classification, classes: Sequence[str], name: str) -> str:
    """Draw counts of true against predicted class, shaded by the share of the true class."""
    counts = np.array(found.confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    num = len(classes)
    with page_style():
        size_in = max(_WIDTH_IN, 0.45 * num + 2)
        figure = Figure(figsize=(size_in, size_in * 0.86), layout="constrained")
        axes = figure.subplots()
        for true, predicted in np.ndindex(num, num):
            corner = (predicted - 0.5, true - 0.5)
            shade = (0.0, 0.45, 0.7, 0.85 * float(shares[true, predicted]))
            axes.add_patch(Rectangle(corner, 1, 1, facecolor=shade, edgecolor=ink(), linewidth=0.3))
            text = f"{counts[true, predicted]}"
            axes.text(predicted, true, text, ha="center", va="center", fontsize=9)
        axes.set_xlim(-0.5, num - 0.5)
        axes.set_ylim(num - 0.5, -0.5)
        axes.set_xticks(range(num), classes, rotation=35, ha="right")
        axes.set_yticks(range(num), classes)
        axes.tick_params(length=0)
        axes.set_xlabel(f"predicted by the {found.model}")
        axes.set_ylabel("true")
        for side in axes.spines.values():
            side.set_visible(False)
        rows = "; ".join(
            f"{label}: {', '.join(str(count) for count in row)}"
            for label, row in zip(classes, found.confusion, strict=True)
        )
        return inline_svg(figure, name, f"Confusion matrix of the {found.model}, rows true. {rows}.")


def auroc_per_dose(role: RoleMetrics) -> list[str]:
    """Draw, one panel a treatment, the AUROC against same-plate controls at every dose, with intervals."""
    panels: list[str] = []
    treatments = dict.fromkeys(found.treatment for found in role.by_dose)
    for number, treatment in enumerate(list(treatments)[:MAX_PANELS]):
        of_treatment = [found for found in role.by_dose if found.treatment == treatment]
        doses = sorted({found.dose for found in of_treatment if found.dose is not None})
        with page_style():
            figure, axes = _panel()
            for shift, model in ((-0.08, "classifier"), (0.08, "forest")):
                drawn = [found for found in of_treatment if found.model == model]
                _draw_comparisons(axes, drawn, doses, shift, model)
            axes.axhline(0.5, color=CONTROL_COLOUR, linewidth=0.8, linestyle="--")
            axes.set_ylim(0, 1.05)
            _finish_dose_axis(axes, treatment, doses, "AUROC")
            description = f"AUROC of {treatment} against same-plate controls, by dose."
            panels.append(inline_svg(figure, f"auroc-{number}", description))
    return panels


def probability_per_dose(table: pd.DataFrame) -> list[str]:
    """Draw, one panel a treatment and series, the mean probability of "treated" at every dose."""
    panels: list[str] = []
    ordered = table.sort_values("treatment_conc", kind="stable")
    for number, (key, group) in enumerate(list(ordered.groupby(["treatment", "series"]))[:MAX_PANELS]):
        with page_style():
            figure, axes = _panel()
            positions = range(len(group))
            axes.plot(positions, group["probability"], "o-", color=CLASSIFIER_COLOUR, markersize=4)
            axes.plot(positions, group["control_probability"], "s--", color=CONTROL_COLOUR, markersize=3.5)
            axes.set_ylim(-0.03, 1.05)
            title = " · ".join(str(part) for part in key if part)
            _finish_dose_axis(axes, title, list(group["treatment_conc"]), "mean P(treated)")
            description = f"Mean probability of treated for {title}, by dose, beside same-plate controls."
            panels.append(inline_svg(figure, f"dose-{number}", description))
    return panels


def _panel() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(_PANEL_WIDTH_IN, 2.3), layout="constrained")
    return figure, figure.subplots()


def _draw_comparisons(
    axes: Axes, drawn: Sequence[Comparison], doses: Sequence[float | None], shift: float, model: str
) -> None:
    kept: list[Any] = [found for found in drawn if found.auroc is not None and found.interval is not None]
    positions = [doses.index(found.dose) + shift for found in kept]
    values = np.array([found.auroc for found in kept])
    # An interval of percentiles need not contain the value itself; a bar cannot have a negative length.
    below = np.maximum(values - [found.interval.low for found in kept], 0)
    above = np.maximum([found.interval.high for found in kept] - values, 0)
    axes.errorbar(
        positions,
        values,
        yerr=np.stack([below, above]),
        color=_MODEL_COLOURS[model],
        fmt="o-" if model == "classifier" else "s--",
        markersize=4,
        linewidth=1.2,
    )


def _finish_dose_axis(axes: Axes, title: str, doses: Sequence[float | None], label: str) -> None:
    axes.set_title(title, loc="left")
    axes.set_xticks(range(len(doses)), [dose_text(dose) for dose in doses], rotation=35, ha="right")
    axes.set_xlim(-0.4, max(len(doses) - 0.6, 0.4))
    axes.set_xlabel("dose, as recorded")
    axes.set_ylabel(label)


def dose_text(dose: float | None) -> str:
    """Write a concentration shortly; an unknown one as a question mark."""
    return "?" if dose is None or math.isnan(dose) else f"{dose:g}"
