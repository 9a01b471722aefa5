"""A protocol's folds: each learned by itself, the test answers of all scored together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from phenotrain.evaluate import Metrics, ModelPredictions, Predictions, evaluate
from phenotrain.splits import UNUSED, Split
from phenotrain.task import Task

LearnFold = Callable[[np.ndarray, str], Predictions]
"""Learns from roles under a name for its checkpoints, and predicts every site."""


@dataclass(frozen=True)
class Fold:
    """One fold, what its models say, and how good that is.

    Attributes:
        name: The experiment or plate tested on, or the protocol where it draws one fold.
        split: Role of every site.
        predictions: Of every site, by models that have not seen the fold's test sites.
        metrics: On the fold's own test and validation sites.
    """

    name: str
    split: Split
    predictions: Predictions
    metrics: Metrics


def learn_folds(
    sites: pd.DataFrame,
    splits: Sequence[Split],
    task: Task,
    learn_fold: LearnFold,
    *,
    num_top_doses: int,
    seed: int,
    simulated: bool,
    on_fold: Callable[[Fold], None] = lambda _: None,
) -> list[Fold]:
    """Learn and score every fold, one after the other.

    Args:
        sites: Sites table.
        splits: One a fold.
        task: Treatments and control.
        learn_fold: Learns one fold.
        num_top_doses: Doses of each treatment that make up the headline; 0 for all.
        seed: Seed of bootstrap and permutations.
        simulated: Whether the images are simulated.
        on_fold: Called with every fold as soon as it is scored.
    """
    folds: list[Fold] = []
    for split in splits:
        name = split.tested_on or split.protocol
        predictions = learn_fold(split.roles, name)
        metrics = evaluate(
            sites,
            split.roles,
            task.treatments,
            task.control,
            predictions,
            num_top_doses=num_top_doses,
            seed=seed,
            simulated=simulated,
        )
        folds.append(Fold(name, split, predictions, metrics))
        on_fold(folds[-1])
    return folds


def pooled(folds: Sequence[Fold], num_sites: int) -> tuple[np.ndarray, Predictions]:
    """Put the test answers of all folds together.

    Args:
        folds: Folds that share no test site.
        num_sites: Length of the sites table.

    Returns:
        `test` for every site that some fold tests on and `unused` for the others, and predictions whose rows
        come from the fold that tests on the site (NaN where none does), of the models that all folds have.
    """
    roles = np.full(num_sites, UNUSED, dtype="<U10")
    names = [name for name in folds[0].predictions if all(name in fold.predictions.models for fold in folds)]
    parts: dict[str, list[ModelPredictions]] = {
        name: [fold.predictions[name] for fold in folds] for name in names
    }
    tested = [fold.split.roles == "test" for fold in folds]
    for is_test in tested:
        roles[is_test] = "test"
    return roles, Predictions({name: _pooled(found, tested) for name, found in parts.items()})


def _pooled(parts: list[ModelPredictions], tested: list[np.ndarray]) -> ModelPredictions:
    probabilities = np.full(parts[0].probabilities.shape, np.nan)
    # A model that answers treatment by treatment in one fold does so in all.
    binary = [part.versus_control for part in parts if part.versus_control is not None]
    versus_control = np.full(binary[0].shape, np.nan) if len(binary) == len(parts) else None
    for number, (part, is_test) in enumerate(zip(parts, tested, strict=True)):
        probabilities[is_test] = part.probabilities[is_test]
        if versus_control is not None:
            versus_control[is_test] = binary[number][is_test]
    return ModelPredictions(probabilities, versus_control)


def tested_in_turn(folds: Sequence[Fold]) -> str | None:
    """Say what the pooled test sites of plates are: not an experiment held out, though they may be all of one.

    Returns:
        Such as `4 plates, each held out in turn`; None where the folds are not of plates.
    """
    if folds[0].split.protocol != "leave-one-plate-out":
        return None
    return f"{len(folds)} plates, each held out in turn"


def pooled_description(folds: Sequence[Fold]) -> dict[str, Any]:
    """Say how the folds were split, in the keys that reports read; each fold's own numbers are in its own."""
    first = folds[0].split.description
    tested = ", ".join(fold.name for fold in folds)
    return {
        **first,
        "rule": f"Each of {tested} tested on once, by what was learned from the others; the test answers of all folds "
        "are scored together. The tables of this section show the first fold.",
        "folds": [fold.split.description for fold in folds],
    }
