"""Temperature scaling."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit, softmax

from phenotrain.temperature import fit_binary_temperatures, fit_temperature


def drawn(num_sites: int, temperature: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits of five classes, and labels drawn from softmax(logits / temperature)."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (num_sites, 5))
    probabilities = softmax(logits / temperature, axis=1)
    return logits, (rng.random((num_sites, 1)) > probabilities.cumsum(axis=1)).sum(axis=1)


@pytest.mark.parametrize("temperature", [0.3, 0.8, 1.0, 1.3, 4.0])
def test_the_temperature_that_made_the_labels_is_found(temperature):
    """Labels of many wells drawn from softmax(logits / T) give back T."""
    logits, targets = drawn(20_000, temperature, seed=0)
    found = fit_temperature(logits, targets, np.ones(len(logits)), np.arange(len(logits)))
    assert found == pytest.approx(temperature, rel=0.05)


def test_each_binary_head_has_its_own_temperature():
    """Heads that are overconfident by different factors get these factors, from the sites that they see alone."""
    rng = np.random.default_rng(1)
    honest = rng.normal(0, 2, (20_000, 2))
    targets = rng.random(honest.shape) < expit(honest)
    weights = np.ones(honest.shape)
    weights[:5000, 1] = 0
    targets[:5000, 1] = honest[:5000, 1] < 0  # nonsense that the second head must not see
    found = fit_binary_temperatures(honest * [2.0, 5.0], targets, weights, np.arange(len(honest)))
    np.testing.assert_allclose(found, [2.0, 5.0], rtol=0.06)


@pytest.mark.parametrize("temperature", [0.4, 3.0])
def test_weights_count_as_repetitions(temperature):
    """A site of weight 3 counts as three sites of weight 1 in its well."""
    logits, targets = drawn(200, temperature, seed=2)
    weights = np.random.default_rng(3).integers(1, 4, len(logits))
    repeated = np.repeat(np.arange(len(logits)), weights)
    once = fit_temperature(logits, targets, weights.astype(float), np.arange(len(logits)))
    ones = np.ones(len(repeated))
    assert once == pytest.approx(fit_temperature(logits[repeated], targets[repeated], ones, repeated))


@given(st.integers(2, 60), st.integers(2, 12), st.floats(1.0, 12.0))
@settings(max_examples=60, deadline=None)
def test_sites_that_are_all_right_never_read_as_certain(num_wells, num_classes, margin):
    """Where all sites are right by one margin, their probability is raised to 0.05 ** (1 / wells) at most.

    That is the least accuracy that so many right wells leave possible at 95 % (Clopper and Pearson 1934); a
    probability that is higher before stays as it is.
    """
    targets = np.arange(num_wells) % num_classes
    logits = margin * np.eye(num_classes)[targets]
    temperature = fit_temperature(logits, targets, np.ones(num_wells), np.arange(num_wells))
    before = softmax(logits, axis=1).max(axis=1)
    after = softmax(logits / temperature, axis=1).max(axis=1)
    np.testing.assert_allclose(after, np.maximum(before, 0.05 ** (1 / num_wells)), atol=2e-3)


def test_what_says_nothing_against_1_leaves_1():
    """Twelve sites of three wells, all right at 0.6, do not say that 0.6 is too low."""
    logits = np.column_stack([np.full(12, logit(0.6)), np.zeros(12)])
    wells = np.repeat(["B02", "B03", "B04"], 4)
    assert fit_temperature(logits, np.zeros(12, int), np.ones(12), wells) == 1.0


def test_sites_of_a_well_say_no_more_than_one():
    """Sites that are copies within their well leave the temperature where one of each well puts it."""
    logits, targets = drawn(60, 0.4, seed=5)
    once = fit_temperature(logits, targets, np.ones(60), np.arange(60))
    rows = np.repeat(np.arange(60), 9)
    assert once == pytest.approx(fit_temperature(logits[rows], targets[rows], np.ones(540), rows))
    assert once > fit_temperature(logits[rows], targets[rows], np.ones(540), np.arange(540))


def test_confidence_is_added_no_further_than_the_interval():
    """Over many small sets that demand 0.6, what is applied lies at it or above in 97 of 100."""
    found = np.array(
        [fit_temperature(*drawn(40, 0.6, seed), np.ones(40), np.arange(40)) for seed in range(200)]
    )
    assert (found >= 0.6).mean() >= 0.97


def test_overconfidence_is_taken_away_in_full():
    """A temperature above 1 is the most likely one, however few the wells: its neighbours are less likely."""
    logits, targets = drawn(30, 4.0, seed=7)
    found = fit_temperature(logits, targets, np.ones(30), np.arange(30))

    def likelihood(temperature: float) -> float:
        return np.log(softmax(logits / temperature, axis=1)[np.arange(30), targets]).sum()

    assert found > 1
    assert likelihood(found) > max(likelihood(found * 1.01), likelihood(found / 1.01))
