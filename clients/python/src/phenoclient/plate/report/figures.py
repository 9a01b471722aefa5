"""An effect over doses."""

from collections import defaultdict
from collections.abc import Sequence
from math import log10
from typing import Any

import numpy as np

from phenoclient.plate.report.cautions import MIN_WELLS
from phenoclient.plate.report.svg import COLOUR, CONTROL_COLOUR, inline_svg, page_style

_BAND, _RANGE = (5, 50, 95), (0, 50, 100)
_LEAST_SHARE = 0.11
"""Share of the axis that a dose's number takes"""


def dose_response(
    doses: Sequence[float], scales: Sequence[tuple[str, Sequence[float]]], dose_label: str, name: str
) -> str:
    """Draws an effect of wells over their doses, the median of each dose, and where untreated wells lie.

    Args:
        doses: Dose of every treated well, above 0.
        scales: What the effect is and its values, one panel each: those of the treated wells in the order of `doses`,
            then those of the untreated wells of the same plates, if any. A scale called `P(...)` runs from 0 to 1.
        dose_label: What doses are, with the unit.
        name: Unique on the page.
    """
    from matplotlib.figure import Figure

    steps = sorted(set(doses))
    with page_style():
        figure: Any = Figure(figsize=(4.4, 4.6), layout="constrained")
        panels: Any = figure.subplots(len(scales), sharex=True, squeeze=False)
        for axes, (label, values) in zip(panels[:, 0], scales, strict=True):
            _panel(axes, doses, values[: len(doses)], values[len(doses) :])
            axes.set_ylabel(_wrapped(label))
            if label.startswith("P("):
                axes.set_ylim(-0.03, 1.03)
        last = panels[-1, 0]
        last.set_xscale("log")
        last.set_xlim(steps[0] / 1.3, steps[-1] * 1.3)
        last.set_xticks(steps, _labels(steps))
        last.minorticks_off()
        last.set_xlabel(dose_label)
        described = " and ".join(label for label, _ in scales)
        return inline_svg(
            figure, name, f"{described} over {dose_label}: {len(steps)} doses, {len(doses)} wells."
        )


def _panel(axes: Any, doses: Sequence[float], effects: Sequence[float], controls: Sequence[float]) -> None:
    by_dose: defaultdict[float, list[float]] = defaultdict(list)
    for dose, effect in zip(doses, effects, strict=True):
        by_dose[dose].append(effect)
    steps = sorted(by_dose)
    if controls:
        low, middle, high = np.percentile(controls, _BAND if len(controls) >= MIN_WELLS else _RANGE)
        axes.axhspan(low, high, color=CONTROL_COLOUR, alpha=0.3, linewidth=0)
        axes.axhline(middle, color=CONTROL_COLOUR, linewidth=1, linestyle="--")
    axes.plot(steps, [float(np.median(by_dose[step])) for step in steps], color=COLOUR, linewidth=1.6)
    axes.plot(doses, effects, "o", markersize=4, color=COLOUR, alpha=0.75, markeredgewidth=0)


def _labels(steps: Sequence[float]) -> list[str]:
    """The doses as text, blank where one would run into the one before."""
    length = log10(steps[-1] / steps[0]) or 1.0
    labels, last = list[str](), -1.0
    for step in steps:
        at, text = log10(step / steps[0]) / length, f"{step:g}"
        has_room = at - last >= _LEAST_SHARE * max(1.0, len(text) / 5)
        labels.append(text if has_room else "")
        last = at if has_room else last
    return labels


def _wrapped(label: str) -> str:
    """A label of log odds on two lines."""
    return label.replace("log odds of ", "log odds of\n")
