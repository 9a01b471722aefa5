"""Which sites the heads learn from."""

import numpy as np
import pandas as pd
import pytest

from phenotrain.labelled import Task, classifier_data, labelled_rows, versus_control_data
from phenotrain.recipe import HeadsRecipe

pytestmark = pytest.mark.training

TASK = Task("EMPTY", ("EMPTY", "A", "B"))


@pytest.fixture
def sites():
    """Two plates a dose, one dose a plate pair, as in RxRx2; a treatment `C` that is not learned."""
    rows = []
    for plate in range(1, 7):
        dose = 10.0 ** -((plate + 1) // 2)
        wells = {"EMPTY": 4, "A": 2, "B": 1, "C": 2}
        for treatment, num_wells in wells.items():
            for well in range(num_wells):
                well_id = f"H-1_{plate}_{treatment}{well}"
                for site in (1, 2):
                    conc = np.nan if treatment == "EMPTY" else dose
                    rows.append((f"{well_id}_{site}", well_id, "H-1", str(plate), treatment, conc))
    columns = ["site_id", "well_id", "experiment", "plate", "treatment", "treatment_conc"]
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture
def roles(sites):
    return np.where(sites["plate"].astype(int) % 2 == 0, "validation", "train")


def test_only_learned_treatments_of_the_role_at_the_top_doses(sites, roles):
    """Heads learn from the role's own sites of learned treatments at the top doses, and controls of their plates."""
    rows = labelled_rows(sites, roles, "train", TASK, HeadsRecipe(num_top_doses=2), seed=0)
    chosen = sites.iloc[rows]
    assert set(chosen["treatment"]) == {"EMPTY", "A", "B"}
    assert set(chosen["plate"]) == {"1", "3"}
    assert (roles[rows] == "train").all()


def test_zero_top_doses_means_all(sites, roles):
    """With `num_top_doses` 0 every dose is learned from."""
    rows = labelled_rows(sites, roles, "train", TASK, HeadsRecipe(num_top_doses=0), seed=0)
    assert set(sites.iloc[rows]["plate"]) == {"1", "3", "5"}


def test_sites_per_class_bounds_training_only(sites, roles):
    """Balanced sampling bounds every class in training and leaves the validation sites whole."""
    recipe = HeadsRecipe(num_top_doses=0, sites_per_class=3)
    train = labelled_rows(sites, roles, "train", TASK, recipe, seed=0)
    assert sites.iloc[train]["treatment"].value_counts().to_dict() == {"EMPTY": 3, "A": 3, "B": 3}
    validation = labelled_rows(sites, roles, "validation", TASK, recipe, seed=0)
    assert (sites.iloc[validation]["treatment"] == "EMPTY").sum() == 24


def test_targets_follow_the_logit_order(sites, roles):
    """The classifier's targets are positions in `treatments`, and every class weighs the same in sum."""
    rows = labelled_rows(sites, roles, "train", TASK, HeadsRecipe(), seed=0)
    embeddings = np.zeros((len(sites), 1024), np.float32)
    data = classifier_data(sites, rows, embeddings, TASK)
    np.testing.assert_array_equal(np.array(TASK.treatments)[data.targets], sites.iloc[rows]["treatment"])
    sums = np.bincount(data.targets, weights=data.weights)
    np.testing.assert_allclose(sums, sums[0])


def test_binary_heads_see_their_treatment_and_same_plate_controls(sites, roles):
    """A binary head sees its treatment and controls, both with equal weight on every plate, and nothing else."""
    rows = labelled_rows(sites, roles, "train", TASK, HeadsRecipe(), seed=0)
    data = versus_control_data(sites, rows, np.zeros((len(sites), 1024), np.float32), TASK)
    chosen = sites.iloc[rows]
    for column, treatment in enumerate(TASK.treated):
        weights, targets = data.weights[:, column], data.targets[:, column]
        is_other = ~chosen["treatment"].isin([treatment, "EMPTY"]).to_numpy(dtype=bool)
        assert (weights[is_other] == 0).all()
        for plate in chosen["plate"].unique():
            on_plate = (chosen["plate"] == plate).to_numpy()
            assert weights[on_plate & targets].sum() == pytest.approx(weights[on_plate & ~targets].sum())
