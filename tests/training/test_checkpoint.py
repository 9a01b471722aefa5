"""Checkpoints that survive a kill."""

import keras
import numpy as np
import pytest

from phenotrain import checkpoint

pytestmark = pytest.mark.training


@pytest.fixture
def variables():
    return [
        keras.Variable(np.arange(6.0).reshape(2, 3)),
        keras.Variable(np.array(7, np.int32), dtype="int32"),
    ]


def test_restores_what_was_saved(tmp_path, variables):
    """Restoring gives every variable its saved value, bit for bit, and the number of finished epochs."""
    path = tmp_path / "checkpoint.npz"
    checkpoint.save(path, variables, "run 1", num_done=5)
    values = [variable.numpy().copy() for variable in variables]
    for variable in variables:
        variable.assign(keras.ops.zeros_like(variable))
    assert checkpoint.restore(path, variables, "run 1") == 5
    for variable, value in zip(variables, values, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_no_checkpoint_is_a_fresh_start(tmp_path, variables):
    """Without a checkpoint, training starts at epoch 0 and no variable changes."""
    assert checkpoint.restore(tmp_path / "checkpoint.npz", variables, "run 1") == 0
    assert variables[1].numpy() == 7


def test_another_runs_checkpoint_is_refused(tmp_path, variables):
    """A checkpoint of other data or another recipe is refused, not silently gone on with."""
    path = tmp_path / "checkpoint.npz"
    checkpoint.save(path, variables, "run 1", num_done=5)
    with pytest.raises(checkpoint.CheckpointMismatchError, match="another recipe"):
        checkpoint.restore(path, variables, "run 2")


def test_a_write_that_fails_leaves_the_old_one(tmp_path, variables, monkeypatch):
    """When writing breaks off, the last checkpoint is still there, whole."""
    path = tmp_path / "checkpoint.npz"
    checkpoint.save(path, variables, "run 1", num_done=5)

    def half_written(file, **arrays):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez", half_written)
    with pytest.raises(OSError, match="disk full"):
        checkpoint.save(path, variables, "run 1", num_done=6)
    assert checkpoint.restore(path, variables, "run 1") == 5
