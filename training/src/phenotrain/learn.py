"""From cached fields to trained networks, heads and forest, in the reference project's order of steps."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from sklearn.ensemble import RandomForestClassifier

from phenoserve.bundle import Calibration
from phenotrain.baselines import Baselines
from phenotrain.batches import Batches
from phenotrain.cache import FieldCache
from phenotrain.calibrate import calibrate
from phenotrain.cross_fit import cross_fit_folds
from phenotrain.embed import FieldEncoder, settle_head_statistics
from phenotrain.evaluate import ModelPredictions, Predictions
from phenotrain.forest import fit_forest
from phenotrain.graph import ServedGraph
from phenotrain.labelled import Labelled, Task, classifier_data, versus_control_data
from phenotrain.matching import balanced_rows
from phenotrain.pace import paced, steps_text
from phenotrain.progress import step_bar, uncounted_step
from phenotrain.recipe import Recipe
from phenotrain.simclr import batches_of, pretrain
from phenotrain.splits import learnable_roles
from phenotrain.two_heads import fit_two_heads


@dataclass(frozen=True)
class Learned:
    """What a run has learned.

    Attributes:
        graph: Encoder, projection head and both heads behind the served function.
        forest: The forest on the embeddings.
        calibration: Prediction sets and the distance to what was seen in training.
        predictions: Of every site, by the classifier, the forest and every baseline.
        embeddings: Of every site, `(num_sites, 1024)` float32.
    """

    graph: ServedGraph
    forest: RandomForestClassifier
    calibration: Calibration
    predictions: Predictions
    embeddings: np.ndarray


def learn(
    cache: FieldCache,
    roles: np.ndarray,
    task: Task,
    recipe: Recipe,
    work: Path,
    console: Console,
    *,
    with_baselines: bool = True,
    pretraining: Path | None = None,
) -> Learned:
    """SimCLR, then the frozen encoder's embeddings, then heads, forest, calibration and the baselines.

    Test sites take part in nothing; validation sites in SimCLR, without labels, in deciding when the heads stop, and
    in the calibration.

    Args:
        cache: Pooled fields.
        roles: `train`, `validation`, `test` or `unused` of every site.
        task: Treatments and control.
        recipe: All numbers.
        work: Folder of checkpoints and logs; a killed run goes on from there.
        console: Where progress is shown.
        with_baselines: Whether to fit the baselines too.
        pretraining: Folder of SimCLR's checkpoint and log, where several runs share it; `work / "simclr"` by default.

    Returns:
        The trained parts and their predictions for every site.

    Raises:
        ScreenError: If a role misses a class.
        phenotrain.encoder.WeightsUnavailableError: If the initial weights cannot be had.
    """
    seed = recipe.seed
    roles = learnable_roles(cache.sites, roles, task)
    labelled = Labelled.of(cache.sites, roles, task, recipe.heads, seed=seed)
    unlabelled = unlabelled_rows(cache.sites, roles, task, recipe)
    steps = steps_text(batches_of(cache, unlabelled, recipe), len(unlabelled))
    console.print(f"SimCLR: {steps}", highlight=False)
    with step_bar("SimCLR", console) as bar:
        on_step = paced("SimCLR", console, bar)
        networks = pretrain(cache, unlabelled, recipe, pretraining or work / "simclr", on_step=on_step)
    with uncounted_step("Batch statistics of whole fields", console):
        fields = FieldEncoder(networks.encoder)
        fields.settle(cache, unlabelled, seed=seed)
    with step_bar("Embeddings", console) as on_site:
        embeddings = fields.embed(cache, np.arange(len(cache)), on_site=on_site)
    settle_head_statistics(networks.projection_head, embeddings[unlabelled])
    with uncounted_step("Heads, forest and calibration", console):
        folds = cross_fit_folds(labelled.sites, labelled.rows["fitted"], task, seed=seed)
        heads = fit_two_heads(labelled, embeddings, recipe.heads, seed=seed, folds=folds)
        forest, by_forest = _forest(labelled, embeddings, recipe)
        calibration = calibrate(cache, labelled, roles, embeddings, heads, recipe.calibration, seed=seed)
    baselines = Baselines(cache, labelled, unlabelled, fields, recipe, work, console)
    graph = ServedGraph(
        networks.encoder,
        networks.projection_head,
        heads.final.classifier,
        heads.final.versus_control,
        recipe.downsample,
    )
    by_classifier = heads.predict(embeddings, labelled.rows["validation"])
    own = Predictions({"classifier": by_classifier, "forest": by_forest})
    others = baselines.predict() if with_baselines else {}
    return Learned(graph, forest, calibration, own.joined(Predictions(others)), embeddings)


def unlabelled_rows(sites: pd.DataFrame, roles: np.ndarray, task: Task, recipe: Recipe) -> np.ndarray:
    """Pick the sites that SimCLR learns from: those of training and validation, as many a class as the recipe says.

    Args:
        sites: Sites table.
        roles: `train`, `validation`, `test` or `unused` of every site.
        task: Treatments and control.
        recipe: `simclr.sites_per_class` and the seed.

    Returns:
        Integer positions into `sites`, ascending.
    """
    rows = np.flatnonzero(np.isin(roles, ("train", "validation")))
    if recipe.simclr.sites_per_class == 0:
        return rows
    num_wanted = recipe.simclr.sites_per_class
    return balanced_rows(sites, rows, task.treatments, task.control, num_wanted, recipe.seed)


def check_learning(sites: pd.DataFrame, roles: np.ndarray, task: Task, recipe: Recipe) -> None:
    """Find out from the table alone whether everything that is learned can be: SimCLR's steps, heads, calibration.

    Arguments as of `unlabelled_rows`.

    Raises:
        phenotrain.batches.BatchError: If a plate has too few sites or wells for a step of SimCLR.
        phenotrain.errors.ScreenError: If a role misses a class, or treated sites have no control beside them.
    """
    roles = learnable_roles(sites, roles, task)
    labelled, nothing = (
        Labelled.of(sites, roles, task, recipe.heads, seed=recipe.seed),
        np.empty((len(sites), 0)),
    )
    for rows in labelled.rows.values():
        classifier_data(sites, rows, nothing, task)
        versus_control_data(sites, rows, nothing, task)
    Batches(sites, unlabelled_rows(sites, roles, task, recipe), recipe.simclr, seed=recipe.seed)


def _forest(
    labelled: Labelled, embeddings: np.ndarray, recipe: Recipe
) -> tuple[RandomForestClassifier, ModelPredictions]:
    """The forest to serve, and its answers; validation sites are answered by one that never saw them."""
    treatments = np.array(labelled.task.treatments)

    def fitted(role: str) -> RandomForestClassifier:
        classes = labelled.classes(role, embeddings)
        return fit_forest(
            classes.embeddings, treatments[classes.targets], classes.weights, recipe.forest, seed=recipe.seed
        )

    def answers(forest: RandomForestClassifier, rows: np.ndarray) -> ModelPredictions:
        columns = [list(forest.classes_).index(name) for name in treatments]
        return ModelPredictions(np.asarray(forest.predict_proba(embeddings[rows]))[:, columns])

    forest, validation = fitted("fitted"), labelled.rows["validation"]
    predictions = answers(forest, np.arange(len(embeddings)))
    if labelled.is_refitted:
        predictions = predictions.replaced(validation, answers(fitted("train"), validation))
    return forest, predictions
