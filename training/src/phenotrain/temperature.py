"""Temperature scaling (Guo et al. 2017, section 4.2): a divisor of the logits that makes probabilities honest.

A temperature above 1 takes confidence away and is applied as found. One below 1 adds confidence, and few sites that
happen to be right ask for any amount of it: where all are right the likelihood has no maximum but certainty. So
confidence is added only as far as the sites demand it: to the upper end of the likelihood-ratio interval (Wilks 1938),
or 1 where that lies in it. The interval counts wells: the sites of a well are alike.
"""

import math
from typing import Any, Final

import keras
import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import log_softmax

_LOG_BOUNDS: Final = (-3.0, 3.0)
"""Natural logarithms of the smallest and largest temperature that is tried, 0.05 and 20."""

_LIKELIHOOD_MARGIN: Final = -math.log(0.05)
"""How much less log likelihood a temperature may have than the best one, and still lie in the interval: 3.00.

Where all wells are right this is exact: it ends at the accuracy that makes all of them right in 5 % of draws. Of many
wells the interval holds the true temperature in 98.6 % of draws, by Wilks's theorem.
"""


def fit_temperature(logits: np.ndarray, targets: np.ndarray, weights: np.ndarray, wells: np.ndarray) -> float:
    """Finds the temperature that minimises the weighted negative log likelihood of softmax(logits / temperature).

    Args:
        logits: `(num_sites, num_classes)`.
        targets: Class of each site, `(num_sites,)`.
        weights: Weight of each site, `(num_sites,)`, not negative.
        wells: Well of each site, `(num_sites,)`, of any type that can be compared.

    Returns:
        The temperature, at most 20, where it is at least 1. Else the upper end of its interval over wells, at most 1.
        It does not change which class is the most probable.
    """
    rows = np.arange(len(targets))

    def loss(log_temperature: float) -> float:
        log_probabilities = log_softmax(logits.astype(np.float64) / np.exp(log_temperature), axis=1)
        return float(-np.average(log_probabilities[rows, targets], weights=weights))

    found: Any = minimize_scalar(loss, bounds=_LOG_BOUNDS, method="bounded")  # typed as a bare object
    if found.x >= 0:
        return float(np.exp(found.x))
    allowed = float(found.fun) + _LIKELIHOOD_MARGIN / _effective_number(weights, wells)
    if loss(0.0) <= allowed:
        return 1.0
    # The loss is convex in 1 / temperature, so it rises all the way from the best temperature to 1.
    upper: Any = brentq(lambda log_temperature: loss(log_temperature) - allowed, found.x, 0.0)
    return float(np.exp(upper))


def _effective_number(weights: np.ndarray, wells: np.ndarray) -> float:
    """How many wells of equal weight know as much as these (Kish 1965, section 11.7)."""
    of_well = np.bincount(np.unique(wells, return_inverse=True)[1], weights=weights)
    return float(of_well.sum() ** 2 / np.square(of_well).sum())


def fit_binary_temperatures(
    logits: np.ndarray, targets: np.ndarray, weights: np.ndarray, wells: np.ndarray
) -> np.ndarray:
    """Finds one temperature for each binary head.

    Args:
        logits: Before the sigmoid, `(num_sites, num_heads)`.
        targets: True or 1 where the site is of the head's treatment, `(num_sites, num_heads)`.
        weights: Of each site for each head, `(num_sites, num_heads)`; 0 leaves a site out.
        wells: Well of each site, `(num_sites,)`.

    Returns:
        `(num_heads,)`.
    """
    temperatures: list[float] = []
    for column in range(logits.shape[1]):
        used = weights[:, column] > 0
        # The sigmoid of z is the softmax of (0, z).
        pair = np.stack([np.zeros(used.sum()), logits[used, column]], axis=1)
        classes = targets[used, column].astype(int)
        temperatures.append(fit_temperature(pair, classes, weights[used, column], wells[used]))
    return np.array(temperatures)


def divide_logits(head: keras.Model, temperatures: float | np.ndarray) -> None:
    """Folds temperatures into a head, so that the graph's logits are the calibrated ones.

    Args:
        head: A model of `phenotrain.heads.build_head`, changed in place.
        temperatures: One for all outputs, or one each `(num_outputs,)`.
    """
    outputs = head.get_layer("outputs")
    kernel, bias = outputs.get_weights()
    outputs.set_weights([kernel / temperatures, bias / temperatures])
