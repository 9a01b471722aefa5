"""Every fold of a protocol learned and scored, and the report of it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console

from phenotrain.cache import FieldCache, build_cache
from phenotrain.datasets import Description
from phenotrain.evaluate import Predictions, dose_probability, evaluate, treated_log_odds
from phenotrain.evaluate.predictions import CLASSIFIER, FOREST
from phenotrain.learn import learn, unlabelled_rows
from phenotrain.protocols.choose import fitting, folds_of
from phenotrain.protocols.folds import Fold, learn_folds, pooled, pooled_description
from phenotrain.protocols.reference_table import ReferenceRow, reference_row
from phenotrain.provenance import package_versions, provenance_of
from phenotrain.recipe import Recipe
from phenotrain.report import ReportContext, build_report
from phenotrain.report.folds import folds_section
from phenotrain.report.reference import build_reference_report, reference_headline
from phenotrain.splits import Protocol, learnable_roles
from phenotrain.task import Task
from phenotrain.training_log import EpochRow, read_log


@dataclass(frozen=True)
class EvaluateRequest:
    """What to evaluate on what.

    Attributes:
        description: The dataset's description.
        data: Its root folder.
        recipe: All numbers.
        task: Treatments and control.
        protocol: What to hold out; the recipe's, or what the screen allows, when None.
        work: Folder of checkpoints, one folder a fold in it, and of the cache.
        cache: Folder of the cache, when it lies elsewhere.
        skip_incomplete: Leave out sites with an unusable file.
        num_workers: Processes that decode images; one a core when not given.
    """

    description: Description
    data: Path
    recipe: Recipe
    task: Task
    protocol: Protocol | None
    work: Path
    cache: Path | None = None
    skip_incomplete: bool = False
    num_workers: int | None = None


def run_evaluation(request: EvaluateRequest, console: Console) -> Mapping[str, bytes]:
    """Caches, then learns and scores every fold.

    Args:
        request: What to evaluate.
        console: Where progress and findings are shown.

    Returns:
        Content of `report.html` and `metrics.json`.

    Raises:
        phenotrain.cache.CacheError: If the cache folder holds another dataset's cache.
        phenotrain.plates.PlateError: If the table or images cannot be used.
        phenotrain.encoder.WeightsUnavailableError: If the encoder's initial weights cannot be had.
    """
    cache = build_cache(
        request.description,
        request.data,
        request.cache or request.work / "cache",
        downsample=request.recipe.downsample,
        num_workers=request.num_workers,
        skip_incomplete=request.skip_incomplete,
        progress=console.is_terminal,
    )
    protocol = request.protocol or request.recipe.split.protocol
    if protocol == "reference":
        return _beside_reference(request, cache, console)
    return _report(request, cache, _folds(request, cache, request.task, protocol, console))


def _folds(
    request: EvaluateRequest, cache: FieldCache, task: Task, protocol: Protocol | None, console: Console
) -> list[Fold]:
    splits = [split for _, split in folds_of(cache.sites, task, request.recipe, protocol)]

    def learn_fold(roles: np.ndarray, name: str) -> Predictions:
        work = _fold_folder(request, task, splits[0].protocol, name)
        # Under `reference` folds of several treatments may have the same unlabelled sites: one SimCLR serves them.
        shared = None if task == request.task else _shared_pretraining(request, cache, roles, task)
        return learn(cache, roles, task, request.recipe, work, console, pretraining=shared).predictions

    return learn_folds(
        cache.sites,
        splits,
        task,
        learn_fold,
        num_top_doses=request.recipe.heads.num_top_doses,
        seed=request.recipe.seed,
        simulated=cache.simulated,
        on_fold=lambda fold: console.print(f"{fold.name}: {fold.metrics.headline}", markup=False),
    )


def _report(request: EvaluateRequest, cache: FieldCache, folds: list[Fold]) -> dict[str, bytes]:
    task, recipe = request.task, request.recipe
    several = len(folds) > 1
    if several:
        roles, predictions = pooled(folds, len(cache))
        metrics = evaluate(
            cache.sites,
            roles,
            task.treatments,
            task.control,
            predictions,
            num_top_doses=recipe.heads.num_top_doses,
            seed=recipe.seed,
            simulated=cache.simulated,
        )
        description = pooled_description(folds)
    else:
        (fold,) = folds
        roles, predictions, metrics = fold.split.roles, fold.predictions, fold.metrics
        description = fold.split.description
    provenance = provenance_of(cache, recipe, dict(description))
    log_odds = treated_log_odds(predictions.classifier.probabilities, task.treatments.index(task.control))
    context = ReportContext(
        name=f"Evaluation of {request.description.name}, recipe {recipe.name}",
        headline=metrics.headline,
        metrics=metrics,
        dataset_name=provenance.dataset.name,
        dataset_licence=provenance.dataset.licence,
        simulated=cache.simulated,
        split=description,
        left_out=cache.left_out,
        training_log=_training_log(request, folds),
        recipe=provenance.recipe,
        overlays=[],
        packages=package_versions(),
        dose_probability=dose_probability(
            cache.sites, np.flatnonzero(roles == "test"), task.control, log_odds
        ),
        unit_of=request.description.table.unit_of,
        sections=(
            [folds_section([(fold.name, fold.split.description, fold.metrics) for fold in folds])]
            if several
            else []
        ),
    )
    return build_report(context)


def _training_log(request: EvaluateRequest, folds: list[Fold]) -> pd.DataFrame:
    logs = []
    for fold in folds:
        rows = read_log(_fold_folder(request, request.task, fold.split.protocol, fold.name) / "simclr")
        logs.append(pd.DataFrame(rows, columns=list(EpochRow._fields)).assign(fold=fold.name))
    return pd.concat(logs, ignore_index=True)


def _beside_reference(request: EvaluateRequest, cache: FieldCache, console: Console) -> dict[str, bytes]:
    honest = fitting(cache.sites, request.task)
    rows: list[ReferenceRow] = []
    descriptions: list[dict[str, Any]] = []
    for treatment in request.task.treated:
        task = Task(request.task.control, (request.task.control, treatment))
        made: dict[Protocol, list[Fold]] = {}
        for protocol in ("reference", honest):
            made[protocol] = _folds(request, cache, task, protocol, console)
        descriptions += [fold.split.description for folds in made.values() for fold in folds]
        rows += [
            reference_row(
                cache.sites,
                folds,
                task,
                model,
                num_top_doses=request.recipe.heads.num_top_doses,
                seed=request.recipe.seed,
            )
            for model in (CLASSIFIER, FOREST)
            for folds in made.values()
        ]
    provenance = provenance_of(cache, request.recipe, {"protocol": "reference"})
    console.print(reference_headline(rows, simulated=cache.simulated), markup=False)
    return build_reference_report(
        rows,
        descriptions,
        dataset_name=provenance.dataset.name,
        dataset_licence=provenance.dataset.licence,
        recipe=provenance.recipe,
        simulated=cache.simulated,
    )


def _shared_pretraining(request: EvaluateRequest, cache: FieldCache, roles: np.ndarray, task: Task) -> Path:
    """The folder of the SimCLR that learns from these sites, whatever the treatment that is told apart afterwards."""
    rows = unlabelled_rows(cache.sites, learnable_roles(cache.sites, roles, task), task, request.recipe)
    return request.work / "simclr" / hashlib.sha256(rows.astype(np.int64).tobytes()).hexdigest()[:16]


def _fold_folder(request: EvaluateRequest, task: Task, protocol: Protocol, fold: str) -> Path:
    """One folder a fold: a killed evaluation goes on where it stopped."""
    folder = request.work if task == request.task else request.work / _slug(task.treated[0])
    return folder / _slug(protocol if fold == protocol else f"{protocol}-{fold}")


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-._" else "-" for letter in name)
