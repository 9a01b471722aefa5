"""How sure a model is of a treatment, on the scale of the logit, where nothing saturates."""

from collections.abc import Sequence
from math import log

from phenoclient.plate.columns import PROBABILITY
from phenoclient.plate.report.results import Results, Row, Well

_LEAST = 1e-300
"""Probabilities below are taken for it, as the logarithm of 0 is none"""


def log_odds(row: Row, results: Results, name: str | None) -> float:
    """The log odds of a treatment for one site: ln P(it) - ln P(any other), the logit of its probability.

    Args:
        row: Row of the site.
        results: What it is one of.
        name: A treatment or the control. None, or what the bundle does not know, stands for anything but the control.
    """
    if name not in results.treatments:
        return -log_odds(row, results, results.control)
    others = [row[f"{PROBABILITY}{other}"] for other in results.treatments if other != name]
    # 1 - P would lose the digits of what is left to the others.
    return _logarithm([row[f"{PROBABILITY}{name}"]]) - _logarithm(others)


def mean_log_odds(well: Well, results: Results, name: str | None) -> float:
    """The mean of `log_odds` over a well's sites."""
    return sum(log_odds(row, results, name) for row in well.rows) / len(well.rows)


def subject(results: Results, name: str | None) -> str:
    """What the log odds and the probability of a name are of."""
    return name if name is not None and name in results.treatments else f"anything but {results.control}"


def _logarithm(probabilities: Sequence[float | None]) -> float:
    return log(max(sum(value or 0.0 for value in probabilities), _LEAST))
