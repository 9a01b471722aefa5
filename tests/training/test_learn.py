"""What learning depends on: never on a test site."""

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from rich.console import Console

from phenotrain import simclr, supervised
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
        "heads": {"num_top_doses": 0, "epochs": 5, "steps": 0},
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
        self.hold(rows)
        self.fields = np.random.default_rng(0).gamma(2, 5, (len(self.sites), 2, 40, 40)).astype(np.float32)
        self.meta = type("Meta", (), {"data_root": tmp_path})()

    def hold(self, wells) -> None:
        """Take wells `(experiment, plate, well_id, treatment)` of two sites each; the second experiment is the test."""
        table = pd.DataFrame(wells, columns=["experiment", "plate", "well_id", "treatment"])
        self.sites = table.loc[table.index.repeat(2)].reset_index(drop=True)
        self.sites["site_id"] = np.arange(len(self.sites)).astype(str)
        self.sites["treatment_conc"] = np.where(self.sites["treatment"] == "A", 0.1, np.nan)
        self.roles = np.where(
            self.sites["experiment"] == 2, "test", np.where(self.sites["plate"] == 1, "train", "validation")
        )

    def __len__(self) -> int:
        return len(self.sites)

    def read(self, rows):
        """Fields `(len(rows), channel, y, x)`."""
        return self.fields[rows]


class RandomlyLabelled(Screen):
    """Every well has a look of its own and a label drawn at random, half of each plate's wells either."""

    def __init__(self, tmp_path, wells_a_plate: int = 16) -> None:
        super().__init__(tmp_path)
        rng = np.random.default_rng(3)
        rows = [
            (experiment, plate, f"{experiment}-{plate}-{well}", label)
            for experiment, plate in ((1, 1), (1, 2), (2, 1))
            for well, label in enumerate(rng.permutation(["A", "EMPTY"] * (wells_a_plate // 2)))
        ]
        self.hold(rows)
        y, x = np.mgrid[:40, :40]
        looks = []
        for _ in rows:
            gratings = [(rng.uniform(3, 16), rng.uniform(0, np.pi)) for _ in self.stains]
            looks += [
                [
                    np.sin(2 * np.pi * (x * np.cos(a) + y * np.sin(a)) / period + rng.uniform(0, 6))
                    for period, a in gratings
                ]
                for _ in range(2)
            ]
        self.fields = (10 + np.array(looks)).astype(np.float32)


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


def test_no_model_answers_validation_sites_with_labels_that_only_they_could_have_told(tmp_path, monkeypatch):
    """Where each well has a look of its own and labels are drawn, every model guesses the validation wells.

    The supervised encoder has the training wells by heart, so labels can be learned from these looks; a model that had
    seen the validation labels would be right for all 16 wells. Fifteen or more are right by chance once in 3,800 times.
    """

    def encoder(num_channels, recipe):
        fields = keras.Input((None, None, num_channels))
        hidden = keras.layers.Conv2D(16, 7, strides=2, padding="same", activation="relu")(fields)
        return keras.Model(fields, keras.layers.Conv2D(1024, 3, strides=2, activation="relu")(hidden))

    for module in (simclr, supervised):
        monkeypatch.setattr(module, "build_encoder", encoder)
    recipe = RECIPE.changed(
        simclr={**RECIPE.simclr.model_dump(), "epochs": 40, "learning_rate": 3e-3, "weight_decay": 0.0},
        augmentation={"rotations": False, "flips": False},
        heads={"num_top_doses": 0, "epochs": 40, "steps": 0, "weight_decay": 0.01},
    )
    screen = RandomlyLabelled(tmp_path)
    learned = learn(screen, screen.roles, TASK, recipe, tmp_path, Console(quiet=True))
    is_treated = (screen.sites["treatment"] == "A").to_numpy()
    assert set(learned.predictions) == {
        "classifier",
        "forest",
        "majority class",
        "intensity and cell count",
        "untrained encoder",
        "supervised encoder",
    }
    for model in learned.predictions:
        wells = pd.DataFrame(
            {
                "well": screen.sites["well_id"],
                "role": screen.roles,
                "treated": is_treated,
                "probability": learned.predictions[model].probabilities[:, 1],
            }
        )
        wells = wells.groupby("well").agg({"role": "first", "treated": "first", "probability": "mean"})
        is_right = (wells["probability"] > 0.5) == wells["treated"]
        assert is_right[wells["role"] == "validation"].sum() < 15, model
        if model == "supervised encoder":
            assert is_right[wells["role"] == "train"].all()


@pytest.mark.parametrize("export", ["untrained", "best"])
def test_the_encoder_that_is_asked_for_is_exported(tmp_path, export):
    """Every answer of the graph is of the chosen encoder, on the very embeddings that heads and forest learned from.

    `untrained` learns no SimCLR and leaves no row of its own among the models; `best` measures both on labelled sites,
    none of them a test site, exports the one of the smaller log loss and keeps the other beside it.
    """
    recipe = RECIPE.with_encoder(export=export)
    recipe = recipe.changed(
        downsample=1,
        encoder={**recipe.encoder.model_dump(), "blocks": (1, 1, 1, 1)},
        baselines={"encoders": False},
    )
    screen = Screen(tmp_path)
    learned = learn(screen, screen.roles, TASK, recipe, tmp_path, Console(quiet=True))
    found = learned.graph(tf.constant(screen.fields))
    np.testing.assert_allclose(found["embedding"].numpy(), learned.embeddings, atol=1e-4)
    choice, rival = learned.encoder, {"trained": "untrained encoder", "untrained": "trained encoder"}
    models = {"classifier", "forest", "majority class", "intensity and cell count"}
    if export == "untrained":
        assert (choice.exported, len(choice.candidates), len(learned.training_log)) == ("untrained", 0, 0)
        assert set(learned.predictions) == models
        initial = simclr.initial_networks(2, recipe).encoder
        for one, other in zip(
            initial.trainable_weights, learned.graph.encoder.trainable_weights, strict=True
        ):
            np.testing.assert_array_equal(one.numpy(), other.numpy())
        return
    losses = {name: candidate.log_loss for name, candidate in choice.candidates.items()}
    assert choice.exported == min(losses, key=losses.__getitem__)
    assert {candidate.num_sites for candidate in choice.candidates.values()} == {
        (screen.roles != "test").sum()
    }
    assert set(learned.predictions) == {*models, rival[choice.exported]}
    assert len(learned.training_log) == 1
