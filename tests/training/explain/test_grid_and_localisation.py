"""Where a map lies: planted maps, random maps and uniform maps score as they must."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phenotrain.explain.grid import cell_means, cells
from phenotrain.explain.localisation import (
    foreground,
    hits,
    localise,
    measure_inside,
    points_at,
    relevance_mass,
)

CELL = 16


def planted(rng, num_sites=40, grid=8):
    """Truth of two whole cells a site, and its share of every cell."""
    shares = np.zeros((num_sites, grid * grid))
    for site in range(num_sites):
        shares[site, rng.permutation(grid * grid)[:2]] = 1
    shares = shares.reshape(num_sites, grid, grid)
    masks = shares.repeat(CELL, axis=1).repeat(CELL, axis=2).astype(bool)
    return masks, shares


@given(st.integers(1, 6), st.integers(1, 6), st.integers(2, 9), st.data())
def test_cells_tile_what_they_cover(rows, columns, cell_px, data):
    """No two cells share a pixel, and together they are the field up to the last one's edge."""
    height = data.draw(st.integers((rows - 1) * cell_px + 1, (rows + 1) * cell_px))
    width = data.draw(st.integers((columns - 1) * cell_px + 1, (columns + 1) * cell_px))
    touched = np.zeros((height, width), int)
    for cell in cells((rows, columns), (height, width), cell_px):
        touched[cell] += 1
    expected = np.zeros_like(touched)
    expected[: rows * cell_px, : columns * cell_px] = 1
    np.testing.assert_array_equal(touched, expected)


def test_a_cell_outside_the_field_is_refused():
    """A heatmap too large for its field is an error that names both."""
    with pytest.raises(ValueError, match=r"\(3, 2\)"):
        cells((3, 2), (32, 32), 16)


def test_cell_means_are_block_means():
    """The mean of every cell is that of its block of pixels."""
    plane = np.random.default_rng(0).normal(size=(32, 48))
    expected = plane.reshape(2, 16, 3, 16).mean(axis=(1, 3))
    np.testing.assert_allclose(cell_means(plane, (2, 3), 16), expected)


def test_a_uniform_map_has_the_mass_of_the_area():
    """A map that is the same everywhere has, inside any region, the share of the region's area."""
    share = np.random.default_rng(0).random((4, 5))
    assert relevance_mass(np.full((4, 5), 0.3), share) == pytest.approx(share.mean())


def test_a_perfect_map_scores_one():
    """The truth itself as the map has all its mass inside, hits always, and beats the area by its inverse."""
    rng = np.random.default_rng(0)
    masks, shares = planted(rng)
    found = localise(list(shares), list(masks), np.arange(len(masks)), CELL, rng)
    assert found.pointing.hits.value == found.inside.mass.value == 1.0
    assert found.inside.ratio.value == pytest.approx(32.0)
    assert found.pointing.tolerance_px == CELL / 2


def test_a_random_map_scores_chance():
    """Random maps: the intervals of hits and of the mass contain what a map that knows nothing reaches."""
    rng = np.random.default_rng(3)
    masks, shares = planted(rng, num_sites=300)
    found = localise(list(rng.random(shares.shape)), list(masks), np.arange(300), CELL, rng)
    assert found.pointing.chance.value == pytest.approx(2 / 64)
    assert (
        found.pointing.hits.interval.low <= found.pointing.chance.value <= found.pointing.hits.interval.high
    )
    assert found.inside.ratio.interval.low <= 1.0 <= found.inside.ratio.interval.high


def test_the_opposite_of_the_truth_scores_nothing():
    """A map that is everywhere but in the truth never hits, and the ratio's interval is below 1."""
    rng = np.random.default_rng(0)
    masks, shares = planted(rng)
    found = localise(list(1 - shares), list(masks), np.arange(len(masks)), CELL, rng)
    assert found.pointing.hits.value == found.inside.mass.value == 0.0
    assert found.inside.ratio.is_below(1.0)


def test_a_hit_needs_the_truth_within_half_a_cell():
    """A pixel in the corner of a cell is farther from the centre than half a side; one in the middle is not."""
    mask = np.zeros((32, 32), bool)
    mask[0, 0] = mask[16 + 8, 16 + 8] = True
    np.testing.assert_array_equal(hits(mask, (2, 2), 16), [[False, False], [False, True]])


def test_a_blank_map_points_nowhere():
    """A map of zeros is a miss in the pointing game and is left out of the mass, and counted."""
    assert points_at(np.zeros((2, 2)), np.ones((2, 2), bool)) == 0.0
    heats = [np.zeros((2, 2)), np.eye(2), np.eye(2), np.eye(2)]
    found = measure_inside(heats, [np.eye(2)] * 4, np.arange(4), np.random.default_rng(0))
    assert (found.num_blank, found.mass.num_sites, found.mass.value) == (1, 3, 1.0)


def test_equally_hot_cells_share_the_hit():
    """Of two equally hot cells, one in the truth, half a hit."""
    assert points_at(np.array([[2.0, 2.0, 1.0]]), np.array([[True, False, True]])) == 0.5


def test_foreground_is_where_nuclei_and_er_are_bright():
    """Otsu's threshold on Hoechst and ConA finds planted cells, and no other stain can hide or fake one."""
    rng = np.random.default_rng(0)
    is_cell = np.zeros((64, 64), bool)
    is_cell[8:24, 8:40] = True
    hoechst, cona = (5 + 20 * is_cell + rng.normal(0, 1, (64, 64)) for _ in range(2))
    actin = 1000 * rng.random((64, 64))
    np.testing.assert_array_equal(
        foreground(np.stack([actin, hoechst, cona]), ("Actin", "Hoechst", "ConA")), is_cell
    )


def test_foreground_of_unknown_stains_uses_all_of_them():
    """Where nuclei and ER are not named, every stain counts, whatever its gain."""
    is_cell = np.zeros((32, 32))
    is_cell[:9] = 1
    noise = np.random.default_rng(0).normal(0, 0.1, (2, 32, 32))
    field = (np.stack([is_cell, is_cell]) + noise) * np.array([1, 500]).reshape(2, 1, 1)
    assert (foreground(field, ("GFP", "DNA")) == (is_cell > 0)).mean() > 0.99


def test_a_flat_field_has_no_foreground():
    """Nothing stands out of a blank field."""
    assert not foreground(np.ones((2, 8, 8)), ("Hoechst", "ConA")).any()
