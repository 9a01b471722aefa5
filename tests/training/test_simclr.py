"""SimCLR training: fresh views, learning, and resuming after a kill."""

import keras
import numpy as np
import pandas as pd
import pytest

from phenotrain import checkpoint, simclr
from phenotrain.recipe import Recipe
from phenotrain.training_log import read_log

pytestmark = pytest.mark.training

STAINS = ("Hoechst", "ConA")


class SmallScreen:
    """Pooled fields in memory, with what SimCLR uses of a cache."""

    stains = STAINS
    field_shape = (2, 40, 40)
    fingerprint = "small"

    def __init__(self) -> None:
        # Each site is a grating of its own period and balance of stains, something a network can learn to know.
        y, x = np.mgrid[:40, :40]
        period = np.geomspace(3, 16, 24).reshape(-1, 1, 1)
        grating = np.sin(2 * np.pi * (x + y / 2) / period)
        noise = np.random.default_rng(0).normal(size=(24, 40, 40))
        share = np.linspace(0, 1, 24)[np.random.default_rng(1).permutation(24)].reshape(-1, 1, 1)
        self.sites = pd.DataFrame(
            {"experiment": "HUVEC-1", "plate": 1, "well_id": [f"well {site // 2}" for site in range(24)]}
        )
        self.fields = 10 + np.stack([grating, share * grating + (1 - share) * noise], axis=1).astype(
            np.float32
        )

    def read(self, rows):
        """Fields `(len(rows), channel, y, x)`."""
        return self.fields[rows]


def small_encoder(num_channels, recipe):
    """A network that trains in a second where DenseNet121 takes half a minute to trace."""
    fields = keras.Input((None, None, num_channels))
    hidden = keras.layers.Conv2D(16, 5, strides=2, padding="same")(fields)
    hidden = keras.layers.BatchNormalization()(hidden)
    return keras.Model(
        fields, keras.layers.Conv2D(1024, 3, strides=2, activation="relu")(hidden), name="encoder"
    )


@pytest.fixture(autouse=True)
def _small_encoder(monkeypatch):
    monkeypatch.setattr(simclr, "build_encoder", small_encoder)


def recipe(**simclr_values) -> Recipe:
    values = {
        "crop_px": 32,
        "epochs": 4,
        "batch_size": 8,
        "batches": "mixed",
        "positives": "site",
        "learning_rate": 1e-3,
        "weight_decay": 1e-4,
    }
    return Recipe.model_validate(
        {
            "name": "small",
            "encoder": {"weights": "none"},
            "projection_head": {"hidden_units": [32], "dropout": 0.2},
            "simclr": values | simclr_values,
            "augmentation": {"channel_gain": 0.1, "channel_offset": 0.1},
        }
    )


def weights_of(networks) -> list[np.ndarray]:
    return [*networks.encoder.get_weights(), *networks.projection_head.get_weights()]


class Killed(BaseException):
    """Ends a run as abruptly as a signal would."""


def test_resuming_after_a_kill_changes_nothing(tmp_path, monkeypatch):
    """A run killed within an epoch and resumed ends with the weights and log of one that was never interrupted."""
    monkeypatch.setattr(simclr, "_CHECKPOINT_INTERVAL_S", 0.0)
    screen, rows = SmallScreen(), np.arange(24)
    whole = simclr.pretrain(screen, rows, recipe(), tmp_path / "whole")

    def kill(step, num_steps, loss):
        if step == 8:
            raise Killed

    with pytest.raises(Killed):
        simclr.pretrain(screen, rows, recipe(), tmp_path / "killed", on_step=kill)
    steps = []
    resumed = simclr.pretrain(
        screen, rows, recipe(), tmp_path / "killed", on_step=lambda step, total, loss: steps.append(step)
    )
    assert steps == list(range(6, 13)), "the finished epochs are not trained again"
    for one, other in zip(weights_of(whole), weights_of(resumed), strict=True):
        np.testing.assert_array_equal(one, other)
    logs = [[row._replace(wall_s=0.0) for row in read_log(tmp_path / name)] for name in ("whole", "killed")]
    assert logs[0] == logs[1]
    assert len(logs[0]) == 4


def test_the_steps_of_a_recipe_are_taken(tmp_path):
    """A recipe's least number of steps is made up of whole passes; its passes are made where they are more."""
    rows, steps = np.arange(24), []
    for least in (7, 2):
        steps.append([])
        simclr.pretrain(
            SmallScreen(),
            rows,
            recipe(epochs=1, steps=least),
            tmp_path / str(least),
            on_step=lambda step, total, loss: steps[-1].append((step, total)),
        )
    assert steps == [[(step, 9) for step in range(10)], [(step, 3) for step in range(4)]]
    assert [row.epoch for row in read_log(tmp_path / "7")] == [0, 1, 2]


def test_passes_in_quick_succession_share_a_checkpoint(tmp_path, monkeypatch):
    """The first pass, the last, and one a checkpoint interval in between are kept, not every pass over few sites."""
    kept = []
    monkeypatch.setattr(
        simclr.checkpoint, "save", lambda path, variables, identity, num_done: kept.append(num_done)
    )
    simclr.pretrain(SmallScreen(), np.arange(24), recipe(epochs=5), tmp_path)
    assert kept == [1, 5]


def test_the_loss_falls(tmp_path):
    """Training lowers the loss and finds more positives than at the start."""
    simclr.pretrain(SmallScreen(), np.arange(24), recipe(epochs=20, learning_rate=3e-3), tmp_path)
    log = read_log(tmp_path)
    assert log[-1].loss < log[0].loss
    assert log[-1].contrastive_accuracy > log[0].contrastive_accuracy


