"""The figures: a plate coloured by a number a well, and an effect over doses."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from phenoclient.plate.report.cautions import MIN_WELLS
from phenoclient.plate.report.svg import COLOUR, CONTROL_COLOUR, INK, inline_svg, page_style
from phenoclient.plate.sites import row_letters, well_position

_FORMATS = ((8, 12), (16, 24), (32, 48))
_BAND, _RANGE = (5, 50, 95), (0, 50, 100)
_MARK_POINTS = 42
_EVERY = {8: 1, 16: 1, 32: 2}


def plate_map(
    values: Mapping[str, float],
    label: str,
    name: str,
    *,
    largest: float = 1.0,
    marks: Mapping[str, Sequence[str]],
) -> str:
    """Draws a plate of 96, 384 or 1536 wells, each coloured by its value from 0 on.

    Args:
        values: By well; NaN and wells that are not there are left open.
        label: What the values are.
        name: Unique on the page.
        largest: Value at the end of the colour scale.
        marks: By matplotlib's name of a marker, the wells to draw it on.
    """
    from matplotlib.figure import Figure

    positions = {well: well_position(well) for well in values}
    num_rows, num_columns = _format(list(positions.values()))
    grid = np.full((num_rows, num_columns), np.nan)
    for well, (row, column) in positions.items():
        grid[row - 1, column - 1] = values[well]
    with page_style():
        figure: Any = Figure(figsize=(6.4, 6.4 * num_rows / num_columns + 0.35), layout="constrained")
        axes: Any = figure.subplots()
        edge = {"edgecolors": INK, "linewidth": 0.25}
        x, y = np.arange(num_columns + 1) + 0.5, np.arange(num_rows + 1) + 0.5
        mesh = axes.pcolormesh(x, y, np.ma.masked_invalid(grid), cmap="cividis", vmin=0, vmax=largest, **edge)
        for marker, wells in marks.items():
            for well in wells:
                row, column = positions[well]
                is_dark = grid[row - 1, column - 1] <= 0.5 * largest
                axes.plot(
                    column,
                    row,
                    marker=marker,
                    markersize=_MARK_POINTS / num_columns,
                    color="white" if is_dark else "black",
                    markeredgewidth=0.8,
                )
        axes.set_aspect("equal")
        axes.invert_yaxis()
        axes.xaxis.tick_top()
        every = _EVERY.get(num_rows, 4)
        axes.set_xticks(range(1, num_columns + 1, every))
        axes.set_yticks(
            range(1, num_rows + 1, every), [row_letters(row) for row in range(1, num_rows + 1, every)]
        )
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(True)
        bar = figure.colorbar(mesh, ax=axes, fraction=0.03, pad=0.02)
        bar.set_label(label)
        bar.outline.set_visible(False)
        filled = int(np.isfinite(grid).sum())
        return inline_svg(figure, name, f"Plate of {filled} wells coloured by {label}.")


def dose_response(
    doses: Sequence[float],
    effects: Sequence[float],
    controls: Sequence[float],
    labels: tuple[str, str],
    name: str,
) -> str:
    """Draws an effect of wells over their doses, the median of each dose, and where untreated wells lie.

    Args:
        doses: Dose of every treated well, above 0.
        effects: Probability of every treated well.
        controls: Probabilities of the untreated wells of the same plates; may be empty.
        labels: What doses and effects are, with the unit.
        name: Unique on the page.
    """
    from matplotlib.figure import Figure

    by_dose: defaultdict[float, list[float]] = defaultdict(list)
    for dose, effect in zip(doses, effects, strict=True):
        by_dose[dose].append(effect)
    steps = sorted(by_dose)
    with page_style():
        figure: Any = Figure(figsize=(4.4, 2.9), layout="constrained")
        axes: Any = figure.subplots()
        if controls:
            low, middle, high = np.percentile(controls, _BAND if len(controls) >= MIN_WELLS else _RANGE)
            axes.axhspan(low, high, color=CONTROL_COLOUR, alpha=0.3, linewidth=0)
            axes.axhline(middle, color=CONTROL_COLOUR, linewidth=1, linestyle="--")
        axes.plot(steps, [float(np.median(by_dose[step])) for step in steps], color=COLOUR, linewidth=1.6)
        axes.plot(doses, effects, "o", markersize=4, color=COLOUR, alpha=0.75, markeredgewidth=0)
        axes.set_xscale("log")
        axes.set_ylim(-0.03, 1.03)
        axes.set_xlabel(labels[0])
        axes.set_ylabel(labels[1])
        return inline_svg(
            figure, name, f"{labels[1]} over {labels[0]}: {len(steps)} doses, {len(doses)} wells."
        )


def _format(positions: Sequence[tuple[int, int]]) -> tuple[int, int]:
    num_rows = max(row for row, _ in positions)
    num_columns = max(column for _, column in positions)
    return next(
        (shape for shape in _FORMATS if num_rows <= shape[0] and num_columns <= shape[1]),
        (num_rows, num_columns),
    )
