import dataclasses
from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from phenotrain.profiles.activity import phenotypic_activity
from phenotrain.profiles.correction import fit_correction, reference_rows
from phenotrain.profiles.draws import can_draw, draw_pseudo_treatments, drawable_together, most_wells
from phenotrain.profiles.ranking import average_precision, mean_normalised_ap, normalised_ap

NUM_DRAWS = 199


def activity(made, treatments=("A", "B", "C"), *, num_draws=NUM_DRAWS, seed=0):
    wells = made.wells
    correction = fit_correction(wells)
    return phenotypic_activity(
        wells, correction, correction.apply(wells), treatments, num_draws=num_draws, seed=seed
    )


def test_average_precision_of_a_list_worked_out_by_hand():
    """Positives at ranks 1, 3 and 4 of 5 have AP (1/1 + 2/3 + 3/4) / 3."""
    found = average_precision(np.array([[0.9, 0.5, 0.4]]), np.array([[0.7, 0.1]]))
    np.testing.assert_allclose(found, [(1 + 2 / 3 + 3 / 4) / 3])


def test_normalised_ap_of_random_orders_averages_zero_and_of_a_perfect_one_is_one():
    """Over all positions of two positives among five, the normalised AP averages 0; in front it is 1."""
    orders = combinations(range(1, 6), 2)
    scores = [(1 / first + 2 / second) / 2 for first, second in orders]
    np.testing.assert_allclose(normalised_ap(np.array(scores), 2, 3).mean(), 0, atol=1e-12)
    np.testing.assert_allclose(normalised_ap(np.array(1.0), 2, 3), 1)


def test_copairs_and_our_ranking_agree(make_screen):
    """The normalised mAP that copairs finds is that of our own ranking, which the draws use."""
    made = make_screen(3, {"A": np.full(24, 0.5)})
    wells = made.wells
    corrected = fit_correction(wells).apply(wells)
    found = activity(made, num_draws=19).set_index(["treatment", "treatment_conc"])
    plates = wells.batches("plate")
    for (treatment, dose), row in found.iterrows():
        mine = ((wells.wells["treatment"] == treatment) & (wells.wells["treatment_conc"] == dose)).to_numpy()
        group = {plate: corrected[mine & (plates == plate)] for plate in np.unique(plates[mine])}
        controls = {plate: corrected[wells.is_control & (plates == plate)] for plate in group}
        assert row["normalised_map"] == pytest.approx(float(mean_normalised_ap(group, controls)), abs=1e-4)


def test_a_planted_effect_is_active_at_its_top_dose_and_nothing_else_is(make_screen):
    """A strong effect at the top dose that is gone at the lower one is found at the top dose alone."""
    effect = np.random.default_rng(1).normal(size=24) * 3
    table = activity(make_screen(0, {"A": effect}, dose_decay=0.0))
    assert table.loc[table["is_active"], ["treatment", "dose_rank"]].to_numpy().tolist() == [["A", 1.0]]


def test_p_is_uniform_without_an_effect(make_screen):
    """Over screens with no effect at all, p is at most 0.05 in no more than a tenth, and spreads from 0 to 1."""
    p_values = np.concatenate([activity(make_screen(seed), num_draws=99)["p_value"] for seed in range(12)])
    assert (p_values <= 0.05).mean() <= 0.1
    assert 0.3 <= (p_values <= 0.5).mean() <= 0.65
    assert p_values.max() > 0.85


def on_one_plate(made):
    """The first plate of a screen."""
    one = (made.sites["plate"] == "1").to_numpy() & (made.sites["experiment"] == "E1").to_numpy()
    return type(made)(made.sites[one].reset_index(drop=True), made.embeddings[one], made.roles[one])


def test_on_one_plate_a_planted_effect_is_active_and_nothing_else_is(make_screen):
    """Wells of one plate find each other: a strong effect is active, treatments without one are not."""
    effect = np.random.default_rng(1).normal(size=24) * 4
    made = on_one_plate(make_screen(0, {"A": effect}, num_controls=20))
    table = activity(made, num_draws=999).set_index("treatment")
    assert list(table["compared_on"]) == ["same plate"] * 3
    assert table["is_active"].to_dict() == {"A": True, "B": False, "C": False}


def test_p_on_one_plate_is_no_smaller_than_it_says_without_an_effect(make_screen):
    """Over plates with no effect at all, p is at most 0.05 in no more than a tenth, and reaches beyond 0.7."""
    made = [on_one_plate(make_screen(seed)) for seed in range(24)]
    p_values = np.concatenate([activity(one, num_draws=99)["p_value"] for one in made])
    assert (p_values <= 0.05).mean() <= 0.1
    assert p_values.max() > 0.7


def test_copairs_and_our_ranking_agree_on_one_plate(make_screen):
    """On one plate the normalised mAP that copairs finds is that of our own ranking, too."""
    made = on_one_plate(make_screen(3, {"A": np.full(24, 0.5)}))
    corrected = fit_correction(made.wells).apply(made.wells)
    labels, is_control = made.wells.wells["treatment"].to_numpy(str), made.wells.is_control
    for row in activity(made, num_draws=19).itertuples():
        ours = mean_normalised_ap({"1": corrected[labels == row.treatment]}, {"1": corrected[is_control]})
        assert row.normalised_map == pytest.approx(float(ours), abs=1e-4)


