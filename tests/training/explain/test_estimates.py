"""Means over sites with intervals from wells."""

import numpy as np
import pytest

from phenotrain.explain.estimates import mean_over_wells


def estimate(values, wells, seed=0):
    return mean_over_wells(np.array(values, float), np.array(wells), np.random.default_rng(seed))


def test_the_value_is_the_mean_over_known_sites():
    """NaN sites are left out of the mean and of the counts."""
    found = estimate([1.0, np.nan, 4.0], ["a", "b", "c"])
    assert (found.value, found.num_sites, found.num_wells) == (2.5, 2, 2)


def test_the_interval_has_the_width_of_the_standard_error():
    """With one site a well, the interval is the mean ± 1.96 standard errors."""
    values = np.random.default_rng(1).normal(3, 2, 200)
    found = estimate(values, np.arange(200))
    half_width = 1.96 * values.std() / np.sqrt(200)
    assert found.interval.low == pytest.approx(values.mean() - half_width, abs=0.1 * half_width)
    assert found.interval.high == pytest.approx(values.mean() + half_width, abs=0.1 * half_width)


def test_sites_of_a_well_are_not_independent():
    """Repeating every well's site says nothing new: the interval stays as it is."""
    values, wells = np.arange(8.0), np.arange(8)
    once, often = estimate(values, wells), estimate(np.repeat(values, 10), np.repeat(wells, 10))
    assert once.interval == often.interval
    assert estimate(np.repeat(values, 10), np.arange(80)).interval.low > once.interval.low


@pytest.mark.parametrize("num_wells", [5, 12])
def test_few_wells_are_covered_too(num_wells):
    """Over many draws from a normal distribution the interval holds the truth in about 95 of 100."""
    rng = np.random.default_rng(0)
    intervals = [estimate(rng.normal(size=num_wells), np.arange(num_wells)).interval for _ in range(400)]
    covered = np.mean([interval.low <= 0 <= interval.high for interval in intervals])
    assert 0.91 < covered < 0.985


@pytest.mark.parametrize("num_wells", [0, 1, 2])
def test_fewer_than_three_wells_give_no_interval(num_wells):
    """Without an interval nothing is above or below anything."""
    found = estimate(np.full(num_wells, 5.0), np.arange(num_wells))
    assert found.interval is None
    assert not found.is_above(-1e9)
    assert not found.is_below(1e9)
    assert found.value == (5.0 if num_wells else None)


def test_above_and_below_mean_the_whole_interval():
    """A level inside the interval is neither below nor above it."""
    found = estimate([1, 2, 3, 4, 5, 6], list("abcdef"))
    assert found.is_above(0.9)
    assert found.is_below(6.1)
    assert not found.is_above(3.5)
    assert not found.is_below(3.5)


def test_five_wells_carry_numbers_and_no_verdict():
    """With five wells there is a mean and an interval, and nothing is said to lie above or below it."""
    found = estimate([1, 2, 3, 4, 5], list("abcde"))
    assert found.interval is not None
    assert not found.is_judged
    assert not found.is_above(-1e9)
    assert not found.is_below(1e9)
    assert found.no_verdict == "No verdict from 5 sites of 5 wells: it takes 6 wells"
