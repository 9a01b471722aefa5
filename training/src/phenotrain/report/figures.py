"""The report's figures: training curve, models compared, confusion matrices, scores and response per dose."""

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from phenotrain.doses import UnitOf, as_recorded
from phenotrain.evaluate import Classification
from phenotrain.report.svg import (
    CLASSIFIER_COLOUR,
    CONTROL_COLOUR,
    ink,
    inline_svg,
    page_style,
)

MAX_PANELS: Final = 12
MAX_ROWS: Final = 40
"""Treatments of one dose that a panel shows."""
WIDTH_IN: Final = 4.7
_PANEL_WIDTH_IN: Final = 3.1
_MAX_TICKS: Final = 10
_TICKS: Final[dict[str, Any]] = {"rotation": 50, "ha": "right", "rotation_mode": "anchor", "fontsize": 7.5}
_PROBABILITIES: Final = {
    0.0: (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95),
    5.0: (0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999),
    12.0: (1e-8, 1e-6, 1e-4, 0.01, 0.5, 0.99, 0.9999),
}
"""Probabilities that a right axis may show, by the least range of log odds that they are for."""


def training_curve(log: pd.DataFrame) -> str:
    """Draw loss, contrastive accuracy and learning rate over epochs, one below the other, a line for every fold."""
    curves = (
        ("loss", "NT-Xent loss"),
        ("contrastive_accuracy", "contrastive accuracy"),
        ("learning_rate", "learning rate"),
    )
    with page_style():
        figure = Figure(figsize=(WIDTH_IN, 4.6), layout="constrained")
        panels = figure.subplots(3, 1, sharex=True)
        for axes, (column, label) in zip(panels, curves, strict=True):
            for _, fold in log.groupby("fold") if "fold" in log else [("", log)]:
                axes.plot(fold["epoch"], fold[column], color=CLASSIFIER_COLOUR, marker="o", markersize=2.5)
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
        size_in = max(WIDTH_IN, 0.45 * num + 2)
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


def response_per_dose(table: pd.DataFrame, unit_of: UnitOf = as_recorded) -> list[str]:
    """Draw, one panel a treatment and series, the mean log odds of "treated" at every dose, probabilities beside."""
    panels: list[str] = []
    ordered = table.sort_values("treatment_conc", kind="stable")
    groups = list(ordered.groupby(["treatment", "series"]))
    for number, (key, group) in enumerate([one for one in groups if len(one[1]) > 1][:MAX_PANELS]):
        treatment, series = map(str, key)
        with page_style():
            figure, axes = panel()
            positions = range(len(group))
            axes.plot(positions, group["log_odds"], "o-", color=CLASSIFIER_COLOUR, markersize=4)
            axes.plot(positions, group["control_log_odds"], "s--", color=CONTROL_COLOUR, markersize=3.5)
            title = treatment_text(treatment, series)
            unit = unit_of(treatment, series)
            finish_dose_axis(axes, title, list(group["treatment_conc"]), "log odds of treated", unit)
            probability_axis(axes)
            description = f"Mean log odds of treated for {title}, by dose, beside same-plate controls."
            panels.append(inline_svg(figure, f"dose-{number}", description))
    single = pd.concat([group for _, group in groups if len(group) == 1] or [table.iloc[:0]]).head(MAX_ROWS)
    if len(single):
        with page_style():
            figure, axes = rows_panel(single, unit_of)
            places = range(len(single))
            axes.plot(single["log_odds"], places, "o", color=CLASSIFIER_COLOUR, markersize=4)
            axes.plot(single["control_log_odds"], places, "s", color=CONTROL_COLOUR, markersize=3.5)
            axes.set_xlabel("log odds of treated")
            description = "Mean log odds of treated for treatments of one dose, beside same-plate controls."
            panels.append(inline_svg(figure, "dose-single", description))
    return panels


def rows_panel(table: pd.DataFrame, unit_of: UnitOf) -> tuple[Figure, Axes]:
    """Make a panel with a row for every treatment, series and dose of a table, the first on top."""
    figure = Figure(figsize=(_PANEL_WIDTH_IN, 0.22 * len(table) + 0.8), layout="constrained")
    axes = figure.subplots()
    names: list[str] = []
    for treatment, series, dose in table[["treatment", "series", "treatment_conc"]].itertuples(index=False):
        known = "" if math.isnan(dose) else f" {dose_text(dose)} {unit_of(treatment, series)}"
        names.append(f"{treatment_text(treatment, series)}{known}")
    axes.set_yticks(range(len(table)), names)
    axes.set_ylim(len(table) - 0.5, -0.5)
    return figure, axes


def treatment_text(treatment: str, series: str) -> str:
    """Name a treatment and the drug behind it."""
    return " · ".join(part for part in (treatment, series) if part)


def panel() -> tuple[Figure, Axes]:
    """Make one of the small panels over doses."""
    figure = Figure(figsize=(_PANEL_WIDTH_IN, 2.3), layout="constrained")
    return figure, figure.subplots()


def finish_dose_axis(
    axes: Axes, title: str, doses: Sequence[float | None], label: str, unit: str = ""
) -> None:
    """Give a panel over doses its title, doses with their unit, and labels."""
    axes.set_title(title, loc="left")
    shown = _thinned(len(doses))
    axes.set_xticks(shown, [dose_text(doses[place]) for place in shown], **_TICKS)
    axes.set_xlim(-0.4, max(len(doses) - 0.6, 0.4))
    axes.set_xlabel(dose_label(unit))
    axes.set_ylabel(label)


def log_dose_axis(axes: Axes, doses: np.ndarray, unit: str) -> None:
    """Make the axis of doses logarithmic, with its ticks at the doses that were given."""
    levels = np.unique(doses)
    shown = [levels[place] for place in _thinned(len(levels))]
    axes.set_xscale("log")
    axes.minorticks_off()
    axes.set_xticks(shown, [dose_text(dose) for dose in shown], **_TICKS)
    axes.set_xlim(levels[0] / 1.6, levels[-1] * 1.6)
    axes.set_xlabel(dose_label(unit))


def probability_axis(axes: Axes) -> None:
    """Put the probabilities that belong to the log odds of the left axis on a right one."""
    low, high = axes.get_ylim()
    shown = _PROBABILITIES[max(least for least in _PROBABILITIES if least <= high - low)]
    places = {f"{value:g}": float(np.log(value) - np.log1p(-value)) for value in shown}
    inside = {text: place for text, place in places.items() if low <= place <= high}
    right = axes.secondary_yaxis("right")
    right.set_yticks(list(inside.values()), list(inside))
    right.set_ylabel("P(treated)")


def dose_label(unit: str) -> str:
    """Name an axis or a column of doses."""
    return f"dose ({unit})" if unit else "dose, as recorded"


def dose_text(dose: float | None) -> str:
    """Write a concentration shortly; an unknown one as a question mark."""
    return "?" if dose is None or math.isnan(dose) else f"{dose:g}"


def _thinned(num: int) -> list[int]:
    """Places of the ticks where all would run into each other: every second, third, … the last among them."""
    return list(range(num - 1, -1, -math.ceil(num / _MAX_TICKS)))[::-1]
