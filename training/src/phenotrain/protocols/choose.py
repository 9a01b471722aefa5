"""The splits of a screen as a recipe and the user ask for them, tried before they are given."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from phenotrain.datasets.spelling import not_among
from phenotrain.errors import ScreenError
from phenotrain.grouping import natural_order, plate_names
from phenotrain.labelled import check_labels
from phenotrain.recipe import Recipe
from phenotrain.splits import (
    Protocol,
    Split,
    WithoutControls,
    fold_splits,
    left_out_plates,
    split_sites,
)
from phenotrain.task import Task


@dataclass(frozen=True)
class Asked:
    """What the user asks of a split.

    Attributes:
        protocol: What to hold out; the recipe's, or the first that is possible, when None.
        test_experiment: Experiment to test on, which asks for `leave-experiment-out`.
        test_plate: Plate to test on, which asks for `leave-one-plate-out`: its name in the table where no two
            experiments have one of that name, or `EXPERIMENT plate NAME`.
        without_controls: What is done with plates of treated wells without a control.
    """

    protocol: Protocol | None = None
    test_experiment: str | None = None
    test_plate: str | None = None
    without_controls: WithoutControls = "refuse"


DEFAULT: Final = Asked()
"""Nothing asked for."""


def split_of(sites: pd.DataFrame, task: Task, recipe: Recipe, asked: Asked) -> Split:
    """Split a screen once, so that it can be learned from.

    Args:
        sites: Sites table.
        task: Treatments and control.
        recipe: Its seed, shares and doses are used, and its protocol where none is asked for.
        asked: What the user asks for.

    Returns:
        The split.

    Raises:
        ScreenError: If the screen cannot be split or learned from so.
    """
    named, tested_on = _tested_on(sites, asked)
    return split_sites(
        sites,
        tested_on=tested_on,
        **_arguments(sites, task, recipe, asked, named or _protocol(recipe, asked)),
    )


def folds_of(sites: pd.DataFrame, task: Task, recipe: Recipe, asked: Asked) -> list[tuple[Task, Split]]:
    """Split a screen into every fold, and under `reference` every treatment for itself.

    Args:
        sites: Sites table.
        task: Treatments and control.
        recipe: As of `split_of`.
        asked: What the user asks for; nothing to test on, since every fold tests.

    Returns:
        What is told apart in each fold, and its split.

    Raises:
        ScreenError: As `split_of`.
    """
    protocol = _protocol(recipe, asked)
    tasks = [task]
    if protocol == "reference":
        tasks = [Task(task.control, (task.control, treatment)) for treatment in task.treated]
    return [
        (one, split)
        for one in tasks
        for split in fold_splits(sites, **_arguments(sites, one, recipe, asked, protocol))
    ]


def honest_protocol(sites: pd.DataFrame, task: Task, recipe: Recipe, asked: Asked) -> Protocol:
    """Return the first possible protocol, none of which leaks; arguments as of `split_of`."""
    return split_sites(sites, **_arguments(sites, task, recipe, asked, None)).protocol


def sites_text(roles: np.ndarray) -> str:
    """Count the sites of every role."""
    return ", ".join(f"{int((roles == role).sum())} {role}" for role in ("train", "validation", "test"))


def _protocol(recipe: Recipe, asked: Asked) -> Protocol | None:
    return asked.protocol or recipe.split.protocol


def _arguments(
    sites: pd.DataFrame, task: Task, recipe: Recipe, asked: Asked, protocol: Protocol | None
) -> dict[str, Any]:
    task.require_in(sites)

    def check(roles: np.ndarray) -> None:
        check_labels(sites, roles, task, recipe)

    return {
        "control": task.control,
        "treatments": task.treatments,
        "seed": recipe.seed,
        "test_fraction": recipe.split.test_share,
        "validation_fraction": recipe.split.validation_share,
        "protocol": protocol,
        "num_top_doses": recipe.heads.num_top_doses,
        "left_out": left_out_plates(sites, task, asked.without_controls),
        "check": check,
    }


def _tested_on(sites: pd.DataFrame, asked: Asked) -> tuple[Protocol | None, str | None]:
    """The protocol that an experiment or a plate to test on asks for, and that group's name."""
    wanted: Protocol
    if asked.test_plate is not None:
        wanted, option, tested_on = "leave-one-plate-out", "--test-plate", _plate(sites, asked.test_plate)
    elif asked.test_experiment is not None:
        wanted, option, tested_on = "leave-experiment-out", "--test-experiment", asked.test_experiment
        if tested_on not in set(sites["experiment"]):
            unknown = not_among("experiment", tested_on, sites["experiment"])
            raise ScreenError(f"{unknown} Write it as the table does, with `{option}`.")
    else:
        return None, None
    both = asked.test_experiment is not None and asked.test_plate is not None
    other = "leave-experiment-out" if both else asked.protocol or wanted
    if other != wanted:
        raise ScreenError(
            f"`{option}` tests under {wanted}, and {other} is asked for too. Leave one of the two out."
        )
    return wanted, tested_on


def _plate(sites: pd.DataFrame, name: str) -> str:
    """The plate as `plate_names` has it, by that name or by the table's own where only one plate has it."""
    full = plate_names(sites)
    if name in set(full):
        return name
    found = natural_order(full[(sites["plate"] == name).to_numpy(dtype=bool)])
    if not found:
        unknown = not_among("plate", name, sites["plate"])
        raise ScreenError(f"{unknown} Write it as the table does, with `--test-plate`.")
    if len(found) > 1:
        raise ScreenError(
            f"{len(found)} plates are called {name!r}. Name one with its experiment: "
            f"{', '.join(f'`--test-plate {plate!r}`' for plate in found)}."
        )
    return found[0]
