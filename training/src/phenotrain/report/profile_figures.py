"""Figures of the report's part on profiles."""

from collections.abc import Sequence
from typing import Any, Final

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from phenotrain.doses import UnitOf, as_recorded
from phenotrain.grouping import natural_order
from phenotrain.profiles.activity import SIGNIFICANCE
from phenotrain.profiles.findings import ProfileFindings
from phenotrain.profiles.similarity import Similarity
from phenotrain.report.figures import MAX_ROWS, dose_label, dose_text, rows_panel, treatment_text
from phenotrain.report.svg import (
    CLASSIFIER_COLOUR,
    CONTROL_COLOUR,
    FOREST_COLOUR,
    ink,
    inline_svg,
    page_style,
)

MAX_PANELS: Final = 12
_MAX_LEGEND: Final = 7
_MAX_NUMBERS: Final = 12
_RASTER_POINTS: Final = 300
# Okabe and Ito's colours without black and the ones that vanish on white or on black.
_COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#8c6bb1")
_SPACE_COLOURS: Final = {"raw": FOREST_COLOUR, "corrected": CLASSIFIER_COLOUR}


def activity_panels(activity: pd.DataFrame, unit_of: UnitOf = as_recorded) -> list[str]:
    """Draw the normalised mAP at every dose with a p, a panel a treatment, single doses together; filled: q < 0.05."""
    panels: list[str] = []
    known = activity[activity["p_value"].notna()]
    groups = [(key, rows) for key, rows in known.groupby(["treatment", "series"], sort=False)]
    groups.sort(key=lambda group: -float(group[1]["normalised_map"].max()))
    for number, (key, rows) in enumerate([group for group in groups if len(group[1]) > 1][:MAX_PANELS]):
        ordered = rows.sort_values("treatment_conc", kind="stable")
        positions = np.arange(len(ordered))
        values = ordered["normalised_map"].to_numpy(dtype=float)
        filled = ordered["is_active"].to_numpy(dtype=bool)
        title = treatment_text(*map(str, key))
        with page_style():
            figure = Figure(figsize=(3.1, 2.3), layout="constrained")
            axes = figure.subplots()
            axes.axhline(0, color=CONTROL_COLOUR, linewidth=0.8, linestyle="--")
            axes.plot(positions, values, color=CLASSIFIER_COLOUR, linewidth=1.2)
            for mask, face in ((filled, CLASSIFIER_COLOUR), (~filled, "none")):
                axes.scatter(
                    positions[mask], values[mask], s=28, facecolor=face, edgecolor=CLASSIFIER_COLOUR, zorder=3
                )
            axes.set_ylim(min(-0.2, values.min() - 0.05), 1.05)
            axes.set_title(title, loc="left")
            doses = [dose_text(dose) for dose in ordered["treatment_conc"]]
            axes.set_xticks(positions, doses, rotation=35, ha="right")
            axes.set_xlim(-0.4, max(len(doses) - 0.6, 0.4))
            axes.set_xlabel(dose_label(unit_of(*map(str, key))))
            axes.set_ylabel("normalised mAP")
            active = (
                ", ".join(dose for dose, is_active in zip(doses, filled, strict=True) if is_active) or "none"
            )
            text = f"Normalised mAP of {title} by dose; significant at: {active}."
            panels.append(inline_svg(figure, f"activity-{number}", text))
    single = pd.concat([rows for _, rows in groups if len(rows) == 1] or [known.iloc[:0]]).head(MAX_ROWS)
    if len(single):
        with page_style():
            figure, axes = rows_panel(single, unit_of)
            values = single["normalised_map"].to_numpy(dtype=float)
            is_active = single["is_active"].to_numpy(dtype=bool)
            axes.axvline(0, color=CONTROL_COLOUR, linewidth=0.8, linestyle="--")
            colours = np.where(is_active, CLASSIFIER_COLOUR, "none")
            axes.scatter(
                values, range(len(single)), s=28, facecolor=colours, edgecolor=CLASSIFIER_COLOUR, zorder=3
            )
            axes.set_xlim(min(-0.2, values.min() - 0.05), 1.05)
            axes.set_xlabel("normalised mAP")
            text = (
                f"Normalised mAP of {len(single)} treatments of one dose, {int(is_active.sum())} significant."
            )
            panels.append(inline_svg(figure, "activity-single", text))
    return panels


