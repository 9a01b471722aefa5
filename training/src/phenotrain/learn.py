"""From cached fields to trained networks, heads and forest, in the reference project's order of steps."""

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from scipy.special import expit, softmax
from sklearn.ensemble import RandomForestClassifier

from phenotrain.cache import FieldCache
from phenotrain.embed import embed_sites, settle_batch_statistics, settle_head_statistics
from phenotrain.evaluate import Predictions
from phenotrain.forest import fit_forest
from phenotrain.graph import ServedGraph
from phenotrain.heads import build_head, fit_head
from phenotrain.labelled import Task, classifier_data, labelled_rows, versus_control_data
from phenotrain.matching import balanced_rows
from phenotrain.progress import step_bar, uncounted_step
from phenotrain.recipe import Recipe
from phenotrain.simclr import pretrain


@dataclass(frozen=True)
class Learned:
    """What a run has learned.

    Attributes:
        graph: Encoder, projection head and both heads behind the served function.
        forest: The forest on the embeddings.
        predictions: Of every site, for the evaluation.
    """

    graph: ServedGraph
    forest: RandomForestClassifier
    predictions: Predictions


def learn(
    cache: FieldCache, roles: np.ndarray, task: Task, recipe: Recipe, work: Path, console: Console
) -> Learned:
    """SimCLR, then the frozen encoder's embeddings, then heads and forest.

    Test sites take part in nothing; validation sites in SimCLR, without labels,
    and in deciding when the heads stop.

    Args:
        cache: Pooled fields.
        roles: `train`, `validation` or `test` of every site.
        task: Treatments and control.
        recipe: All numbers.
        work: Folder of checkpoints and logs; a killed run goes on from there.
        console: Where progress is shown.

    Returns:
        The trained parts and their predictions for every site.

    Raises:
        ValueError: If a role misses a class.
        phenotrain.encoder.WeightsUnavailableError: If the initial weights cannot be had.
    """
    seed = recipe.seed
    unlabelled = np.flatnonzero(roles != "test")
    if recipe.simclr.sites_per_class > 0:
        unlabelled = balanced_rows(
            cache.sites, unlabelled, task.treatments, task.control, recipe.simclr.sites_per_class, seed
        )
    with step_bar("SimCLR", console) as on_step:
        networks = pretrain(cache, unlabelled, recipe, work / "simclr", on_step=on_step)
    with uncounted_step("Batch statistics of whole fields", console):
        settle_batch_statistics(networks.encoder, cache, unlabelled, seed=seed)
    with step_bar("Embeddings", console) as on_site:
        embeddings = embed_sites(networks.encoder, cache, np.arange(len(cache)), on_site=on_site)
    settle_head_statistics(networks.projection_head, embeddings[unlabelled])
    with uncounted_step("Heads and forest", console):
        train, validation = (
            labelled_rows(cache.sites, roles, role, task, recipe.heads, seed=seed)
            for role in ("train", "validation")
        )
        heads: list[keras.Model] = []
        for name, data in (("logits", classifier_data), ("versus_control", versus_control_data)):
            keras.utils.set_random_seed(seed)
            head = build_head(
                len(task.treatments if name == "logits" else task.treated), recipe.heads, name=name
            )
            fit_head(
                head,
                data(cache.sites, train, embeddings, task),
                data(cache.sites, validation, embeddings, task),
                recipe.heads,
                seed=seed,
            )
            heads.append(head)
        classes = classifier_data(cache.sites, train, embeddings, task)
        names = np.array(task.treatments)[classes.targets]
        forest = fit_forest(classes.embeddings, names, classes.weights, recipe.forest, seed=seed)
    graph = ServedGraph(networks.encoder, networks.projection_head, heads[0], heads[1], recipe.downsample)
    return Learned(graph, forest, _predict(heads, forest, embeddings, task))


def _predict(
    heads: list[keras.Model], forest: RandomForestClassifier, embeddings: np.ndarray, task: Task
) -> Predictions:
    logits, versus_control = (head(tf.constant(embeddings), training=False).numpy() for head in heads)
    columns = [list(forest.classes_).index(name) for name in task.treatments]
    return Predictions(
        probabilities=softmax(logits, axis=1),
        versus_control=expit(versus_control),
        forest=np.asarray(forest.predict_proba(embeddings))[:, columns],
    )
