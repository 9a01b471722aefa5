"""The result in one sentence, which says first what speaks against it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phenotrain.evaluate.encoders import encoder_text
from phenotrain.evaluate.estimates import FEW_WELLS, SIGNIFICANCE
from phenotrain.evaluate.predictions import CLASSIFIER, INTENSITY

if TYPE_CHECKING:
    from phenotrain.evaluate.estimates import Interval
    from phenotrain.evaluate.metrics import Metrics


def headline_of(metrics: Metrics) -> str:
    """Say the test result in one sentence.

    Args:
        metrics: What was found.

    Returns:
        Held-out sites, doses, what the classes are confounded with, whether the result is at chance or does not beat
        the intensity baseline (where that is among the models), then well-level balanced accuracy, interval, chance,
        p and the lead. Where a class has few wells, their number stands in place of a verdict on the baseline. Further
        sentences say where an encoder without SimCLR, or none, does as well (`encoder_text`).
    """
    found = metrics.test.classified(CLASSIFIER, "well")
    lead = metrics.test.difference(INTENSITY)
    accuracy = found.balanced_accuracy
    verdict = ""
    if metrics.confounded:
        verdict = f"classes confounded with where their wells lie ({'; '.join(metrics.confounded)}), "
    if found.smallest_p > SIGNIFICANCE:
        verdict += f"{cannot_tell_text(found.smallest_p)}, "
    elif metrics.at_chance:
        verdict += "not distinguishable from chance, "
    after = ""
    is_few = found.smallest_class < FEW_WELLS
    if lead is not None and is_few:
        after = f"; {lead.value:+.2f} {interval_text(lead.interval)} against {INTENSITY}"
    elif lead is not None and lead.is_positive:
        after = f"; {lead.value:.2f} {interval_text(lead.interval)} above {INTENSITY}"
    elif lead is not None:
        verdict += (
            f"does not beat the baseline of {INTENSITY} (difference {lead.value:.2f} "
            f"{interval_text(lead.interval)}), "
        )
    if is_few:
        after += f"; the smallest class has {wells_text(found.smallest_class)}"
    note = " (simulated data)" if metrics.simulated else ""
    return (
        f"{metrics.test.held_out}, {doses_text(metrics.test.num_top_doses)}: {verdict}well-level balanced "
        f"accuracy {accuracy.value:.2f} {interval_text(accuracy.interval)}, chance {accuracy.chance:.2f}, "
        f"{p_text(found.p_value)}{after}{note}.{encoder_text(metrics)}"
    )


def wells_text(num_wells: int) -> str:
    """Count wells."""
    return "1 well" if num_wells == 1 else f"{num_wells} wells"


def cannot_tell_text(smallest_p: float) -> str:
    """Say that a test has too few wells for any answers to differ from chance; there is no verdict then."""
    return f"this test set cannot tell the result from chance (smallest possible p {smallest_p:.2f})"


def doses_text(num_top_doses: int) -> str:
    """Name the doses that are scored together; 0 is all of them."""
    return {0: "all doses", 1: "top dose"}.get(num_top_doses, f"top {num_top_doses} doses")


def interval_text(interval: Interval | None) -> str:
    """Write an interval in brackets; a missing one says why."""
    return "[too few wells]" if interval is None else f"[{interval.low:.2f}, {interval.high:.2f}]"


def p_text(p_value: float, smallest_p: float = 0.0) -> str:
    """Write a p-value to the precision that permutations give.

    Args:
        p_value: The p.
        smallest_p: The smallest that any answers could reach; said where it is no verdict that p is not below it.
    """
    text = "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
    return f"{text} (smallest possible {smallest_p:.2f})" if smallest_p > SIGNIFICANCE else text
