"""Figures of the report's part on explanations."""

from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from phenotrain.explain.estimates import Estimate
from phenotrain.explain.findings import ExplanationFindings
from phenotrain.explain.perturbation import Perturbation
from phenotrain.explain.randomisation_result import MAX_CORRELATION, Randomisation
from phenotrain.explain.stains import StainFindings
from phenotrain.report.svg import (
    CLASSIFIER_COLOUR,
    CONTROL_COLOUR,
    FOREST_COLOUR,
    ink,
    inline_svg,
    page_style,
)

LEGEND: Final = {"map": CLASSIFIER_COLOUR, "random": CONTROL_COLOUR, "changed": FOREST_COLOUR}
_WIDTH_IN: Final = 4.7
_PANEL_IN: Final = (3.1, 2.3)


def randomisation(found: Randomisation) -> str:
    """Draw |rank correlation| with the map before, stage by stage, with the limit and what chance gives."""
    with page_style():
        figure = Figure(figsize=(_WIDTH_IN, 2.6), layout="constrained")
        axes = figure.subplots()
        for place, stage in enumerate(found.stages):
            _point(axes, place, stage.correlation, CLASSIFIER_COLOUR)
        axes.axhline(MAX_CORRELATION, color=FOREST_COLOUR, linewidth=1, linestyle="--")
        _label_line(axes, MAX_CORRELATION, "must be below")
        if found.chance is not None:
            axes.axhline(found.chance, color=CONTROL_COLOUR, linewidth=1, linestyle=":")
            _label_line(axes, found.chance, "unrelated maps")
        names = [stage.name if place == 0 else f"+ {stage.name}" for place, stage in enumerate(found.stages)]
        axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
        axes.set_xlim(-0.5, len(names) + 0.9)
        axes.set_ylim(0, 1.02)
        axes.set_ylabel("|rank correlation|\nwith the map before")
        description = (
            "Rank correlation of each map with itself as more of the network is shuffled: "
            + "; ".join(
                f"{name} {stage.correlation.value:.2f}"
                for name, stage in zip(names, found.stages, strict=True)
                if stage.correlation.value is not None
            )
        )
        return inline_svg(figure, "randomisation", f"{description}.")


def curves(found: Perturbation) -> list[str]:
    """Draw the deletion and the insertion curve, each beside random order."""
    panels: list[str] = []
    for name, curve in (("deletion", found.deletion), ("insertion", found.insertion)):
        with page_style():
            figure = Figure(figsize=_PANEL_IN, layout="constrained")
            axes = figure.subplots()
            axes.plot(found.fraction, curve.probability, "o-", color=CLASSIFIER_COLOUR, markersize=3)
            axes.plot(found.fraction, curve.random, "s--", color=CONTROL_COLOUR, markersize=3)
            axes.set_title(f"{name}: {'lower' if name == 'deletion' else 'higher'} is better", loc="left")
            axes.set_xlabel(f"share of the field {'deleted' if name == 'deletion' else 'inserted'}")
            axes.set_ylabel("mean probability")
            axes.set_xlim(-0.03, 1.03)
            axes.set_ylim(-0.03, 1.03)
            areas = f"{curve.area.value:.2f}, in random order {curve.random_area.value:.2f}"
            panels.append(inline_svg(figure, f"curve-{name}", f"{name} curve: area {areas}."))
    return panels


