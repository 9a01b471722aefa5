"""Which sites share a step of SimCLR, and which two make a pair."""

import numpy as np
import pandas as pd
import pytest

from phenotrain.batches import BatchError, Batches
from phenotrain.recipe import SimclrRecipe


@pytest.fixture
def sites():
    """Three plates of five wells of four sites."""
    rows = [(plate, f"{plate}-{well}") for plate in (1, 2, 3) for well in range(5) for _ in range(4)]
    return pd.DataFrame(rows, columns=["plate", "well_id"]).assign(experiment="HUVEC-1")


def batches(sites, **values) -> Batches:
    plain = {"batch_size": 8, "batches": "mixed", "positives": "site"}
    return Batches(sites, np.arange(60), SimclrRecipe.model_validate(plain | values), seed=3)


def test_a_pair_is_one_site(sites):
    """With `positives = "site"` both views show the same site, and no site comes twice in an epoch."""
    steps = batches(sites).epoch(0)
    assert len(steps) == batches(sites).num_steps == 60 // 8
    rows = np.concatenate([pairs.rows_a for pairs in steps])
    assert len(np.unique(rows)) == len(rows)
    assert all(pairs.rows_b is pairs.rows_a for pairs in steps)


def test_a_batch_from_one_plate_holds_one_plate(sites):
    """With `batches = "plate"` all sites of a step are of one plate, and every plate gives steps."""
    steps = batches(sites, batches="plate").epoch(5)
    plates = [set(sites["plate"].iloc[pairs.rows_a]) for pairs in steps]
    assert all(len(plate) == 1 for plate in plates)
    assert set.union(*plates) == {1, 2, 3}


def test_a_pair_of_a_well_is_two_sites_of_it(sites):
    """With `positives = "well"` the views show two different sites of one well, and a step has no well twice."""
    wells = sites["well_id"].to_numpy()
    dealt = batches(sites, positives="well")
    steps = dealt.epoch(2)
    assert len(steps) == dealt.num_steps == 4 * (15 // 8)
    for pairs in steps:
        assert (pairs.rows_a != pairs.rows_b).all()
        assert (wells[pairs.rows_a] == wells[pairs.rows_b]).all()
        assert len(set(wells[pairs.rows_a])) == len(pairs.rows_a) == 8


def test_a_batch_is_no_larger_than_the_wells(sites):
    """With pairs of wells, a batch of more sites than there are wells takes every well once."""
    dealt = Batches(
        sites, np.arange(60), SimclrRecipe(batch_size=32, batches="mixed", positives="well"), seed=3
    )
    assert [len(pairs.rows_a) for pairs in dealt.epoch(0)] == [15] * 4


def test_every_site_is_dealt(sites):
    """Over the epochs every site of every well is in a step, as first or second of a pair."""
    dealt = batches(sites, positives="well")
    seen = {row for epoch in range(12) for pairs in dealt.epoch(epoch) for row in pairs.rows_a}
    assert seen == set(range(60))


def test_a_well_of_one_site_is_paired_with_itself(sites):
    """A well that has one site to learn from keeps it: no site is lost for want of a partner."""
    lonely = Batches(
        sites, np.arange(0, 60, 4), SimclrRecipe(batch_size=8, batches="mixed", positives="well"), seed=0
    )
    for pairs in lonely.epoch(0):
        assert (pairs.rows_a == pairs.rows_b).all()


def test_epochs_differ_and_repeat(sites):
    """The draw is a function of seed and epoch: another epoch gives other steps, the same epoch the same."""
    dealt = Batches(
        sites, np.arange(60), SimclrRecipe(batch_size=4, batches="plate", positives="well"), seed=3
    )
    first, again, second = (dealt.epoch(epoch) for epoch in (0, 0, 1))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.rows_a, other.rows_a)
        np.testing.assert_array_equal(one.rows_b, other.rows_b)
    assert any((one.rows_a != other.rows_a).any() for one, other in zip(first, second, strict=True))


def test_a_plate_too_small_for_a_batch_is_named(sites):
    """Batches from one plate need as many sites of every plate as a step takes; the plate is named."""
    with pytest.raises(ValueError, match=r"HUVEC-1 plate 2 has 4 .*batch_size"):
        Batches(
            sites, np.r_[0:24, 40:60], SimclrRecipe(batch_size=8, batches="plate", positives="site"), seed=0
        )
    with pytest.raises(ValueError, match=r"8 wells of one plate; HUVEC-1 plate 1 has 5"):
        batches(sites, batches="plate", positives="well")


@pytest.mark.parametrize(
    ("epochs", "steps", "expected"), [(20, 0, 20), (20, 100, 20), (20, 141, 21), (1, 200, 29), (1, 1, 1)]
)
def test_passes_are_those_of_the_recipe_or_make_its_steps(sites, epochs, steps, expected):
    """With 7 steps a pass, the passes are the larger of `epochs` and `steps / 7` rounded up."""
    dealt = batches(sites, epochs=epochs, steps=steps)
    assert (dealt.num_steps, dealt.num_epochs, dealt.num_steps_in_all) == (7, expected, 7 * expected)


def test_a_plate_with_too_few_wells_is_named_with_what_would_fit(sites):
    """The plate with fewest wells is named, with their number as the largest batch."""
    rows = np.flatnonzero((sites["plate"] != 2) | sites["well_id"].isin(["2-0", "2-3"]))
    recipe = SimclrRecipe(batch_size=4, batches="plate", positives="well")
    with pytest.raises(
        BatchError, match=r"4 wells of one plate; HUVEC-1 plate 2 has 2 .*batch_size` to 2 or less"
    ):
        Batches(sites, rows, recipe, seed=0)


@pytest.mark.parametrize(
    ("positives", "rows", "num"), [("well", [0, 1, 2], 1), ("site", [0], 1), ("well", [], 0)]
)
def test_nothing_to_contrast_is_refused(sites, positives, rows, num):
    """One well, one site or none has nothing to be told apart from."""
    recipe = SimclrRecipe(batch_size=4, batches="mixed", positives=positives)
    with pytest.raises(BatchError, match=f"needs 2 or more to learn from; it was given {num}"):
        Batches(sites, np.array(rows, np.int64), recipe, seed=0)