@pytest.mark.parametrize(
    ("shape", "why"),
    [
        ({"wells_per_treatment": 1}, "a single well has no other to find"),
        ({"num_controls": 4, "wells_per_treatment": 2}, "its plates have too few controls"),
        ({"num_controls": 5, "wells_per_treatment": 2}, "cannot tell (smallest possible p 0.09)"),
        ({"num_controls": 3}, "no profile is corrected"),
    ],
)
def test_where_controls_are_too_few_there_is_no_p_and_a_reason(make_screen, shape, why):
    """A single well, too few controls to draw from, 10 different pairs of 5, no correction: no p, and it says why."""
    made = on_one_plate(make_screen(**shape))
    wells = made.wells
    correction = fit_correction(wells) if shape.get("num_controls", 12) >= 4 else None
    corrected = np.full((len(wells), 0), np.nan) if correction is None else correction.apply(wells)
    table = phenotypic_activity(wells, correction, corrected, ("A", "B", "C"), num_draws=99)
    assert table[["p_value", "q_value"]].isna().all(axis=None)
    assert not table["is_active"].any()
    assert all(why in reason for reason in table["why_no_p"])


def test_repeated_draws_make_no_p_smaller_than_the_different_ones_allow(make_screen):
    """4 plates of 4 controls give 4^4 different pseudo-treatments of a well each: p is 1/257 after 1999 draws, too."""
    effect = np.random.default_rng(1).normal(size=24) * 9
    shape = {"num_doses": 1, "num_controls": 4, "wells_per_treatment": 1, "plate_effect": 0.0}
    wells = make_screen(1, {"A": effect}, **shape).wells
    correction = fit_correction(wells, max_components=6)
    table = phenotypic_activity(wells, correction, correction.apply(wells), ("A",), num_draws=1999)
    assert table["p_value"][0] == pytest.approx(1 / 257)
    assert table["smallest_p"][0] == table["p_value"][0]


def test_designs_that_together_take_all_references_are_drawn_apart(make_screen):
    """Two plates of one batch with six references: 3 wells on either can be drawn, not both at once."""
    made = make_screen(num_experiments=1, num_doses=1, num_controls=6)
    is_spare = (made.sites["treatment"] == "EMPTY") & (made.sites.groupby("plate").cumcount() > 11)
    wells = dataclasses.replace(made, roles=np.where(is_spare, "test", made.roles)).wells
    designs = [(("E1 plate 1", 3),), (("E1 plate 2", 3),)]
    assert len(reference_rows(wells, "experiment")["E1"]) == 6
    assert drawable_together(wells, designs, "experiment") == [(design,) for design in designs]
    assert drawable_together(made.wells, designs, "experiment") == [tuple(designs)]


def test_draws_are_disjoint_and_centred_by_what_stays(make_screen):
    """In every draw the controls that stay have mean zero on their plate; with the drawn ones they are all controls."""
    wells = make_screen().wells
    correction = fit_correction(wells)
    plate = "E1 plate 2"
    num = 0
    for drawn in draw_pseudo_treatments(wells, correction, {plate: 3}, num_draws=50, seed=4):
        assert drawn.held_out[plate].shape[1:] == (3, correction.num_components)
        assert drawn.controls[plate].shape[1] == correction.num_references[plate] - 3
        np.testing.assert_allclose(drawn.controls[plate].mean(axis=1), 0, atol=1e-8)
        num += len(drawn.held_out[plate])
    assert num == 50


def test_pseudo_treatments_come_from_controls_alone(make_screen):
    """Other values in treated wells change no draw."""
    wells = make_screen().wells
    correction = fit_correction(wells)
    values = wells.profiles.copy()
    values[~wells.is_control] += 9
    other = type(wells)(wells.wells, values)
    for ours, theirs in zip(
        draw_pseudo_treatments(wells, correction, {"E2 plate 1": 2}, num_draws=5),
        draw_pseudo_treatments(other, fit_correction(other), {"E2 plate 1": 2}, num_draws=5),
        strict=True,
    ):
        np.testing.assert_array_equal(ours.held_out["E2 plate 1"], theirs.held_out["E2 plate 1"])


def test_a_draw_never_takes_the_last_references(make_screen):
    """Where few controls are references a design is refused, although the plate has controls to spare."""
    made = make_screen(4, num_experiments=1, num_doses=1, num_controls=12)
    plate = str(made.wells.wells["plate_name"].iloc[0])
    assert can_draw(made.wells, ((plate, 8),), "plate")
    is_spared = (made.sites["treatment"] == "EMPTY") & made.sites["well"].isin(
        made.sites["well"].unique()[-7:]
    )
    few = dataclasses.replace(made, roles=np.where(is_spared, "test", made.roles))
    assert [len(rows) for rows in reference_rows(few.wells, "plate").values()] == [5, 5]
    assert can_draw(few.wells, ((plate, 2),), "plate")
    assert not can_draw(few.wells, ((plate, 3),), "plate")


def test_the_most_wells_of_designs_count_for_a_plate():
    """Designs of 2 and 3 wells on a plate need 3 there."""
    assert most_wells([(("P1", 2), ("P2", 3)), (("P1", 3),)]) == {"P1": 3, "P2": 3}


def test_equal_seeds_give_equal_tables(make_screen):
    """The same seed gives the same p-values, another one others."""
    made = make_screen()
    pd.testing.assert_frame_equal(activity(made, num_draws=39), activity(made, num_draws=39))
