"""Whether heads can learn from a split: every class beside a control of its plate, at the doses learned from."""

from typing import Final

import numpy as np
import pandas as pd

from phenotrain.doses import dose_rank
from phenotrain.grouping import plate_names
from phenotrain.splits.dealing import ROLES, UNUSED, Role
from phenotrain.splits.screen import Screen
from phenotrain.task import Task

_LEARNED_FROM: Final[tuple[Role, ...]] = ("train", "validation")


def learnable_roles(sites: pd.DataFrame, roles: np.ndarray, task: Task) -> np.ndarray:
    """Leave treated sites out of learning that have no control on their plate in their role.

    Heads weigh controls by plate, so such a site has nothing to be weighed against. Where wells or single sites are
    dealt, a plate with few controls loses some. They keep their role in the scores.

    Args:
        sites: Sites table.
        roles: Role of every site, `(num_sites,)`.
        task: Treatments and control.

    Returns:
        The roles, `unused` in place of `train` or `validation` for those sites.
    """
    plates, labels = plate_names(sites), sites["treatment"].to_numpy(dtype=str)
    is_treated, is_control = np.isin(labels, task.treated), labels == task.control
    learnable = np.asarray(roles, dtype="<U10").copy()
    for role in _LEARNED_FROM:
        learnable[(roles == role) & is_treated & ~_beside(plates, (roles == role) & is_control)] = UNUSED
    return learnable


def at_top_doses(
    sites: pd.DataFrame, treated: tuple[str, ...], control: str, num_top_doses: int
) -> np.ndarray:
    """Mark the treated sites at the doses that heads learn from, `(num_sites,)`; 0 marks all doses."""
    is_treated = sites["treatment"].isin(treated).to_numpy(dtype=bool)
    if num_top_doses == 0:
        return is_treated
    marked = np.zeros(len(sites), dtype=bool)
    marked[is_treated] = dose_rank(sites[is_treated], control) <= num_top_doses
    return marked


def missing_classes(
    screen: Screen, roles: np.ndarray, is_top: np.ndarray, num_top_doses: int
) -> dict[Role, list[str]]:
    """Say which classes each role lacks.

    Args:
        screen: What was split.
        roles: Role of every site, `(num_sites,)`.
        is_top: Marks the treated sites at the doses that heads learn from.
        num_top_doses: How many doses those are, for the words; 0 is all.

    Returns:
        Classes by role; empty where everything can be learned and scored. Where every role has every class, such as
        `IFN-a at the top dose beside a control of its plate`.
    """
    found: dict[Role, list[str]] = {}
    for role in ROLES:
        absent = screen.lacking(roles == role)
        if absent:
            found[role] = absent
    if found:
        return found
    doses = f" at the top {num_top_doses} dose{'s' * (num_top_doses > 1)}" if num_top_doses else ""
    is_control = screen.labels == screen.control
    for role in _LEARNED_FROM:
        is_learned = (roles == role) & is_top & _beside(screen.plates, (roles == role) & is_control)
        learned = set(screen.labels[is_learned])
        names = [name for name in screen.treated if name not in learned]
        if names:
            found[role] = [f"{name}{doses} beside a control of its plate" for name in names]
    return found


def _beside(plates: np.ndarray, controls: np.ndarray) -> np.ndarray:
    return np.isin(plates, np.unique(plates[controls]))
