"""The report's part on dose and response: fitted curves, beside a classical measurement where the screen has one."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.figure import Figure

from phenotrain.doses import UnitOf, as_recorded
from phenotrain.evaluate.dose_fit import MIN_DOSES, MIN_PLATES, DoseFit
from phenotrain.evaluate.dose_response import left_out_text
from phenotrain.evaluate.estimates import SIGNIFICANCE
from phenotrain.grouping import natural_order
from phenotrain.report.figures import log_dose_axis, probability_axis
from phenotrain.report.section import Section, render
from phenotrain.report.svg import CLASSIFIER_COLOUR, CONTROL_COLOUR, inline_svg, page_style

MAX_FITS: Final = 24


def dose_fit_section(fits: Sequence[DoseFit], unit_of: UnitOf = as_recorded) -> Section:
    """Draws and tabulates fitted curves; the first of a treatment's drawn, all of them in the table."""
    units = [unit_of(fit.treatment, fit.series) for fit in fits]
    drawable = [fit for fit in fits if len(set(fit.doses)) >= MIN_DOSES]
    html = render(
        "dose_fit.html.j2",
        ec50_text=_ec50_text,
        fits=list(zip(fits, units, strict=True)),
        left_out=left_out_text(natural_order(plate for fit in fits for plate in fit.left_out)),
        min_plates=MIN_PLATES,
        num_drawable=len(drawable),
        num_nested=sum(fit.is_nested for fit in fits),
        num_shown=min(len(drawable), MAX_FITS),
        panels=[
            _panel(fit, unit_of(fit.treatment, fit.series), number)
            for number, fit in enumerate(drawable[:MAX_FITS])
        ],
        significance=SIGNIFICANCE,
    )
    numbers = [{**fit.to_json(), "unit": unit} for fit, unit in zip(fits, units, strict=True)]
    return Section("dose_fit", "Fitted dose-response curves", html, {"fits": numbers})


def _ec50_text(ec50: float, unit: str) -> str:
    return f"{ec50:.3g} {unit}".rstrip()


def _panel(fit: DoseFit, unit: str, number: int) -> str:
    with page_style():
        figure = Figure(figsize=(3.3, 2.6), layout="constrained")
        axes = figure.subplots()
        doses, responses = np.array(fit.doses), np.array(fit.responses)
        if fit.controls:
            low, high = np.quantile(fit.controls, [0.025, 0.975])
            axes.axhspan(low, high, color=CONTROL_COLOUR, alpha=0.3, linewidth=0)
            axes.axhline(float(np.mean(fit.controls)), color=CONTROL_COLOUR, linewidth=0.9, linestyle="--")
        axes.plot(doses, responses, "o", color=CLASSIFIER_COLOUR, markersize=3.2, alpha=0.75)
        if fit.curve is not None:
            along = np.geomspace(doses.min(), doses.max(), 200)
            axes.plot(along, fit.curve.at(along), color=CLASSIFIER_COLOUR, linewidth=1.4)
            if fit.is_within_doses:
                axes.axvline(fit.curve.ec50, color="#d55e00", linewidth=1)
            if fit.interval is not None:
                axes.axvspan(fit.interval.low, fit.interval.high, color="#d55e00", alpha=0.2, linewidth=0)
        log_dose_axis(axes, doses, unit)
        title = fit.series or fit.treatment
        if fit.curve is not None and fit.is_within_doses:
            title += f" · EC50 {_ec50_text(fit.curve.ec50, unit)}"
        axes.set_title(title, loc="left")
        axes.set_ylabel(fit.response)
        if fit.is_log_odds:
            probability_axis(axes)
        return inline_svg(
            figure, f"dose-fit-{number}", f"{fit.response} of {fit.treatment} {fit.series} over the doses."
        )
