"""Which labelled sites are held out in turn, so that each is answered by heads that never saw its plate or well."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from phenotrain.grouping import plate_names
from phenotrain.task import Task

NUM_WELL_FOLDS: Final = 5
"""Folds where wells are dealt out; plates are held out one by one."""


def cross_fit_folds(sites: pd.DataFrame, rows: np.ndarray, task: Task, *, seed: int) -> list[np.ndarray]:
    """Deal labelled sites out: by plate, or by well where a class cannot spare a plate.

    Args:
        sites: Sites table.
        rows: Integer positions of the labelled sites.
        task: Treatments and control.
        seed: Seed of the order in which wells are dealt.

    Returns:
        Integer positions that are held out together, each of `rows` in one fold. What a fold leaves has every class,
        and controls on every plate with treated sites. None at all where neither deal gives that.
    """
    plates = plate_names(sites)[rows]
    wells = _dealt_wells(sites.iloc[rows], plates, seed)
    for groups in (plates, wells):
        folds = [rows[groups == group] for group in np.unique(groups)]
        if len(folds) > 1 and all(can_learn(sites, np.setdiff1d(rows, fold), task) for fold in folds):
            return folds
    return []


def can_learn(sites: pd.DataFrame, rows: np.ndarray, task: Task) -> bool:
    """Say whether rows hold every class, and controls on every plate that has treated sites."""
    labels, plates = sites["treatment"].to_numpy(dtype=str)[rows], plate_names(sites)[rows]
    controls = plates[labels == task.control]
    return set(task.treatments) <= set(labels) and set(plates[np.isin(labels, task.treated)]) <= set(controls)


def _dealt_wells(labelled: pd.DataFrame, plates: Sequence[str] | np.ndarray, seed: int) -> np.ndarray:
    """The fold of every site's well: the wells of each plate and treatment are dealt out in turn."""
    wells = labelled.assign(plate_name=plates).drop_duplicates("well_id")
    wells = wells.sample(frac=1, random_state=seed)
    turn = wells.groupby(["plate_name", "treatment"]).cumcount() % NUM_WELL_FOLDS
    return labelled["well_id"].map(dict(zip(wells["well_id"], turn, strict=True))).to_numpy(dtype=int)
