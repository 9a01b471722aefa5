"""Every fold of a protocol learned and scored, and the report of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console

from phenotrain.cache import FieldCache, build_cache
from phenotrain.datasets import Description
from phenotrain.evaluate import Predictions, dose_probability, evaluate, treated_log_odds
from phenotrain.evaluate.predictions import CLASSIFIER, FOREST
from phenotrain.learn import learn
from phenotrain.protocols.choose import Asked, folds_of, honest_protocol, sites_text
from phenotrain.protocols.folds import Fold, learn_folds, pooled, pooled_description, tested_in_turn
from phenotrain.protocols.held_out import held_out_table
from phenotrain.protocols.reference_table import ReferenceRow, reference_row
from phenotrain.provenance import package_versions, provenance_of
from phenotrain.recipe import Recipe
from phenotrain.report import ReportContext, build_report
from phenotrain.report.folds import folds_section
from phenotrain.report.reference import build_reference_report, reference_headline
from phenotrain.splits import Protocol
from phenotrain.task import Task
from phenotrain.training_log import EpochRow


@dataclass(frozen=True)
class EvaluateRequest:
    """What to evaluate on what.

    Attributes:
        description: The dataset's description.
        data: Its root folder.
        recipe: All numbers.
        task: Treatments and control.
        asked: What to hold out.
        work: Folder of checkpoints and of the cache; what a run or a fold has learned there from the same sites is
            taken from it.
        cache: Folder of the cache, when it lies elsewhere.
        skip_incomplete: Leave out sites with an unusable file.
        num_workers: Processes that decode images; one a core when not given.
    """

    description: Description
    data: Path
    recipe: Recipe
    task: Task
    asked: Asked
    work: Path
    cache: Path | None = None
    skip_incomplete: bool = False
    num_workers: int | None = None


@dataclass(frozen=True)
class Evaluated:
    """What an evaluation gives.

    Attributes:
        files: Content of `report.html` and `metrics.json`.
        held_out: The test sites of every fold, as `phenotrain.protocols.held_out.held_out_table` has them.
    """

    files: Mapping[str, bytes]
    held_out: pd.DataFrame


def run_evaluation(request: EvaluateRequest, console: Console) -> Evaluated:
    """Caches, then learns and scores every fold.

    Args:
        request: What to evaluate.
        console: Where progress and findings are shown.

    Returns:
        The report and the test sites.

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
        console=console,
    )
    protocol = request.asked.protocol or request.recipe.split.protocol
    if protocol == "reference":
        return _beside_reference(request, cache, console)
    learning = _Learning(request, cache, console)
    folds = learning.folds(request.task, protocol)
    return Evaluated(
        _report(request, cache, folds, learning.training_log()), _held_out(cache, request.task, folds)
    )


class _Learning:
    """Learns the folds of protocols, and keeps what SimCLR reported of each."""

    def __init__(self, request: EvaluateRequest, cache: FieldCache, console: Console) -> None:
        self._request, self._cache, self._console = request, cache, console
        self._logs: list[pd.DataFrame] = []

    def folds(self, task: Task, protocol: Protocol | None) -> list[Fold]:
        request, cache, console = self._request, self._cache, self._console
        asked = replace(request.asked, protocol=protocol)
        splits = [split for _, split in folds_of(cache.sites, task, request.recipe, asked)]

        def learn_fold(roles: np.ndarray, name: str) -> Predictions:
            console.print(f"{name}: {sites_text(roles)}", markup=False, highlight=False)
            learned = learn(cache, roles, task, request.recipe, request.work, console)
            log = pd.DataFrame(learned.training_log, columns=list(EpochRow._fields))
            self._logs.append(log.assign(fold=name))
            return learned.predictions

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

    def training_log(self) -> pd.DataFrame:
        return pd.concat(self._logs, ignore_index=True)


def _held_out(cache: FieldCache, task: Task, folds: list[Fold], prefix: str = "") -> pd.DataFrame:
    return pd.concat(
        [
            held_out_table(
                cache, fold.split.roles, task, fold.predictions.classifier, fold=f"{prefix}{fold.name}"
            )
            for fold in folds
        ],
        ignore_index=True,
    )


def _report(
    request: EvaluateRequest, cache: FieldCache, folds: list[Fold], training_log: pd.DataFrame
) -> dict[str, bytes]:
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
        held_out = tested_in_turn(folds)
        if held_out is not None:
            metrics = replace(metrics, test=replace(metrics.test, held_out=held_out))
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
        training_log=training_log,
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


def _beside_reference(request: EvaluateRequest, cache: FieldCache, console: Console) -> Evaluated:
    honest = honest_protocol(cache.sites, request.task, request.recipe, request.asked)
    learning = _Learning(request, cache, console)
    held_out: list[pd.DataFrame] = []
    rows: list[ReferenceRow] = []
    descriptions: list[dict[str, Any]] = []
    for treatment in request.task.treated:
        task = Task(request.task.control, (request.task.control, treatment))
        made: dict[Protocol, list[Fold]] = {}
        for protocol in ("reference", honest):
            made[protocol] = learning.folds(task, protocol)
            held_out.append(_held_out(cache, task, made[protocol], f"{treatment}, "))
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
    report = build_reference_report(
        rows,
        descriptions,
        dataset_name=provenance.dataset.name,
        dataset_licence=provenance.dataset.licence,
        recipe=provenance.recipe,
        simulated=cache.simulated,
    )
    return Evaluated(report, pd.concat(held_out, ignore_index=True))
