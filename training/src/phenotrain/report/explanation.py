"""The report's part on explanations: do the maps and the stain attributions deserve to be believed?"""

from collections.abc import Sequence
from typing import Any

from phenotrain.explain.estimates import MIN_JUDGED_WELLS, Estimate
from phenotrain.explain.findings import ExplanationFindings
from phenotrain.explain.localisation import Localisation
from phenotrain.explain.perturbation import Perturbation
from phenotrain.explain.randomisation_result import MAX_CORRELATION, Randomisation
from phenotrain.explain.stains import StainFindings
from phenotrain.report import explanation_figures as figures
from phenotrain.report.section import Section, render

_SATURATED = 0.9


def explanation_section(findings: ExplanationFindings) -> Section:
    """Render the tests of the explanations.

    Args:
        findings: What they found.

    Returns:
        A section with one verdict a test, its figure, and all numbers.
    """
    randomisation, perturbation = findings.randomisation, findings.perturbation
    stains = findings.stains
    html = render(
        "explanation.html.j2",
        findings=findings,
        randomisation=randomisation and figures.randomisation(randomisation),
        perturbation=perturbation and figures.curves(perturbation),
        ratios=figures.ratios(findings),
        stains=[] if stains is None else figures.stains(stains),
        unit_rows=_rows(findings),
        stain_rows=[] if stains is None else stains.effects,
        colours=figures.LEGEND,
        estimate=estimate_text,
        verdicts=verdicts(findings),
    )
    return Section("explanation", "Can the explanations be believed?", html, findings.to_json())


def verdicts(findings: ExplanationFindings) -> dict[str, str]:
    """Say in a sentence what each test found, those that were not made among them.

    Args:
        findings: What the tests found.

    Returns:
        Sentences by the test's name: `randomisation`, `perturbation`, `truth`, `foreground`, `stains`.
    """
    return {
        "randomisation": _randomisation(findings.randomisation),
        "perturbation": _perturbation(findings.perturbation),
        "truth": _truth(findings),
        "foreground": _foreground(findings),
        "stains": _stains(findings.stains),
    }


def estimate_text(estimate: Estimate, digits: int = 2) -> str:
    """Write a mean and its interval, `0.83 [0.71, 0.95]`; a dash without a site."""
    if estimate.value is None:
        return "-"
    interval = estimate.interval
    bounds = f" [{interval.low:.{digits}f}, {interval.high:.{digits}f}]" if interval else " [too few wells]"
    return f"{estimate.value:.{digits}f}{bounds}"


def _randomisation(found: Randomisation | None) -> str:
    if found is None:
        return "Randomisation was not tested: it needs the trained networks, and only the exported graph is here."
    values = [stage.correlation.value for stage in found.stages]
    known = [value for value in values if value is not None]
    if not known:
        return "Randomisation could not be tested: every map is the same everywhere."
    last = known[1] if len(known) > 1 else known[0]
    size = found.stages[0].correlation
    verdict = (
        size.no_verdict
        if found.passes is None
        else "Passes: the maps change when what was learned is destroyed"
        if found.passes
        else "Fails: the maps stay alike when what was learned is destroyed, so they do not show it"
    )
    return (
        f"{verdict}. With head and last block shuffled, |rank correlation| with the map before is {last:.2f}; it must "
        f"be below {MAX_CORRELATION:.1f} there and at every later stage, and unrelated maps give {found.chance:.2f} "
        f"({size.size})."
    )


def _perturbation(found: Perturbation | None) -> str:
    if found is None:
        return "Deletion and insertion were not tested: they need the trained networks."
    parts = {"deletion": found.deletion, "insertion": found.insertion}
    passing = [name for name, curve in parts.items() if curve.passes]
    gains = ", ".join(f"{name} gain {estimate_text(curve.gain)}" for name, curve in parts.items())
    size = found.deletion.gain
    if not size.is_judged:
        verdict = size.no_verdict
    elif len(passing) == len(parts):
        verdict = "Passes: the answer follows the cells in the map's order more than in random order"
    elif passing:
        verdict = (
            f"Passes for {passing[0]} only: the other is not distinguishable from random order, or worse"
        )
    else:
        verdict = "Fails: the map's order is not distinguishable from random order, or worse"
    return f"{verdict} ({gains}; {size.size})."


