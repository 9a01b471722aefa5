"""The report's part on calibration: reliability, coverage of the prediction sets, and what is flagged as foreign."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from phenotrain.calibration_check import CalibrationFindings, Share
from phenotrain.evaluate.estimates import FEW_WELLS
from phenotrain.evaluate.headline import wells_text
from phenotrain.report.section import Section, render
from phenotrain.report.svg import CLASSIFIER_COLOUR, CONTROL_COLOUR, inline_svg, page_style


def calibration_section(findings: CalibrationFindings, smallest_class: int) -> Section:
    """Words and draws the findings.

    Args:
        findings: What was found on the test sites.
        smallest_class: Test wells of the class that has fewest; with few of them the coverage is no verdict.
    """
    html = render(
        "calibration.html.j2",
        findings=findings,
        reliability=_reliability(findings),
        covered=findings.covered
        and _shares(
            findings.covered,
            findings.coverage,
            "coverage",
            "Share of test sites whose prediction set holds the true treatment, with the stated coverage.",
        ),
        flagged=findings.flagged
        and _shares(
            findings.flagged,
            findings.false_positive_rate,
            "flagged",
            "Share of stacks flagged as out of distribution, with the stated false-positive rate.",
        ),
        verdict=_verdict(findings, smallest_class),
    )
    return Section("calibration", "Calibration", html, findings.to_json())


def _verdict(findings: CalibrationFindings, smallest_class: int) -> str:
    if findings.prediction_set_reason is not None:
        return findings.prediction_set_reason
    covered = findings.covered["all"]
    counted = (
        f"of {covered.num_of} test sites of {wells_text(findings.num_wells)} {100 * covered.value:.1f} % "
        f"[{100 * covered.low:.1f}, {100 * covered.high:.1f}] have the true treatment in their set; "
        f"{100 * findings.coverage:.0f} % are stated. A set holds {findings.mean_set_size:.2f} treatments on average; "
        f"{100 * (findings.share_single or 0):.0f} % of the sets hold one."
    )
    return f"{_judgement(findings, covered, smallest_class)}: {counted}"


def _judgement(findings: CalibrationFindings, covered: Share, smallest_class: int) -> str:
    if smallest_class < FEW_WELLS:
        return f"The smallest class has {wells_text(smallest_class)}, too few to judge the prediction sets by"
    if covered.high < findings.coverage:
        return "The prediction sets hold the true treatment less often than they state"
    if covered.low > findings.coverage:
        return "The prediction sets hold the true treatment more often than they state"
    return "The prediction sets keep their word"


def _reliability(findings: CalibrationFindings) -> str:
    with page_style():
        figure = Figure(figsize=(3.4, 3.1), layout="constrained")
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=CONTROL_COLOUR, linewidth=0.8, linestyle="--")
        probabilities = [found.mean_probability for found in findings.reliability]
        shares = [found.right for found in findings.reliability]
        axes.errorbar(
            probabilities,
            [share.value for share in shares],
            yerr=_bars(shares),
            color=CLASSIFIER_COLOUR,
            fmt="o-",
            markersize=4,
            linewidth=1.2,
        )
        axes.set_xlim(0, 1.02)
        axes.set_ylim(0, 1.05)
        axes.set_xlabel("largest probability")
        axes.set_ylabel("share right")
        return inline_svg(
            figure, "reliability", "Share of test sites that are right against the classifier's probability."
        )


def _shares(shares: Mapping[str, Share], stated: float, name: str, description: str) -> str:
    with page_style():
        figure = Figure(figsize=(4.2, 0.34 * len(shares) + 0.9), layout="constrained")
        axes = figure.subplots()
        positions = np.arange(len(shares))[::-1]
        axes.axvline(stated, color=CONTROL_COLOUR, linewidth=0.9, linestyle="--")
        axes.errorbar(
            [share.value for share in shares.values()],
            positions,
            xerr=_bars(list(shares.values())),
            color=CLASSIFIER_COLOUR,
            fmt="o",
            markersize=4.5,
            linewidth=1.2,
        )
        axes.set_yticks(positions, list(shares))
        axes.set_xlim(-0.03, 1.03)
        axes.set_xlabel(name)
        return inline_svg(figure, name, description)


def _bars(shares: list[Share]) -> np.ndarray:
    values = np.array([share.value for share in shares])
    low, high = np.array([share.low for share in shares]), np.array([share.high for share in shares])
    return np.maximum(np.stack([values - low, high - values]), 0)
