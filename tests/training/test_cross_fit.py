"""Sites that are held out in turn: which ones, and that the heads which answer them never saw them."""

import numpy as np
import pandas as pd
import pytest

from phenotrain.cross_fit import can_learn, cross_fit_folds
from phenotrain.labelled import Labelled, Task
from phenotrain.recipe import HeadsRecipe
from phenotrain.two_heads import fit_two_heads

pytestmark = pytest.mark.training

TASK = Task("EMPTY", ("EMPTY", "A"))


def screen(plates: dict[int, dict[str, int]]) -> pd.DataFrame:
    """Two sites a well; the number of wells of each treatment on each plate."""
    rows = [
        (plate, f"{plate}-{treatment}-{well}", treatment)
        for plate, wells in plates.items()
        for treatment, num in wells.items()
        for well in range(num)
        for _ in range(2)
    ]
    table = pd.DataFrame(rows, columns=["plate", "well_id", "treatment"]).assign(experiment="H-1")
    return table.assign(treatment_conc=np.where(table["treatment"] == "EMPTY", np.nan, 0.1))


def test_whole_plates_are_held_out_where_every_class_can_spare_one():
    """With the treatment on every plate each fold is one plate."""
    sites = screen({plate: {"EMPTY": 3, "A": 2} for plate in (1, 2, 3)})
    folds = cross_fit_folds(sites, np.arange(len(sites)), TASK, seed=0)
    assert [set(sites["plate"].iloc[fold]) for fold in folds] == [{1}, {2}, {3}]
    np.testing.assert_array_equal(np.sort(np.concatenate(folds)), np.arange(len(sites)))


@pytest.mark.parametrize(
    "plates", [{1: {"EMPTY": 6, "A": 7}}, {1: {"EMPTY": 6, "A": 7}, 2: {"EMPTY": 5}}], ids=["one", "spared"]
)
def test_wells_are_held_out_where_a_class_lies_on_one_plate(plates):
    """A class that no plate can be taken from is dealt out by well: five folds, no well in two of them."""
    sites = screen(plates)
    rows = np.arange(len(sites))
    folds = cross_fit_folds(sites, rows, TASK, seed=0)
    assert len(folds) == 5
    np.testing.assert_array_equal(np.sort(np.concatenate(folds)), rows)
    wells = [set(sites["well_id"].iloc[fold]) for fold in folds]
    assert sum(map(len, wells)) == sites["well_id"].nunique()
    assert all(can_learn(sites, np.setdiff1d(rows, fold), TASK) for fold in folds)


def test_a_class_of_one_well_is_not_held_out():
    """A class that cannot spare a well gives no folds at all, rather than heads that never saw the class."""
    sites = screen({1: {"EMPTY": 6, "A": 1}})
    assert cross_fit_folds(sites, np.arange(len(sites)), TASK, seed=0) == []


def test_what_is_said_of_a_plate_does_not_depend_on_its_labels():
    """With one plate's labels reversed the held-out answers for it stay as they were; for others they change."""
    sites = screen({plate: {"EMPTY": 3, "A": 3} for plate in (1, 2, 3, 4)})
    roles = np.where(sites["plate"] <= 2, "train", "validation")
    embeddings = np.random.default_rng(0).normal(size=(len(sites), 1024)).astype(np.float32)
    is_first = (sites["plate"] == 1).to_numpy()
    changed = sites.assign(
        treatment=np.where(is_first, sites["treatment"].map({"EMPTY": "A", "A": "EMPTY"}), sites["treatment"])
    )
    changed["treatment_conc"] = np.where(changed["treatment"] == "EMPTY", np.nan, 0.1)
    # With one pass the number of passes does not depend on the labels, and a ratio not on the temperature.
    recipe = HeadsRecipe(num_top_doses=0, epochs=1, steps=0)
    ratios = []
    for table in (sites, changed):
        labelled = Labelled.of(table, roles, TASK, recipe, seed=0)
        folds = cross_fit_folds(table, labelled.rows["fitted"], TASK, seed=0)
        held_out = fit_two_heads(labelled, embeddings, recipe, seed=0, folds=folds).held_out
        logits = np.log(held_out.probabilities[np.argsort(held_out.rows)])
        differences = logits[:, 1] - logits[:, 0]
        ratios.append(differences / differences[is_first][0])
    np.testing.assert_allclose(ratios[0][is_first], ratios[1][is_first], rtol=1e-4)
    assert not np.allclose(ratios[0][~is_first], ratios[1][~is_first], rtol=1e-2)
