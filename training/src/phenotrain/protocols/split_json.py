"""The counts of the splits of a screen for programs."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from phenotrain.errors import SplitError
from phenotrain.evaluate.confounding import confounding
from phenotrain.splits import Protocol, Split
from phenotrain.task import Task


def splits_json(
    sites: pd.DataFrame,
    found: Mapping[Protocol, Sequence[tuple[Task, Split]] | Exception],
    taken: Protocol,
    misfit: str | None,
) -> dict[str, Any]:
    """Says what `phenotrain splits` prints as JSON.

    Args:
        sites: Sites table.
        found: By protocol, what is told apart in each fold and its split, or what speaks against the protocol.
        taken: The protocol that is taken when none is asked for.
        misfit: Why the recipe cannot learn from that protocol's folds; None where it can.

    Returns:
        Counts of the screen; the protocol that is taken, and why the recipe does not fit it; by protocol whether it is
        possible, and its folds or the reason why not.
    """
    return {
        "num_sites": len(sites),
        "num_wells": int(sites["well_id"].nunique()),
        "taken": taken,
        "recipe_does_not_fit": misfit,
        "protocols": {name: _protocol(sites, made) for name, made in found.items()},
    }


def _protocol(sites: pd.DataFrame, made: Sequence[tuple[Task, Split]] | Exception) -> dict[str, Any]:
    if isinstance(made, Exception):
        return {"is_possible": False, "reason": made.reason if isinstance(made, SplitError) else str(made)}
    folds = [
        {
            "control": task.control,
            "treatments": list(task.treated),
            "confounded": list(confounding(sites, split.roles, task.treatments, task.control)),
            **split.description,
        }
        for task, split in made
    ]
    return {"is_possible": True, "folds": folds}
