"""From cached fields to trained networks, heads and forest, in the reference project's order of steps."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from sklearn.ensemble import RandomForestClassifier

from phenoserve.bundle import Calibration
from phenotrain.baselines import Baselines
from phenotrain.cache import FieldCache
from phenotrain.calibrate import calibrate
from phenotrain.cross_fit import cross_fit_folds
from phenotrain.embed import FieldEncoder, settle_head_statistics
from phenotrain.encoder_choice import EncoderChoice, choose_encoder
from phenotrain.evaluate import ModelPredictions, Predictions
from phenotrain.evaluate.predictions import TRAINED, UNTRAINED
from phenotrain.forest import fit_forest
from phenotrain.graph import ServedGraph
from phenotrain.labelled import Labelled, Task, unlabelled_rows
from phenotrain.pace import paced, steps_text
from phenotrain.progress import step_bar, uncounted_step
from phenotrain.recipe import Recipe
from phenotrain.simclr import (
    SimclrNetworks,
    batches_of,
    initial_networks,
    known_text,
    pretrain,
    pretraining_folder,
)
from phenotrain.splits import learnable_roles
from phenotrain.training_log import EpochRow, read_log
from phenotrain.two_heads import FittedHeads, fit_two_heads


@dataclass(frozen=True)
class Learned:
    """What a run has learned.

    Attributes:
        graph: Encoder, projection head and both heads behind the served function.
        forest: The forest on the embeddings.
        calibration: Prediction sets and the distance to what was seen in training.
        predictions: Of every site, by the classifier, the forest and every baseline.
        embeddings: Of every site, `(num_sites, 1024)` float32.
        training_log: SimCLR's epochs; empty where the encoder is untrained by choice.
        encoder: Which encoder the graph holds, and why.
    """

    graph: ServedGraph
    forest: RandomForestClassifier
    calibration: Calibration
    predictions: Predictions
    embeddings: np.ndarray
    training_log: Sequence[EpochRow]
    encoder: EncoderChoice


def learn(
    cache: FieldCache,
    roles: np.ndarray,
    task: Task,
    recipe: Recipe,
    work: Path,
    console: Console,
    *,
    with_baselines: bool = True,
) -> Learned:
    """SimCLR, then the frozen encoder's embeddings, then heads, forest, calibration and the baselines.

    Where the recipe exports the untrained encoder, it takes the place of SimCLR's; where it exports the best, heads are
    fitted on both, and the choice is made on labelled sites that they had not seen.

    Test sites take part in nothing; validation sites in SimCLR, without labels, in deciding when the heads stop, and
    in the calibration.

    Args:
        cache: Pooled fields.
        roles: `train`, `validation`, `test` or `unused` of every site.
        task: Treatments and control.
        recipe: All numbers.
        work: Folder of checkpoints and logs; a killed run goes on from there, and what was learned there before from
            the same sites with the same numbers, in another fold or by another command, is taken from it.
        console: Where progress is shown.
        with_baselines: Whether to fit the baselines too.

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
    folds = cross_fit_folds(labelled.sites, labelled.rows["fitted"], task, seed=seed)
    folder = pretraining_folder(cache, unlabelled, recipe, work)
    wanted = recipe.encoder.export
    networks = (
        initial_networks(len(cache.stains), recipe)
        if wanted == "untrained"
        else _pretrained(cache, unlabelled, recipe, folder, console)
    )
    fields = FieldEncoder(networks.encoder)

    def encoded() -> _Encoded:
        with uncounted_step("Batch statistics of whole fields", console):
            fields.settle(cache, unlabelled, seed=seed)
        with step_bar("Embeddings", console) as on_site:
            embeddings = fields.embed(cache, np.arange(len(cache)), on_site=on_site)
        with uncounted_step("Heads", console):
            heads = fit_two_heads(labelled, embeddings, recipe.heads, seed=seed, folds=folds)
        return _Encoded(networks.encoder.get_weights(), embeddings, heads)

    chosen, choice = encoded(), EncoderChoice("untrained" if wanted == "untrained" else "trained", {})
    others: dict[str, ModelPredictions] = {}
    if wanted == "best":
        initial, trained = initial_networks(len(cache.stains), recipe), chosen
        with fields.wearing(initial.encoder.get_weights()):
            untrained = encoded()
        choice = choose_encoder(
            {"trained": trained.heads.held_out, "untrained": untrained.heads.held_out},
            cache.sites["treatment"].to_numpy(dtype=str),
            task.treatments,
        )
        console.print(choice.text, markup=False, highlight=False)
        others[UNTRAINED] = untrained.predict(labelled)
        if choice.exported == "untrained":
            networks.encoder.set_weights(untrained.weights)
            networks = SimclrNetworks(networks.encoder, initial.projection_head)
            chosen, others = untrained, {TRAINED: trained.predict(labelled)}
    settle_head_statistics(networks.projection_head, chosen.embeddings[unlabelled])
    heads, embeddings = chosen.heads, chosen.embeddings
    with uncounted_step("Forest and calibration", console):
        forest, by_forest = _forest(labelled, embeddings, recipe)
        calibration = calibrate(cache, labelled, roles, embeddings, heads, recipe.calibration, seed=seed)
    graph = ServedGraph(
        networks.encoder,
        networks.projection_head,
        heads.final.classifier,
        heads.final.versus_control,
        recipe.downsample,
    )
    predictions = Predictions({"classifier": chosen.predict(labelled), "forest": by_forest, **others})
    if with_baselines:
        baselines = Baselines(
            cache, labelled, unlabelled, fields, recipe, work, console, with_untrained=wanted == "trained"
        )
        predictions = predictions.joined(Predictions(baselines.predict()))
    log = [] if wanted == "untrained" else read_log(folder)
    return Learned(graph, forest, calibration, predictions, embeddings, log, choice)


@dataclass(frozen=True)
class _Encoded:
    """An encoder's settled weights, its embeddings of all sites, and the heads fitted on them."""

    weights: list[np.ndarray]
    embeddings: np.ndarray
    heads: FittedHeads

    def predict(self, labelled: Labelled) -> ModelPredictions:
        """Answers every site, the validation sites by heads that never saw them."""
        return self.heads.predict(self.embeddings, labelled.rows["validation"])


def _pretrained(
    cache: FieldCache, unlabelled: np.ndarray, recipe: Recipe, folder: Path, console: Console
) -> SimclrNetworks:
    batches = batches_of(cache, unlabelled, recipe)
    steps = steps_text(batches, len(unlabelled)) + known_text(folder, batches.num_epochs)
    console.print(f"SimCLR: {steps}", markup=False, highlight=False)
    with step_bar("SimCLR", console) as bar:
        return pretrain(cache, unlabelled, recipe, folder, on_step=paced("SimCLR", console, bar))


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
