"""The report's figures: training curve, models compared, confusion matrices, scores and probability per dose."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from phenotrain.evaluate import Classification
from phenotrain.report.svg import (
    CLASSIFIER_COLOUR,
    CONTROL_COLOUR,
    ink,
    inline_svg,
    page_style,
)

MAX_PANELS: Final = 12
WIDTH_IN: Final = 4.7
_PANEL_WIDTH_IN: Final = 3.1


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


def probability_per_dose(table: pd.DataFrame) -> list[str]:
    """Draw, one panel a treatment and series, the mean probability of "treated" at every dose."""
    panels: list[str] = []
    ordered = table.sort_values("treatment_conc", kind="stable")
    for number, (key, group) in enumerate(list(ordered.groupby(["treatment", "series"]))[:MAX_PANELS]):
        with page_style():
            figure, axes = panel()
            positions = range(len(group))
            axes.plot(positions, group["probability"], "o-", color=CLASSIFIER_COLOUR, markersize=4)
            axes.plot(positions, group["control_probability"], "s--", color=CONTROL_COLOUR, markersize=3.5)
            axes.set_ylim(-0.03, 1.05)
            title = " · ".join(str(part) for part in key if part)
            finish_dose_axis(axes, title, list(group["treatment_conc"]), "mean P(treated)")
            description = f"Mean probability of treated for {title}, by dose, beside same-plate controls."
            panels.append(inline_svg(figure, f"dose-{number}", description))
    return panels


def panel() -> tuple[Figure, Axes]:
    """Make one of the small panels over doses."""
    figure = Figure(figsize=(_PANEL_WIDTH_IN, 2.3), layout="constrained")
    return figure, figure.subplots()


def finish_dose_axis(axes: Axes, title: str, doses: Sequence[float | None], label: str) -> None:
    """Give a panel over doses its title, doses and labels."""
    axes.set_title(title, loc="left")
    axes.set_xticks(range(len(doses)), [dose_text(dose) for dose in doses], rotation=35, ha="right")
    axes.set_xlim(-0.4, max(len(doses) - 0.6, 0.4))
    axes.set_xlabel("dose, as recorded")
    axes.set_ylabel(label)


def dose_text(dose: float | None) -> str:
    """Write a concentration shortly; an unknown one as a question mark."""
    return "?" if dose is None or math.isnan(dose) else f"{dose:g}"