def batch_effect_figure(table: pd.DataFrame) -> str:
    """Draw how well plate and experiment are told from controls, before and after, beside chance."""
    labels: list[str] = []
    with page_style():
        figure = Figure(figsize=(4.7, 0.55 * len(table) + 0.9), layout="constrained")
        axes = figure.subplots()
        for position, row in enumerate(table.to_dict(orient="records")):
            value, low, high = (
                float(row[name]) for name in ("balanced_accuracy", "interval_low", "interval_high")
            )
            colour = _SPACE_COLOURS[str(row["profiles"])]
            axes.plot([low, high], [position, position], color=colour, linewidth=2)
            axes.plot(value, position, "o", color=colour, markersize=5.5)
            chance = float(row["chance"])
            axes.plot(
                [chance, chance], [position - 0.38, position + 0.38], color=ink(), linewidth=1, linestyle=":"
            )
            labels.append(f"{row['predicted']}, {row['profiles']}")
        axes.set_yticks(range(len(labels)), labels)
        axes.set_ylim(len(labels) - 0.4, -0.6)
        axes.set_xlim(-0.02, 1.02)
        axes.set_xlabel("balanced accuracy (dotted: chance)")
        rows = "; ".join(
            f"{label} {value:.2f}" for label, value in zip(labels, table["balanced_accuracy"], strict=True)
        )
        return inline_svg(
            figure, "batch-effect", f"Balanced accuracy of telling the batch of a control: {rows}."
        )


def similarity_matrix(similarity: Similarity, shown: Sequence[str]) -> str:
    """Draw cosine similarities in the order of the clustering: blue alike, orange opposite."""
    chosen = set(shown)
    order = [row for row in similarity.order if similarity.names[row] in chosen]
    names = [similarity.names[row] for row in order]
    matrix = similarity.matrix[np.ix_(order, order)]
    q_values = similarity.q_values[np.ix_(order, order)]
    # Opacity carries the size, so that the figure works on white and on black paper.
    colours = np.where((matrix >= 0)[..., None], to_rgb(CLASSIFIER_COLOUR), to_rgb(FOREST_COLOUR))
    image = np.concatenate([colours, 0.85 * np.abs(matrix)[..., None]], axis=-1)
    num = len(names)
    with page_style():
        size_in = max(3.6, 0.2 * num + 1.8)
        figure = Figure(figsize=(size_in, size_in * 0.92), layout="constrained")
        axes = figure.subplots()
        axes.imshow(image, interpolation="nearest", aspect="equal")
        axes.set_xticks(range(num), names, rotation=55, ha="right")
        axes.set_yticks(range(num), names)
        axes.tick_params(length=0, labelsize=7 if num > _MAX_NUMBERS else 8.5)
        for side in axes.spines.values():
            side.set_visible(False)
        for row, column in np.argwhere(q_values < SIGNIFICANCE):
            if num > _MAX_NUMBERS:
                axes.text(column, row, "·", ha="center", va="center", fontsize=8)
        if num <= _MAX_NUMBERS:
            for row, column in np.ndindex(num, num):
                star = "*" if q_values[row, column] < SIGNIFICANCE else ""
                axes.text(
                    column, row, f"{matrix[row, column]:.2f}{star}", ha="center", va="center", fontsize=8
                )
        return inline_svg(
            figure, "similarity", f"Cosine similarities of {num} treatments, clustered; the table has them."
        )


