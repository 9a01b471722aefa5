"""The counts of the splits of a screen for programs."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from phenotrain.splits import Protocol, Split
from phenotrain.task import Task


def splits_json(
    sites: pd.DataFrame, found: Mapping[Protocol, Sequence[tuple[Task, Split]] | Exception]
) -> dict[str, Any]:
    """Says what `phenotrain splits` prints as JSON.

    Args:
        sites: Sites table.
        found: By protocol, what is told apart in each fold and its split, or what speaks against the protocol.

    Returns:
        Counts of the screen; by protocol whether it is possible, and its folds or the reason why not.
    """
    return {
        "num_sites": len(sites),
        "num_wells": int(sites["well_id"].nunique()),
        "protocols": {name: _protocol(made) for name, made in found.items()},
    }


def _protocol(made: Sequence[tuple[Task, Split]] | Exception) -> dict[str, Any]:
    if isinstance(made, Exception):
        return {"is_possible": False, "reason": str(made)}
    folds = [
        {"control": task.control, "treatments": list(task.treated), **split.description}
        for task, split in made
    ]
    return {"is_possible": True, "folds": folds}
