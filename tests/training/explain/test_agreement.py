"""Rank agreement of stain attributions with the truth, its ceiling and its ties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from phenotrain.explain.agreement import agree, highest_untied

TRUTH = np.zeros((4, 6))
TRUTH[0, 4], TRUTH[1, 3], TRUTH[2, :2], TRUTH[3, [2, 5]] = 0.18, 0.4, (0.11, 0.39), (0.13, 0.41)


def screen(attributions, num_wells=10, spread=0.01, seed=0):
    """Sites of four treatments whose mean attributions are as given."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(4), num_wells)
    values = attributions[group] + rng.normal(0, spread, (len(group), 6))
    wells = np.arange(len(group))
    return values, TRUTH[group], group, wells


def test_untied_attributions_cannot_reach_one():
    """With 18 of 24 pairs exactly 0, even the truth's own order plus noise reaches 0.76 and no more."""
    assert highest_untied(TRUTH.ravel()) == pytest.approx(np.sqrt(1 - (18**3 - 18) / (24**3 - 24)))
    assert highest_untied(TRUTH.ravel()) == pytest.approx(0.7607, abs=1e-4)


@given(st.lists(st.integers(0, 4), min_size=2, max_size=30).filter(lambda values: len(set(values)) > 1))
def test_the_ceiling_is_reached_and_never_passed(values):
    """Any untied values that rise with the truth reach the ceiling; no others go beyond it."""
    truth = np.array(values, float)
    rng = np.random.default_rng(0)
    rising = truth + rng.permutation(len(truth)) / (10 * len(truth))
    assert spearmanr(rising, truth).statistic == pytest.approx(highest_untied(truth))
    for _ in range(5):
        assert spearmanr(rng.permutation(len(truth)), truth).statistic <= highest_untied(truth) + 1e-12


def test_the_truth_itself_reaches_one_once_zeros_are_tied():
    """Attributions that are the truth: raw rho at most the ceiling, tied rho 1."""
    found = agree(*screen(TRUTH, spread=1e-4), (TRUTH > 0).ravel(), np.random.default_rng(0))
    assert found.raw <= found.ceiling
    assert found.tied == pytest.approx(1.0)
    assert found.tied_interval.low > 0.95
    assert (found.num_pairs, found.num_changed, found.num_significant) == (24, 6, 6)


def test_random_attributions_agree_with_nothing():
    """Attributions drawn without the truth: over many draws rho averages to 0."""
    rng = np.random.default_rng(0)
    found = [
        agree(*screen(rng.normal(size=(4, 6)), num_wells=3, spread=0.1), np.ones(24, bool), rng).raw
        for _ in range(60)
    ]
    assert abs(np.mean(found)) < 4 * 0.21 / np.sqrt(60)


def test_nothing_significant_agrees_with_nothing():
    """Where every attribution counts as zero, rho is 0, not undefined."""
    found = agree(*screen(TRUTH), np.zeros(24, bool), np.random.default_rng(0))
    assert (found.tied, found.tied_interval.low, found.tied_interval.high) == (0.0, 0.0, 0.0)


def test_correlation_and_interval_are_spearmans():
    """The raw rho is scipy's, and its interval brackets it when attributions are noisy."""
    values, truth, group, wells = screen(TRUTH, spread=0.3)
    found = agree(values, truth, group, wells, np.ones(24, bool), np.random.default_rng(0))
    means = np.stack([values[group == one].mean(axis=0) for one in range(4)])
    assert found.raw == pytest.approx(spearmanr(means.ravel(), TRUTH.ravel()).statistic)
    assert found.raw_interval.low < found.raw < found.raw_interval.high