def layout_figures(findings: ProfileFindings) -> list[dict[str, Any]]:
    """Draw the UMAP before and after correction, before alone where nothing is corrected, in up to four colourings.

    Returns:
        `svg` and `title` of each.
    """
    wells = findings.wells.wells.iloc[findings.layout["row"]]
    is_control = wells["is_control"].to_numpy(dtype=bool)
    titles = {"raw": "before correction", "corrected": "after correction"}
    spaces = [space for space in titles if f"{space}_x" in findings.layout]
    drawn: list[dict[str, Any]] = []
    has_several = {
        "treatment": True,
        "dose": wells["treatment_conc"].notna().any(),
        "plate": len(set(wells["plate_name"])) > 1,
        "experiment": len(set(wells["experiment"])) > 1,
    }
    for name in [name for name, is_shown in has_several.items() if is_shown]:
        colours, legend = _coloured(findings, wells, name)
        with page_style():
            figure = Figure(figsize=(4.7, 2.75), layout="constrained", dpi=200)
            for axes, space in zip(figure.subplots(1, 2), titles, strict=True):
                if space not in spaces:
                    axes.set_axis_off()
                    continue
                _scatter(axes, findings.layout, space, colours, is_control)
                axes.set_title(titles[space], loc="left")
            if legend:
                handles = [Line2D([], [], marker="o", linestyle="", markersize=4, color=c) for _, c in legend]
                figure.legend(handles, [text for text, _ in legend], loc="outside lower left", ncols=4, fontsize=7.5,
                              handletextpad=0.1, columnspacing=0.9)  # fmt: skip
            text = (
                f"UMAP of {len(wells)} wells {' and '.join(titles[s] for s in spaces)}, coloured by {name}."
            )
            drawn.append({"svg": inline_svg(figure, f"umap-{name}", text), "title": name})
    return drawn


def _scatter(
    axes: Axes, layout: pd.DataFrame, space: str, colours: np.ndarray, is_control: np.ndarray
) -> None:
    size = float(np.clip(1500 / len(layout), 1.5, 14))
    order = np.argsort(~is_control, kind="stable")  # treated wells over controls
    points = layout[[f"{space}_x", f"{space}_y"]].to_numpy()[order]
    # Thousands of circles make a page of megabytes; beyond some hundreds they become a picture inside the figure.
    is_raster = len(layout) > _RASTER_POINTS
    axes.scatter(*points.T, s=size, c=colours[order], linewidths=0, alpha=0.8, rasterized=is_raster)
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(True)
        side.set_alpha(0.35)


def _coloured(
    findings: ProfileFindings, wells: pd.DataFrame, name: str
) -> tuple[np.ndarray, list[tuple[str, str]]]:
    """Return a colour a well, and the legend's texts with their colours."""
    is_control = wells["is_control"].to_numpy(dtype=bool)
    if name == "dose":
        values = wells["treatment_conc"].to_numpy(dtype=float)
        levels = np.unique(values[np.isfinite(values)])
        colour_of = _scale(len(levels))
        colours = [
            colour_of[int(np.searchsorted(levels, value))] if np.isfinite(value) else CONTROL_COLOUR
            for value in values
        ]
        ends = sorted({0, len(levels) // 2, len(levels) - 1}) if len(levels) else []
        legend = [(dose_text(levels[end]), colour_of[end]) for end in ends]
        return np.array(colours), [*legend, ("no dose", CONTROL_COLOUR)]
    column = {"treatment": "treatment", "plate": "plate_name", "experiment": "experiment"}[name]
    labels = wells[column].to_numpy(dtype=str)
    if name == "treatment":
        best = findings.activity.groupby("treatment")["normalised_map"].max()
        names = list(best.sort_values(ascending=False, kind="stable").index[:_MAX_LEGEND])
        names = [treatment for treatment in findings.treatments if treatment in names]
        of_name = dict(zip(names, _COLOURS, strict=False))
        legend = [(findings.control, CONTROL_COLOUR), *of_name.items()]
        if not set(labels[~is_control]) <= set(names):
            legend.append(("others", "#b9a27a"))
        colours = [
            CONTROL_COLOUR if control else of_name.get(label, "#b9a27a")
            for label, control in zip(labels, is_control, strict=True)
        ]
        return np.array(colours), legend
    names = natural_order(labels)
    of_name = dict(zip(names, _COLOURS if len(names) <= len(_COLOURS) else _scale(len(names)), strict=False))
    legend = list(of_name.items()) if len(names) <= _MAX_LEGEND else [
        (f"{names[0]} (first of {len(names)})", of_name[names[0]]), (f"{names[-1]} (last)", of_name[names[-1]])
    ]  # fmt: skip
    return np.array([of_name[label] for label in labels]), legend


def _scale(num: int) -> list[str]:
    # The ends of viridis vanish on black or on white.
    return [to_hex(colour) for colour in mpl.colormaps["viridis"](np.linspace(0.12, 0.92, max(num, 1)))]
