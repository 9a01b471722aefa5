import numpy as np
import pytest

from phenotrain.profiles.correction import fit_correction
from phenotrain.profiles.layout_umap import umap_layout
from phenotrain.profiles.similarity import treatment_similarity


def similarity(made, treatments=("A", "B", "C"), *, num_draws=199):
    wells = made.wells
    correction = fit_correction(wells)
    return treatment_similarity(wells, correction, correction.apply(wells), treatments, num_draws=num_draws)


def test_matrix_is_symmetric_with_ones_on_its_diagonal(make_screen):
    """Cosine similarities and their p are symmetric; a treatment's similarity to itself is 1."""
    found = similarity(make_screen())
    np.testing.assert_allclose(found.matrix, found.matrix.T, atol=1e-12)
    np.testing.assert_array_equal(np.diag(found.matrix), 1)
    np.testing.assert_array_equal(found.p_values, found.p_values.T)
    assert sorted(found.order) == [0, 1, 2]


def test_a_planted_pair_is_nearest_and_significant(make_screen):
    """Two treatments with one direction are each other's nearest, with q < 0.05; a third with its own is not."""
    rng = np.random.default_rng(3)
    shared, own = 2 * rng.normal(size=(2, 24))
    own -= shared * (own @ shared) / (shared @ shared)
    found = similarity(make_screen(0, {"A": shared, "B": 0.7 * shared, "C": own}))
    pairs = found.pairs().set_index(["treatment", "neighbour"])
    nearest = found.pairs().drop_duplicates("treatment").set_index("treatment")["neighbour"]
    assert nearest["A"] == "B"
    assert nearest["B"] == "A"
    assert pairs.loc[("A", "B"), "q_value"] < 0.05
    assert pairs.loc[("A", "C"), "q_value"] > 0.05
    assert abs(found.order.index(0) - found.order.index(1)) == 1


def test_treatments_without_effect_are_not_called_similar(make_screen):
    """Treatments that share plates but do nothing have p at most 0.05 in no more than a tenth of pairs."""
    upper = np.triu_indices(3, 1)
    p_values = np.concatenate(
        [similarity(make_screen(seed), num_draws=99).p_values[upper] for seed in range(15)]
    )
    assert (p_values <= 0.05).mean() <= 0.1


def test_fewer_than_two_treatments_have_no_similarity(make_screen):
    """One treatment has no neighbour."""
    assert similarity(make_screen(), ("A",)) is None


@pytest.mark.slow
def test_umap_of_few_wells_is_the_same_twice_and_of_too_few_is_none():
    """Nine wells are laid out, reproducibly; five are not."""
    profiles = np.random.default_rng(0).normal(size=(9, 6))
    first, second = (umap_layout(profiles, seed=3) for _ in range(2))
    assert first.shape == (9, 2)
    np.testing.assert_array_equal(first, second)
    assert umap_layout(profiles[:5], seed=3) is None
