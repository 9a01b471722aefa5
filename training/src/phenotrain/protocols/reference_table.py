"""The reference project's table: validation accuracy, test accuracy, precision, recall and F1 per treatment."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import f1_score, precision_score, recall_score

from phenotrain.doses import top_doses
from phenotrain.evaluate import Interval
from phenotrain.evaluate.draws import bootstrap_counts
from phenotrain.evaluate.estimates import centred_interval
from phenotrain.matching import balanced_rows
from phenotrain.protocols.folds import Fold
from phenotrain.task import Task


@dataclass(frozen=True)
class ReferenceRow:
    """One line of the table, over single sites with as many controls as treated ones.

    Attributes:
        treatment: The treatment that is told from the control.
        protocol: How sites were held out.
        leaks: Whether test sites share wells with training.
        model: Name of the model.
        validation_accuracy: Share of the validation sites that is right.
        test_accuracy: Share of the test sites that is right; guessing reaches 0.5.
        interval: 95 % of the test accuracy, from wells drawn with replacement within each class.
        precision: Of the treatment, on the test sites.
        recall: Of the treatment.
        f1: Of the treatment.
        num_test_sites: Test sites scored.
        num_test_wells: Wells they come from.
    """

    treatment: str
    protocol: str
    leaks: bool
    model: str
    validation_accuracy: float
    test_accuracy: float
    interval: Interval
    precision: float
    recall: float
    f1: float
    num_test_sites: int
    num_test_wells: int


def reference_row(
    sites: pd.DataFrame, folds: Sequence[Fold], task: Task, model: str, *, num_top_doses: int, seed: int
) -> ReferenceRow:
    """Score one treatment against the control as the reference project did.

    Its classes had 287 sites each. An honest split holds out all controls of a plate, so as many of them as
    there are treated sites are drawn from the treated sites' plates (`phenotrain.matching.balanced_rows`), and
    accuracy keeps its meaning.

    Args:
        sites: Sites table.
        folds: The folds of one protocol; their answers are scored together.
        task: One treatment and the control.
        model: Name of the model.
        num_top_doses: Doses of the treatment to score; 0 for all.
        seed: Seed of the draws.

    Returns:
        The line of the table.
    """
    labels = sites["treatment"].to_numpy(dtype=str)
    (treatment,) = task.treated
    scored = {
        role: _answers(sites, folds, task, model, role, num_top_doses, seed)
        for role in ("validation", "test")
    }
    rows, predicted = scored["test"]
    is_right = predicted == labels[rows]
    is_treated, called_treated = labels[rows] == treatment, predicted == treatment
    # Where nothing is called treated there is no precision; 0 as in scikit-learn, without its warning.
    precision = float(precision_score(is_treated, called_treated)) if called_treated.any() else 0.0
    validation_rows, validation_predicted = scored["validation"]
    first = folds[0].split
    return ReferenceRow(
        treatment=treatment,
        protocol=first.protocol,
        leaks=bool(first.description["leaks"]),
        model=model,
        validation_accuracy=float((validation_predicted == labels[validation_rows]).mean()),
        test_accuracy=float(is_right.mean()),
        interval=_interval(is_right, labels[rows], sites["well_id"].to_numpy(dtype=str)[rows], seed),
        precision=precision,
        recall=float(recall_score(is_treated, called_treated)),
        f1=float(f1_score(is_treated, called_treated)),
        num_test_sites=len(rows),
        num_test_wells=int(sites["well_id"].iloc[rows].nunique()),
    )


def _answers(
    sites: pd.DataFrame,
    folds: Sequence[Fold],
    task: Task,
    model: str,
    role: str,
    num_top_doses: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of one role in every fold, and what the fold's model answers for them."""
    names = np.array(task.treatments)
    known = np.flatnonzero(sites["treatment"].isin(task.treatments).to_numpy(dtype=bool))
    at_top = known[top_doses(sites.iloc[known], task.control, num_top_doses)]
    rows: list[np.ndarray] = []
    predicted: list[np.ndarray] = []
    for fold in folds:
        own = at_top[fold.split.roles[at_top] == role]
        if not fold.split.description["leaks"]:
            num_treated = int((sites["treatment"].iloc[own] != task.control).sum())
            own = balanced_rows(sites, own, task.treatments, task.control, num_treated, seed)
        rows.append(own)
        predicted.append(names[fold.predictions[model].probabilities[own].argmax(axis=1)])
    return np.concatenate(rows), np.concatenate(predicted)


def _interval(is_right: np.ndarray, labels: np.ndarray, wells: np.ndarray, seed: int) -> Interval:
    _, first, well = np.unique(wells, return_index=True, return_inverse=True)
    counts = bootstrap_counts(labels[first], np.random.default_rng(seed))
    right, sizes = np.bincount(well, weights=is_right), np.bincount(well)
    return centred_interval((counts @ right) / (counts @ sizes), 0.0, 1.0)