def _truth(findings: ExplanationFindings) -> str:
    found = findings.truth
    if found is None:
        reason = "the treatments change nothing" if findings.simulated else "the truth is not known"
        return f"Agreement with a truth was not tested: {reason} here."
    mass = _against(found.inside.ratio, 1.0)
    pointing = (
        f"The hottest cell is a hit at {_percent(found.pointing.hits)} of sites, and a random cell at "
        f"{_percent(found.pointing.chance)}."
    )
    if (found.pointing.chance.value or 0) > _SATURATED:
        pointing += (
            " The treatments act nearly everywhere, so that pointing can hardly miss and says little here."
        )
    times = estimate_text(found.inside.ratio)
    return (
        f"{mass}: the maps' mass inside what the treatment changed is {times} times its share of the area "
        f"({found.inside.ratio.size}). "
        f"{pointing}"
    )


def _foreground(findings: ExplanationFindings) -> str:
    found = findings.foreground
    if found is None or found.mass.value is None or found.ratio.value is None:
        return (
            "The share on cells could not be measured: the maps are zero everywhere, or no cell stands out."
        )
    if not found.ratio.is_judged:
        return (
            f"{found.ratio.no_verdict}. The maps have {_percent(found.mass)} of their mass on the "
            f"{_percent(found.area)} of the area that are cells."
        )
    side = (
        "more on cells than a map that is the same everywhere"
        if found.ratio.is_above(1.0)
        else "less on cells than a map that is the same everywhere"
        if found.ratio.is_below(1.0)
        else "on cells no more than a map that is the same everywhere"
    )
    return (
        f"The maps lie {side}: {_percent(found.mass)} of their mass on {_percent(found.area)} of the area, "
        f"ratio {estimate_text(found.ratio)} ({found.ratio.size})."
    )


def _stains(found: StainFindings | None) -> str:
    if found is None:
        return "Stains were not attributed: their subsets are too many."
    agreement = found.agreement
    if agreement is None:
        judged = [effect for effect in found.effects if effect.attribution.is_judged]
        num_unjudged = len(found.effects) - len(judged)
        num = sum(effect.is_significant for effect in judged)
        sentence = f"{num} of {len(judged)} pairs of treatment and stain have an attribution that is not zero"
        if not judged:
            sentence = "Whether an attribution is not zero is not known"
        too_few = (
            f"; {num_unjudged} pairs rest on fewer than {MIN_JUDGED_WELLS} wells" if num_unjudged else ""
        )
        return f"{sentence}{too_few}."
    ours, theirs = agreement.tied_interval, agreement.raw_interval
    return (
        f"Rank correlation of the attributions with the simulated truth is {agreement.tied:.2f} "
        f"[{ours.low:.2f}, {ours.high:.2f}] with those at zero whose interval contains zero, and {agreement.raw:.2f} "
        f"[{theirs.low:.2f}, {theirs.high:.2f}] as they are, where no attributions without ties can exceed "
        f"{agreement.ceiling:.2f}: of {agreement.num_pairs} pairs of treatment and stain, the treatments changed "
        f"{agreement.num_changed} and no other at all."
    )


def _against(estimate: Estimate, level: float) -> str:
    if not estimate.is_judged:
        return estimate.no_verdict
    if estimate.is_above(level):
        return "Better than a map that knows nothing"
    if estimate.is_below(level):
        return "Worse than a map that knows nothing"
    return "Not distinguishable from a map that knows nothing"


def _percent(estimate: Estimate) -> str:
    return "-" if estimate.value is None else f"{100 * estimate.value:.0f} %"


def _rows(findings: ExplanationFindings) -> Sequence[dict[str, Any]]:
    """One row a test of place: what, sites, hits, chance of a hit, mass, area, ratio."""
    rows: list[dict[str, Any]] = []
    named: tuple[tuple[str, Localisation | None], ...] = (
        ("changed pixels, all sites", findings.truth),
        ("changed pixels, sites classified right", findings.truth_right),
    )
    for name, found in named:
        if found is not None:
            rows.append({"name": name, "pointing": found.pointing, "inside": found.inside})
    if findings.foreground is not None:
        rows.append(
            {"name": "cells (foreground), all sites", "pointing": None, "inside": findings.foreground}
        )
    return rows
