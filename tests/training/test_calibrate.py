"""Prediction sets and distances keep what they state."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phenotrain.calibrate import conformal_threshold, upper_quantile, whitening_of


@pytest.mark.parametrize(("num_sites", "coverage"), [(19, 0.9), (36, 0.9), (50, 0.8), (200, 0.95)])
def test_prediction_sets_cover_what_they_state(num_sites, coverage):
    """Over many draws the true treatment is in the set at least as often as stated, and at most 1/(n+1) more often."""
    rng = np.random.default_rng(num_sites)
    thresholds = [conformal_threshold(rng.beta(2, 1, num_sites), coverage) for _ in range(20_000)]
    covered = (rng.beta(2, 1, 20_000) >= np.array(thresholds)).mean()
    noise = 3 * np.sqrt(coverage * (1 - coverage) / 20_000)
    assert coverage - noise <= covered <= coverage + 1 / (num_sites + 1) + noise


def test_too_few_sites_carry_no_threshold():
    """Eight sites cannot show a coverage of 0.9, nine can."""
    with pytest.raises(ValueError, match="at least 9 sites"):
        conformal_threshold(np.linspace(0.5, 0.9, 8), 0.9)
    assert conformal_threshold(np.linspace(0.5, 0.9, 9), 0.9) == 0.5


@given(st.integers(1, 300), st.floats(0.05, 0.99))
def test_the_upper_quantile_is_one_of_the_values(num, share):
    """It is the smallest value with a share of (n + 1) values at or below it, or the largest of all."""
    ordered = np.arange(1.0, num + 1)
    found = upper_quantile(ordered, share)
    assert found in ordered
    assert found >= share * (num + 1) - 1e-6 or found == num


def test_whitened_training_sites_have_unit_covariance():
    """Over the training sites the components are uncorrelated and of unit variance, whatever the numbers' scales."""
    rng = np.random.default_rng(5)
    mixed = rng.normal(size=(300, 8)) @ rng.normal(size=(8, 8)) * np.array([1, 10, 0.1, 1, 1, 1, 1, 1])
    mean, whitening = whitening_of(mixed.astype(np.float32))
    covariance = np.cov((mixed - mean) @ whitening, rowvar=False, ddof=0)
    np.testing.assert_allclose(covariance, np.eye(8), atol=1e-3)


def test_few_sites_give_few_components():
    """Ten sites give five components: the others would be noise."""
    _, whitening = whitening_of(np.random.default_rng(6).normal(size=(10, 64)).astype(np.float32))
    assert whitening.shape == (64, 5)


def test_a_constant_number_of_the_embedding_does_not_dominate():
    """A number that hardly varies in training is not divided by its tiny deviation."""
    embeddings = np.random.default_rng(4).normal(size=(200, 8)).astype(np.float32)
    embeddings[:, 0] = 2.0
    _, whitening = whitening_of(embeddings)
    assert np.abs(whitening[0, :7]).max() < 1
    assert np.isfinite(whitening).all()


def test_sites_that_are_all_alike_give_finite_components():
    """Training sites without any difference are whitened by finite numbers."""
    _, whitening = whitening_of(np.ones((6, 8), np.float32))
    assert np.isfinite(whitening).all()
