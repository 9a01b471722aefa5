"""The counts of the splits of a screen for programs."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from phenotrain.errors import SplitError
from phenotrain.splits import Protocol, Split
from phenotrain.task import Task


def splits_json(
    sites: pd.DataFrame, found: Mapping[Protocol, Sequence[tuple[Task, Split]] | Exception], taken: Protocol
) -> dict[str, Any]:
    """Says what `phenotrain splits` prints as JSON.

    Args:
        sites: Sites table.
        found: By protocol, what is told apart in each fold and its split, or what speaks against the protocol.
        taken: The protocol that is taken when none is asked for.

    Returns:
        Counts of the screen; the protocol that is taken; by protocol whether it is possible, and its folds or the
        reason why not.
    """
    return {
        "num_sites": len(sites),
        "num_wells": int(sites["well_id"].nunique()),
        "taken": taken,
        "protocols": {name: _protocol(made) for name, made in found.items()},
    }


def _protocol(made: Sequence[tuple[Task, Split]] | Exception) -> dict[str, Any]:
    if isinstance(made, Exception):
        return {"is_possible": False, "reason": made.reason if isinstance(made, SplitError) else str(made)}
    folds = [
        {"control": task.control, "treatments": list(task.treated), **split.description}
        for task, split in made
    ]
    return {"is_possible": True, "folds": folds}