def test_views_are_fresh_every_epoch(tmp_path, monkeypatch):
    """No two steps draw from the same seed, so no view comes twice."""
    seeds = []
    monkeypatch.setattr(simclr._Trainer, "_train_step", _record_seed(seeds))
    simclr.pretrain(SmallScreen(), np.arange(24), recipe(), tmp_path)
    assert len({tuple(seed) for seed in seeds}) == len(seeds) == 12


def _record_seed(seeds):
    import tensorflow as tf

    def step(self, fields_a, fields_b, seed):
        tf.numpy_function(lambda value: seeds.append(value.tolist()), [seed], [])
        return tf.constant(1.0), tf.constant(0.0)

    return step


def test_learning_rate_warms_up_and_falls_as_a_cosine(tmp_path):
    """The rate rises linearly over the warm-up share and then follows a cosine to its final value."""
    optimizer = simclr.optimizer_of(
        recipe(learning_rate=0.1, final_learning_rate=0.01, warmup_share=0.2).simclr, 100, "float32"
    )
    schedule = optimizer._learning_rate
    assert [float(schedule(step)) for step in (0, 10, 20)] == pytest.approx([0.0, 0.05, 0.1], abs=1e-6)
    halfway = 0.01 + 0.09 * 0.5
    assert [float(schedule(step)) for step in (60, 100)] == pytest.approx([halfway, 0.01], abs=1e-6)


def test_a_constant_rate_stays_constant(tmp_path):
    """Without warm-up and with equal ends the rate does not move, as in the reference recipe."""
    optimizer = simclr.optimizer_of(
        recipe(learning_rate=1e-4, final_learning_rate=1e-4, warmup_share=0.0).simclr, 50, "float32"
    )
    assert {round(float(optimizer._learning_rate(step)), 9) for step in range(0, 60, 7)} == {1e-4}


def test_mixed_precision_trains_and_comes_back_in_float32(tmp_path):
    """Under mixed float16 training runs, and the networks that come out are float32 throughout."""
    networks = simclr.pretrain(
        SmallScreen(), np.arange(24), recipe(epochs=2), tmp_path, precision="mixed_float16"
    )
    assert all(weight.dtype == np.float32 for weight in weights_of(networks))
    assert networks.encoder.compute_dtype == "float32"
    assert np.isfinite(read_log(tmp_path)[-1].loss)


def test_a_changed_recipe_does_not_go_on_from_the_old_checkpoint(tmp_path):
    """Resuming with another recipe is refused, naming the remedy."""
    simclr.pretrain(SmallScreen(), np.arange(24), recipe(epochs=1), tmp_path)
    with pytest.raises(ValueError, match="another work folder"):
        simclr.pretrain(SmallScreen(), np.arange(24), recipe(epochs=1, temperature=0.7), tmp_path)


def test_a_training_is_found_by_what_it_depends_on_and_by_nothing_else(tmp_path):
    """Its folder is the same for other heads, shares or order of rows, and another for other sites or numbers."""
    screen, rows, own = SmallScreen(), np.arange(24), recipe()
    folder = simclr.pretraining_folder(screen, rows, own, tmp_path)
    after = own.changed(name="other", heads={"epochs": 7}, split={"test_share": 0.3}, forest={"num_trees": 3})
    assert simclr.pretraining_folder(screen, rows[::-1], after, tmp_path) == folder
    others = [
        simclr.pretraining_folder(screen, rows[1:], own, tmp_path),
        simclr.pretraining_folder(screen, rows, own.changed(seed=own.seed + 1), tmp_path),
        simclr.pretraining_folder(screen, rows, recipe(temperature=0.7), tmp_path),
    ]
    assert len({folder, *others}) == 4
    assert {other.parent for other in others} == {folder.parent} == {tmp_path / "simclr"}


def test_what_is_done_of_a_training_is_said(tmp_path):
    """Nothing without a checkpoint; then the pass that it goes on after; at the end that it is taken as it is."""
    assert simclr.known_text(tmp_path, 4) == ""
    variables = [keras.Variable(np.zeros(2))]
    for num_done, expected in ((3, f"; goes on after pass 3 of 4 in {tmp_path}"), (4, "; learned before")):
        checkpoint.save(tmp_path / "checkpoint.npz", variables, "anything", num_done=num_done)
        assert simclr.known_text(tmp_path, 4).startswith(expected)


def test_other_sites_do_not_go_on_from_the_old_checkpoint(tmp_path):
    """Resuming with as many other sites is refused: a checkpoint that has seen the new test sites would leak them."""
    simclr.pretrain(SmallScreen(), np.arange(12), recipe(epochs=1), tmp_path)
    with pytest.raises(ValueError, match="another work folder"):
        simclr.pretrain(SmallScreen(), np.arange(12, 24), recipe(epochs=1), tmp_path)


def test_one_site_is_refused(tmp_path):
    """A single site has nothing to be contrasted with."""
    with pytest.raises(ValueError, match="needs 2 or more to learn from; it was given 1"):
        simclr.pretrain(SmallScreen(), np.array([3]), recipe(), tmp_path)


def test_tensorboard_events_are_written(tmp_path):
    """Every run leaves TensorBoard events beside the CSV log."""
    simclr.pretrain(SmallScreen(), np.arange(24), recipe(epochs=1), tmp_path)
    assert list((tmp_path / "tensorboard").glob("events*"))
