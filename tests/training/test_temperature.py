"""Temperature scaling."""

import numpy as np
import pytest
from scipy.special import expit, softmax

from phenotrain.temperature import fit_binary_temperatures, fit_temperature


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_the_temperature_that_made_the_labels_is_found(temperature):
    """Labels drawn from softmax(logits / T) give back T."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (20_000, 5))
    probabilities = softmax(logits / temperature, axis=1)
    targets = (rng.random((len(logits), 1)) > probabilities.cumsum(axis=1)).sum(axis=1)
    assert fit_temperature(logits, targets, np.ones(len(logits))) == pytest.approx(temperature, rel=0.05)


def test_each_binary_head_has_its_own_temperature():
    """Heads that are overconfident by different factors get these factors, from the sites that they see alone."""
    rng = np.random.default_rng(1)
    honest = rng.normal(0, 2, (20_000, 2))
    targets = rng.random(honest.shape) < expit(honest)
    weights = np.ones(honest.shape)
    weights[:5000, 1] = 0
    targets[:5000, 1] = honest[:5000, 1] < 0  # nonsense that the second head must not see
    found = fit_binary_temperatures(honest * [2.0, 5.0], targets, weights)
    np.testing.assert_allclose(found, [2.0, 5.0], rtol=0.06)


def test_weights_count_as_repetitions():
    """A site of weight 3 counts as three sites of weight 1."""
    rng = np.random.default_rng(2)
    logits, targets = rng.normal(0, 2, (50, 3)), rng.integers(0, 3, 50)
    weights = rng.integers(1, 4, 50)
    repeated = np.repeat(np.arange(50), weights)
    once = fit_temperature(logits, targets, weights.astype(float))
    assert once == pytest.approx(fit_temperature(logits[repeated], targets[repeated], np.ones(len(repeated))))
