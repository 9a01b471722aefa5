"""The result in one sentence, which says first what speaks against it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phenotrain.evaluate.predictions import CLASSIFIER, INTENSITY

if TYPE_CHECKING:
    from phenotrain.evaluate.estimates import Interval
    from phenotrain.evaluate.metrics import Metrics


def headline_of(metrics: Metrics) -> str:
    """Say the test result in one sentence.

    Args:
        metrics: What was found.

    Returns:
        Held-out sites, doses, whether the result is at chance or does not beat the intensity baseline (where
        that is among the models), then well-level balanced accuracy, interval, chance, p and the lead.
    """
    found = metrics.test.classified(CLASSIFIER, "well")
    lead = metrics.test.difference(INTENSITY)
    accuracy = found.balanced_accuracy
    verdict = "not distinguishable from chance, " if metrics.at_chance else ""
    if lead is not None and not lead.is_positive:
        verdict += (
            f"does not beat the baseline of {INTENSITY} (difference {lead.value:.2f} "
            f"{interval_text(lead.interval)}), "
        )
    beaten = (
        f"; {lead.value:.2f} {interval_text(lead.interval)} above {INTENSITY}"
        if lead is not None and lead.is_positive
        else ""
    )
    note = " (simulated data)" if metrics.simulated else ""
    return (
        f"{metrics.test.held_out}, {doses_text(metrics.test.num_top_doses)}: {verdict}well-level balanced "
        f"accuracy {accuracy.value:.2f} {interval_text(accuracy.interval)}, chance {accuracy.chance:.2f}, "
        f"{p_text(found.p_value)}{beaten}{note}."
    )


def doses_text(num_top_doses: int) -> str:
    """Name the doses that are scored together; 0 is all of them."""
    return {0: "all doses", 1: "top dose"}.get(num_top_doses, f"top {num_top_doses} doses")


def interval_text(interval: Interval | None) -> str:
    """Write an interval in brackets, a missing one as a dash."""
    return "-" if interval is None else f"[{interval.low:.2f}, {interval.high:.2f}]"


def p_text(p_value: float) -> str:
    """Write a p-value to the precision that permutations give."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
