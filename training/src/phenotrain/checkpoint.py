"""Whole-run checkpoints: every variable of a run in one file that is replaced atomically."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from phenotrain.errors import PhenotrainError
from phenotrain.files import written


class CheckpointMismatchError(PhenotrainError):
    """The checkpoint belongs to other data, another recipe or another split."""


def save(path: Path, variables: Sequence[keras.Variable], identity: str, *, num_done: int) -> None:
    """Replaces the checkpoint; a kill at any moment leaves the old or the new one whole.

    Args:
        path: The `.npz` file.
        variables: Everything that changes during training, in a fixed order.
        identity: What the run depends on; `restore` refuses another's.
        num_done: Epochs or steps that are finished.
    """
    arrays = {f"variable_{index}": variable.numpy() for index, variable in enumerate(variables)}

    def write(partial: Path) -> None:
        with partial.open("wb") as file:
            np.savez(file, identity=np.array(identity), num_done=np.array(num_done), **arrays)

    written(path, write)


def restore(path: Path, variables: Sequence[keras.Variable], identity: str) -> int:
    """Puts a checkpoint's values into the variables.

    Args:
        path: The `.npz` file; it need not exist.
        variables: As given to `save`.
        identity: As given to `save`.

    Returns:
        The number of finished epochs or steps; 0 without a checkpoint.

    Raises:
        CheckpointMismatchError: If the checkpoint belongs to other data, another recipe or another split.
    """
    if not path.is_file():
        return 0
    with np.load(path, allow_pickle=False) as stored:
        if str(stored["identity"]) != identity:
            raise CheckpointMismatchError(
                f"{path} was written by a run on other sites or with another recipe. Choose another work folder, or "
                "delete this one to start afresh."
            )
        for index, variable in enumerate(variables):
            variable.assign(stored[f"variable_{index}"])
        return int(stored["num_done"])


def num_done(path: Path) -> int:
    """Counts the finished epochs or steps of a checkpoint, whosever it is; 0 without one."""
    if not path.is_file():
        return 0
    with np.load(path, allow_pickle=False) as stored:
        return int(stored["num_done"])
