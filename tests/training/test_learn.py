"""What learning depends on: never on a test site."""

import keras
import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from phenotrain import simclr
from phenotrain.baselines import find
from phenotrain.labelled import Task
from phenotrain.learn import learn
from phenotrain.recipe import Recipe

pytestmark = pytest.mark.training

TASK = Task("EMPTY", ("EMPTY", "A"))
RECIPE = Recipe.model_validate(
    {
        "name": "small",
        "encoder": {"weights": "none"},
        "projection_head": {"hidden_units": [8]},
        "simclr": {"crop_px": 32, "epochs": 1, "batch_size": 8, "batches": "mixed", "positives": "site"},
        "heads": {"num_top_doses": 0, "epochs": 5},
        "forest": {"num_trees": 5},
    }
)


class Screen:
    """Two experiments of two plates in memory, with what learning uses of a cache."""

    stains = ("Hoechst", "ConA")
    field_shape = (2, 40, 40)
    fingerprint = "small"

    def __init__(self, tmp_path) -> None:
        rows = [
            (experiment, plate, f"{experiment}-{plate}-{well}", "A" if well % 2 else "EMPTY")
            for experiment in (1, 2)
            for plate in (1, 2)
            for well in range(6)
        ]
        table = pd.DataFrame(rows, columns=["experiment", "plate", "well_id", "treatment"])
        self.sites = table.loc[table.index.repeat(2)].reset_index(drop=True)
        self.sites["site_id"] = np.arange(len(self.sites)).astype(str)
        self.sites["treatment_conc"] = np.where(self.sites["treatment"] == "A", 0.1, np.nan)
        self.roles = np.where(
            self.sites["experiment"] == 2, "test", np.where(self.sites["plate"] == 1, "train", "validation")
        )
        self.fields = np.random.default_rng(0).gamma(2, 5, (len(self.sites), 2, 40, 40)).astype(np.float32)
        self.meta = type("Meta", (), {"data_root": tmp_path})()

    def __len__(self) -> int:
        return len(self.sites)

    def read(self, rows):
        """Fields `(len(rows), channel, y, x)`."""
        return self.fields[rows]


def small_encoder(num_channels, recipe):
    """A network that trains in a second where DenseNet121 takes half a minute to trace."""
    fields = keras.Input((None, None, num_channels))
    hidden = keras.layers.Conv2D(4, 5, strides=4, padding="same", activation="relu")(fields)
    return keras.Model(fields, keras.layers.Conv2D(1024, 3, activation="relu")(hidden), name="encoder")


def test_nothing_is_fitted_on_the_test_group(tmp_path, monkeypatch):
    """Other pixels and other labels in the test experiment leave every fitted number as it was, bit by bit.

    Networks, heads, temperatures, forest, prediction sets, distances and every baseline's answers for the other sites
    are compared; the answers for the test sites, which do follow from their pixels, must change.
    """
    monkeypatch.setattr(simclr, "build_encoder", small_encoder)
    monkeypatch.setattr(find, "build_encoder", small_encoder)
    monkeypatch.setattr("phenotrain.supervised.build_encoder", small_encoder)
    learned = []
    for name, is_changed in (("as_it_is", False), ("changed", True)):
        screen = Screen(tmp_path)
        is_test = screen.roles == "test"
        if is_changed:
            screen.fields[is_test] = np.random.default_rng(1).gamma(1, 50, screen.fields[is_test].shape)
            screen.sites.loc[is_test, "treatment"] = screen.sites.loc[is_test, "treatment"].to_numpy()[::-1]
        console = Console(quiet=True)
        learned.append(learn(screen, screen.roles, TASK, RECIPE, tmp_path / name, console))
    first, second = learned
    for part in ("encoder", "projection_head", "classifier_head", "versus_control_head"):
        for one, other in zip(
            getattr(first.graph, part).get_weights(), getattr(second.graph, part).get_weights(), strict=True
        ):
            np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(first.calibration.reference, second.calibration.reference)
    np.testing.assert_array_equal(first.calibration.control_distances, second.calibration.control_distances)
    assert first.calibration.spec == second.calibration.spec
    assert [tree.tree_.threshold.tolist() for tree in first.forest.estimators_] == [
        tree.tree_.threshold.tolist() for tree in second.forest.estimators_
    ]
    for model in first.predictions:
        one, other = (part.predictions[model].probabilities for part in learned)
        np.testing.assert_array_equal(one[~is_test], other[~is_test])
        if model != "majority class":
            assert (one[is_test] != other[is_test]).any(), model


def test_validation_sites_are_answered_by_models_that_never_saw_their_labels(tmp_path, monkeypatch):
    """With the labels of the validation plate reversed, the forest answers as before for the validation sites.

    For all other sites its answers change, as the final forest is fitted on those labels too.
    """
    monkeypatch.setattr(simclr, "build_encoder", small_encoder)
    monkeypatch.setattr(find, "build_encoder", small_encoder)
    learned = []
    for name, is_changed in (("as_it_is", False), ("changed", True)):
        screen = Screen(tmp_path)
        is_validation = screen.roles == "validation"
        if is_changed:
            labels = screen.sites.loc[is_validation, "treatment"]
            screen.sites.loc[is_validation, "treatment"] = np.where(labels == "A", "EMPTY", "A")
        learned.append(
            learn(
                screen, screen.roles, TASK, RECIPE, tmp_path / name, Console(quiet=True), with_baselines=False
            )
        )
    one, other = (part.predictions["forest"].probabilities for part in learned)
    np.testing.assert_array_equal(one[is_validation], other[is_validation])
    assert (one[~is_validation] != other[~is_validation]).any()
