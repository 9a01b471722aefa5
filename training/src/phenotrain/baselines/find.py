"""All baselines of a run, as predictions of every site."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from rich.console import Console

from phenotrain.baselines.fields import measure_sites
from phenotrain.baselines.linear import fit_logistic
from phenotrain.baselines.published import published_embeddings
from phenotrain.cache import FieldCache
from phenotrain.embed import FieldEncoder
from phenotrain.evaluate import ModelPredictions
from phenotrain.evaluate.predictions import INTENSITY, MAJORITY, RXRX2_EMBEDDINGS, SUPERVISED, UNTRAINED
from phenotrain.labelled import Labelled
from phenotrain.pace import paced
from phenotrain.progress import step_bar, uncounted_step
from phenotrain.recipe import Recipe
from phenotrain.simclr import batches_of, initial_networks
from phenotrain.supervised import train_supervised
from phenotrain.two_heads import fit_two_heads


@dataclass(frozen=True)
class Baselines:
    """Fits what a result has to beat, on the very sites that the model learned from.

    Attributes:
        cache: Pooled fields.
        labelled: Which sites have a label to learn.
        unlabelled: Rows that SimCLR saw.
        fields: An encoder of the recipe, to lend its traced functions to other weights.
        recipe: The recipe of the model; the baselines that are encoders follow it.
        work: Folder of checkpoints.
        console: Where progress is shown.
        with_untrained: Whether the untrained encoder is a baseline; not where it is the exported one, or measured.
    """

    cache: FieldCache
    labelled: Labelled
    unlabelled: np.ndarray
    fields: FieldEncoder
    recipe: Recipe
    work: Path
    console: Console
    with_untrained: bool = True

    def predict(self) -> dict[str, ModelPredictions]:
        """Fits all of them.

        Returns:
            Predictions by the name of the baseline, validation sites by models that never saw their labels, NaN for
            sites of treatments that are not learned: the most frequent class; logistic regression on mean, deviation
            and quantiles of every stain and on number and area of nuclei; the recipe's heads on the encoder's initial
            weights; the recipe's heads on an encoder trained from the labels of the training sites; logistic
            regression on `embeddings.csv` where the screen has one.
        """
        found = {
            MAJORITY: self._majority(),
            INTENSITY: self._linear(self._of_known("Intensities and nuclei", self._measure)),
        }
        if self.recipe.baselines.encoders and self.with_untrained:
            found[UNTRAINED] = self._on_encoder(self._initial_encoder(), UNTRAINED)
        if self.recipe.baselines.encoders:
            found[SUPERVISED] = self._on_encoder(self._supervised_encoder(), SUPERVISED)
        published = published_embeddings(self.cache.meta.data_root, self.cache.sites)
        if published is not None:
            found[RXRX2_EMBEDDINGS] = self._linear(published)
        return found

    def _majority(self) -> ModelPredictions:
        fitted, train = (self._shares(role) for role in ("fitted", "train"))
        rows = self.labelled.rows["validation"]
        everywhere = ModelPredictions(np.tile(fitted, (len(self.cache), 1)))
        return everywhere.replaced(rows, ModelPredictions(np.tile(train, (len(rows), 1))))

    def _shares(self, role: str) -> np.ndarray:
        targets = self.labelled.classes(role, np.empty((len(self.cache), 0))).targets
        return np.bincount(targets, minlength=self._num_classes) / len(targets)

    def _linear(self, features: np.ndarray) -> ModelPredictions:
        train, validation, fitted = (
            self.labelled.classes(role, features) for role in ("train", "validation", "fitted")
        )
        models = fit_logistic(train, validation, fitted, self._num_classes)
        known, rows = self._known, self.labelled.rows["validation"]
        probabilities = np.full((len(self.cache), self._num_classes), np.nan)
        probabilities[known] = models.final.predict_proba(features[known])
        probabilities[rows] = models.trial.predict_proba(features[rows])
        return ModelPredictions(probabilities)

    def _on_encoder(self, encoder: keras.Model, name: str) -> ModelPredictions:
        with self.fields.wearing(encoder.get_weights()):
            with uncounted_step(f"Batch statistics of the {name}", self.console):
                self.fields.settle(self.cache, self.unlabelled, seed=self.recipe.seed)
            embeddings = self._of_known(
                f"Embeddings of the {name}",
                lambda rows, on_site: self.fields.embed(self.cache, rows, on_site=on_site),
            )
        heads = fit_two_heads(self.labelled, embeddings, self.recipe.heads, seed=self.recipe.seed)
        return heads.predict(embeddings, self.labelled.rows["validation"])

    def _initial_encoder(self) -> keras.Model:
        return initial_networks(len(self.cache.stains), self.recipe).encoder

    def _supervised_encoder(self) -> keras.Model:
        # Not on the sites "fitted": the validation sites stop and calibrate the heads, so no part of what answers them
        # may have seen their labels.
        train = self.labelled.classes("train", np.empty((len(self.cache), 0)))
        title, num_steps = f"{SUPERVISED.capitalize()} (baseline)", self._num_steps
        self.console.print(f"{title}: {num_steps} steps", highlight=False)
        with step_bar(title, self.console) as bar:
            return train_supervised(
                self.cache,
                self.labelled.rows["train"],
                train.targets,
                train.weights,
                self.recipe,
                self.work / "supervised",
                num_steps=num_steps,
                on_step=paced(title, self.console, bar),
            )

    @property
    def _num_steps(self) -> int:
        return batches_of(self.cache, self.unlabelled, self.recipe).num_steps_in_all

    def _measure(self, rows: np.ndarray, on_site: Callable[[int, int], None]) -> np.ndarray:
        return measure_sites(self.cache, rows, on_site)

    def _of_known(
        self, title: str, compute: Callable[[np.ndarray, Callable[[int, int], None]], np.ndarray]
    ) -> np.ndarray:
        """Computes numbers of the sites whose treatment is learned; the others stay NaN."""
        with step_bar(title, self.console) as on_site:
            values = compute(self._known, on_site)
        spread = np.full((len(self.cache), values.shape[1]), np.nan, values.dtype)
        spread[self._known] = values
        return spread

    @property
    def _known(self) -> np.ndarray:
        return np.flatnonzero(self.cache.sites["treatment"].isin(self.labelled.task.treatments))

    @property
    def _num_classes(self) -> int:
        return len(self.labelled.task.treatments)
