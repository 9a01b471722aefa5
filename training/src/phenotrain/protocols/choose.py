"""The folds of a protocol on a screen, as a recipe asks for them."""

import pandas as pd

from phenotrain.recipe import Recipe
from phenotrain.splits import Protocol, Split, fold_splits
from phenotrain.splits.protocols import fitting_protocol
from phenotrain.splits.screen import look_at
from phenotrain.task import Task


def folds_of(
    sites: pd.DataFrame, task: Task, recipe: Recipe, protocol: Protocol | None
) -> list[tuple[Task, Split]]:
    """Split a screen as a recipe asks: every fold, and under `reference` every treatment for itself.

    Args:
        sites: Sites table.
        task: Treatments and control.
        recipe: Its seed and shares are used.
        protocol: The recipe's, or the one that the screen allows, when None.

    Returns:
        What is told apart in each fold, and its split.

    Raises:
        ScreenError: If the screen cannot be split so.
    """
    chosen = protocol or recipe.split.protocol
    tasks = [task]
    if chosen == "reference":
        tasks = [Task(task.control, (task.control, treatment)) for treatment in task.treated]
    return [
        (one, split)
        for one in tasks
        for split in fold_splits(
            sites,
            control=one.control,
            treatments=one.treatments,
            seed=recipe.seed,
            test_fraction=recipe.split.test_share,
            validation_fraction=recipe.split.validation_share,
            protocol=chosen,
            num_top_doses=recipe.heads.num_top_doses,
        )
    ]


def fitting(sites: pd.DataFrame, task: Task) -> Protocol:
    """Return the protocol whose held-out sites are as foreign as the screen's size allows."""
    return fitting_protocol(look_at(sites, task.treatments, task.control))
