"""How far a model prefers a treatment to the control, on the scale of the logits, where nothing saturates."""

from collections.abc import Sequence
from math import log

from phenoclient.plate.report.results import Results, Row
from phenoclient.plate.rows import PROBABILITY

_LEAST = 1e-300
"""Probabilities below are taken for it, as the logarithm of 0 is none"""


def margin(row: Row, results: Results, name: str | None) -> float:
    """The logit of a treatment less that of the control, of one site.

    It is ln P(treatment) - ln P(control), since probabilities are a softmax of the logits.

    Args:
        row: Row of the site.
        results: What it is one of.
        name: A treatment. None, or one that the bundle does not know, stands for anything but the control: the log-odds
            against it. The control's is the log-odds for it.
    """
    control = _logarithm([row[f"{PROBABILITY}{results.control}"]])
    if name in results.treatments and name != results.control:
        return _logarithm([row[f"{PROBABILITY}{name}"]]) - control
    others = _logarithm(
        [row[f"{PROBABILITY}{other}"] for other in results.treatments if other != results.control]
    )
    return control - others if name == results.control else others - control


def meaning(results: Results, name: str | None) -> str:
    """What the margin of a treatment is, in words."""
    if name == results.control:
        return f"log-odds of {name}"
    if name in results.treatments:
        return f"logit of {name} less that of {results.control}"
    return f"log-odds of anything but {results.control}"


def _logarithm(probabilities: Sequence[float | None]) -> float:
    return log(max(sum(value or 0.0 for value in probabilities), _LEAST))
