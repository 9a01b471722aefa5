"""Deletion and insertion on models whose right answer is known."""

import numpy as np
import pytest

from phenotrain.explain.perturbation import area_under, changed_fields, hottest_first, perturb

CELL, GRID = 4, 4


def sites(num=24, seed=0):
    """Fields of ones, each with its own weight of every cell, and the model that adds up the weighted cells."""
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(GRID * GRID, 0.3), num).reshape(num, GRID, GRID)
    fields = np.ones((num, 2, GRID * CELL, GRID * CELL))
    return weights, fields, rng


def judged(heats, weights, fields, rng):
    current = iter(np.repeat(np.arange(len(weights)), 10))

    def probability_of(changed):
        cells = changed[:, 0].reshape(len(changed), GRID, CELL, GRID, CELL).mean(axis=(2, 4))
        share = (cells * weights[next(current)]).sum(axis=(1, 2))
        return np.stack([1 - share, share], axis=1)

    treatments = [1] * len(weights)
    return perturb(probability_of, fields, heats, treatments, np.arange(len(weights)), CELL, rng)


def test_the_true_order_beats_random_order():
    """Maps that are the model's own weights: lower deletion, higher insertion, by intervals that exclude 0."""
    weights, fields, rng = sites()
    found = judged(list(weights), weights, fields, rng)
    assert found.deletion.passes
    assert found.insertion.passes
    assert found.deletion.area.value < found.deletion.random_area.value
    assert found.insertion.area.value > found.insertion.random_area.value


def test_the_area_is_the_closed_form():
    """Deleting from the top, the area is the mean share left; inserting, the mean share that is there."""
    weights, fields, rng = sites()
    found = judged(list(weights), weights, fields, rng)
    ranked = -np.sort(-weights.reshape(len(weights), -1), axis=1)
    there = np.concatenate([np.zeros((len(weights), 1)), ranked.cumsum(axis=1)], axis=1)
    expected = area_under(there, np.linspace(0, 1, 17)).mean()
    assert found.insertion.area.value == pytest.approx(expected)
    assert found.deletion.area.value == pytest.approx(1 - expected)
    assert found.fraction == tuple(np.linspace(0, 1, 17))
    assert found.deletion.probability[0] == pytest.approx(1)
    assert found.deletion.probability[-1] == pytest.approx(0)


def test_a_random_map_is_no_better_than_random_order():
    """Random maps do not pass: the intervals of both gains contain 0."""
    weights, fields, rng = sites(num=60)
    found = judged(list(rng.random(weights.shape)), weights, fields, rng)
    for curve in (found.deletion, found.insertion):
        assert curve.gain.interval.low <= 0 <= curve.gain.interval.high
        assert not curve.passes


def test_the_opposite_order_is_worse():
    """Coldest first: both gains lie below 0."""
    weights, fields, rng = sites()
    found = judged(list(-weights), weights, fields, rng)
    assert found.deletion.gain.is_below(0)
    assert found.insertion.gain.is_below(0)


def test_a_blank_map_is_a_random_order():
    """A map without values passes nothing: equal cells come in random order."""
    weights, fields, rng = sites(num=60)
    assert not judged([np.zeros((GRID, GRID))] * 60, weights, fields, rng).insertion.passes
    orders = {tuple(hottest_first(np.zeros((2, 2)), rng)) for _ in range(200)}
    assert len(orders) == 24


def test_deleted_and_inserted_fields_are_complements():
    """What deletion has taken insertion has brought: at every point the two add up to the field."""
    field = np.random.default_rng(0).normal(size=(3, 16, 12))
    counts = np.array([0, 1, 4, 6])
    deleted, inserted = changed_fields(field, np.array([5, 0, 1, 4, 2, 3]), counts, (3, 2), 6)
    np.testing.assert_array_equal(deleted + inserted, np.broadcast_to(field, deleted.shape))
    np.testing.assert_array_equal(inserted[1, :, 12:, 6:], field[:, 12:, 6:])
    assert not inserted[1, :, :12].any()
    assert not deleted[-1].any()


def test_large_maps_change_several_cells_at_a_step():
    """However many cells a map has, a curve has at most 17 points, from none to all."""
    field = np.ones((1, 1, 20, 20))

    def share_there(changed):
        return np.stack([np.zeros(len(changed)), changed.mean(axis=(1, 2, 3))], axis=1)

    rng = np.random.default_rng(0)
    found = perturb(share_there, field, [rng.random((20, 20))], [1], np.array(["a"]), 1, rng)
    assert len(found.fraction) == 17
    np.testing.assert_allclose(found.insertion.probability, found.fraction)


def test_no_site_is_refused():
    """Without a site there are no curves."""
    with pytest.raises(ValueError, match="at least one site"):
        perturb(
            lambda fields: fields, np.empty((0, 1, 4, 4)), [], [], np.array([]), 4, np.random.default_rng()
        )
