import warnings

import numpy as np

from phenotrain.profiles.batch_effect import batch_predictability
from phenotrain.profiles.correction import fit_correction


def told(made, batch="plate"):
    table = batch_predictability(made.wells, batch).set_index(["predicted", "profiles"])
    return table["balanced_accuracy"], table["chance"]


def test_correction_takes_an_additive_and_multiplicative_plate_effect_away(make_screen):
    """Plates with their own offset and gain are told almost surely before, and no better than chance + 0.05 after."""
    accuracy, chance = told(make_screen(num_controls=20))
    assert accuracy["plate", "raw"] > 0.9
    assert accuracy["plate", "corrected"] <= chance["plate", "corrected"] + 0.05
    assert accuracy["experiment", "corrected"] <= chance["experiment", "corrected"] + 0.05


def test_a_treatment_survives_the_correction(make_screen):
    """Under a strong plate effect, wells of a planted treatment still point another way than all controls."""
    wells = make_screen(0, {"A": 2 * np.random.default_rng(2).normal(size=24)}).wells
    is_a = (wells.wells["treatment"] == "A").to_numpy() & (wells.wells["dose_rank"] == 1).to_numpy()

    def separation(profiles):
        unit = profiles - profiles[wells.is_control].mean(axis=0)
        unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
        mean = unit[is_a].mean(axis=0)
        return (unit[is_a] @ mean).min() - (unit[wells.is_control] @ mean).max()

    assert separation(fit_correction(wells).apply(wells)) > max(0, separation(wells.profiles))


def test_without_a_plate_effect_the_plate_is_not_told(make_screen):
    """Plates that do not differ are at chance before and after: the measure invents no batch effect."""
    accuracy, chance = told(make_screen(num_controls=20, plate_effect=0.0))
    for space in ("raw", "corrected"):
        assert abs(accuracy["plate", space] - chance["plate", space]) < 0.08


def test_the_measure_sees_a_plate_effect_that_a_correction_by_experiment_leaves(make_screen):
    """Corrected by experiment alone, the plates within it are still told far above chance."""
    accuracy, chance = told(make_screen(num_controls=20), "experiment")
    assert accuracy["plate", "corrected"] > chance["plate", "corrected"] + 0.2


def test_one_plate_gives_an_empty_table_and_no_warning(make_screen):
    """Where there is nothing to tell apart, the table has no row."""
    made = make_screen(num_experiments=1, num_doses=1)
    one = made.sites["plate"] == "1"
    only = type(made)(made.sites[one].reset_index(drop=True), made.embeddings[one], made.roles[one])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert batch_predictability(only.wells, "plate").empty
