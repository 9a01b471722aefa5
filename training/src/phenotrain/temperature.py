"""Temperature scaling (Guo et al. 2017, section 4.2): a divisor of the logits that makes probabilities honest."""

from typing import Any, Final

import keras
import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

_LOG_BOUNDS: Final = (-3.0, 3.0)
"""Natural logarithms of the smallest and largest temperature that is tried, 0.05 and 20."""


def fit_temperature(logits: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> float:
    """Finds the temperature that minimises the weighted negative log likelihood of softmax(logits / temperature).

    Args:
        logits: `(num_sites, num_classes)`.
        targets: Class of each site, `(num_sites,)`.
        weights: Weight of each site, `(num_sites,)`, not negative.

    Returns:
        The temperature, between 0.05 and 20. It does not change which class is the most probable.
    """
    rows = np.arange(len(targets))

    def loss(log_temperature: float) -> float:
        log_probabilities = log_softmax(logits.astype(np.float64) / np.exp(log_temperature), axis=1)
        return float(-np.average(log_probabilities[rows, targets], weights=weights))

    found: Any = minimize_scalar(loss, bounds=_LOG_BOUNDS, method="bounded")  # typed as a bare object
    return float(np.exp(found.x))


def fit_binary_temperatures(logits: np.ndarray, targets: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Finds one temperature for each binary head.

    Args:
        logits: Before the sigmoid, `(num_sites, num_heads)`.
        targets: True or 1 where the site is of the head's treatment, `(num_sites, num_heads)`.
        weights: Of each site for each head, `(num_sites, num_heads)`; 0 leaves a site out.

    Returns:
        `(num_heads,)`.
    """
    temperatures: list[float] = []
    for column in range(logits.shape[1]):
        used = weights[:, column] > 0
        # The sigmoid of z is the softmax of (0, z).
        pair = np.stack([np.zeros(used.sum()), logits[used, column]], axis=1)
        temperatures.append(fit_temperature(pair, targets[used, column].astype(int), weights[used, column]))
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