def ratios(findings: ExplanationFindings) -> str:
    """Draw how many times more of the maps lies in a region than its area, on a log scale; '' without any."""
    named = [
        ("changed pixels, all sites", findings.truth and findings.truth.inside.ratio),
        ("changed pixels, right ones", findings.truth_right and findings.truth_right.inside.ratio),
        ("cells", findings.foreground and findings.foreground.ratio),
    ]
    drawn = [(name, ratio) for name, ratio in named if ratio is not None and ratio.value]
    if not drawn:
        return ""
    with page_style():
        figure = Figure(figsize=(_WIDTH_IN, 0.75 + 0.36 * len(drawn)), layout="constrained")
        axes = figure.subplots()
        for place, (_, ratio) in enumerate(drawn):
            _point(axes, place, ratio, CLASSIFIER_COLOUR, horizontal=True)
        axes.axvline(1.0, color=CONTROL_COLOUR, linewidth=1, linestyle="--")
        axes.set_xscale("log", base=2)
        # A map may have no share at all in some wells, for which a logarithm has no place.
        bounds = [bound for _, ratio in drawn for bound in _bounds(ratio) if bound > 0]
        exponents = np.arange(np.floor(np.log2(min(*bounds, 0.5))), np.ceil(np.log2(max(*bounds, 2.0))) + 1)
        axes.set_xticks(2.0**exponents, [f"{2.0**exponent:g}" for exponent in exponents])
        axes.set_xlim(2.0 ** exponents[0], 2.0 ** exponents[-1])
        axes.minorticks_off()
        axes.set_yticks(range(len(drawn)), [name for name, _ in drawn])
        axes.set_ylim(len(drawn) - 0.5, -0.5)
        axes.set_xlabel("share of the map / share of the area")
        text = "; ".join(f"{name} {ratio.value:.2f}" for name, ratio in drawn)
        return inline_svg(
            figure, "inside", f"Share of the map over share of the area; 1 knows nothing. {text}."
        )


def stains(found: StainFindings) -> list[str]:
    """Draw, one panel a treatment, every stain's attribution with its interval; really changed ones stand out."""
    panels: list[str] = []
    bounds = [bound for effect in found.effects for bound in _bounds(effect.attribution)]
    for number, treatment in enumerate(dict.fromkeys(effect.treatment for effect in found.effects)):
        effects = [effect for effect in found.effects if effect.treatment == treatment]
        with page_style():
            figure = Figure(figsize=(_PANEL_IN[0], 0.8 + 0.26 * len(effects)), layout="constrained")
            axes = figure.subplots()
            for place, effect in enumerate(effects):
                is_changed = bool(effect.truth)
                colour = FOREST_COLOUR if is_changed else CLASSIFIER_COLOUR
                value = effect.attribution.value or 0.0
                axes.barh(
                    place, value, color=colour, height=0.62, alpha=1.0 if effect.is_significant else 0.35
                )
                _point(axes, place, effect.attribution, ink(), horizontal=True, marker="")
            labels = [f"{'◆ ' if effect.truth else ''}{effect.stain}" for effect in effects]
            axes.set_yticks(range(len(effects)), labels)
            axes.set_ylim(len(effects) - 0.5, -0.5)
            axes.set_xlim(min(0.0, *bounds) * 1.08, max(0.0, *bounds) * 1.08 or 1.0)
            axes.axvline(0.0, color=CONTROL_COLOUR, linewidth=0.8)
            axes.set_title(treatment, loc="left")
            axes.set_xlabel("adds to the logit")
            text = ", ".join(
                f"{effect.stain} {effect.attribution.value:.2f}{' (changed)' if effect.truth else ''}"
                for effect in effects
            )
            panels.append(
                inline_svg(figure, f"stains-{number}", f"Stain attribution of {treatment}: {text}.")
            )
    return panels


def _label_line(axes: Axes, level: float, text: str) -> None:
    axes.text(1.0, level + 0.015, text, transform=axes.get_yaxis_transform(), ha="right", fontsize=8)


def _point(
    axes: Axes,
    place: float,
    estimate: Estimate,
    colour: str,
    *,
    horizontal: bool = False,
    marker: str = "o",
) -> None:
    if estimate.value is None:
        return
    low, high = _bounds(estimate)
    # An interval of percentiles need not contain the value itself; a bar cannot have a negative length.
    lengths = np.array([[max(estimate.value - low, 0.0)], [max(high - estimate.value, 0.0)]])
    style = {
        "color": colour,
        "fmt": marker,
        "markersize": 4.5,
        "linewidth": 1.2,
        "linestyle": "none",
        "capsize": 2,
    }
    if horizontal:
        axes.errorbar([estimate.value], [place], xerr=lengths, **style)
    else:
        axes.errorbar([place], [estimate.value], yerr=lengths, **style)


def _bounds(estimate: Estimate) -> tuple[float, float]:
    """Both ends of the interval; the value itself where there is none."""
    value = estimate.value or 0.0
    return (estimate.interval.low, estimate.interval.high) if estimate.interval else (value, value)
