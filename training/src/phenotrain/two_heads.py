"""The classifier head and the binary heads together: fitted, calibrated, fitted again, and asked."""

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from scipy.special import expit, softmax

from phenotrain.evaluate import ModelPredictions
from phenotrain.heads import build_head, fit_head
from phenotrain.labelled import Labelled
from phenotrain.recipe import HeadsRecipe
from phenotrain.temperature import divide_logits, fit_binary_temperatures, fit_temperature


@dataclass(frozen=True)
class TwoHeads:
    """Heads on embeddings, their temperatures folded in.

    Attributes:
        classifier: Embeddings `(site, 1024)` to the logits of all treatments.
        versus_control: Embeddings to one logit a treatment without the control.
    """

    classifier: keras.Model
    versus_control: keras.Model

    def predict(self, embeddings: np.ndarray) -> ModelPredictions:
        """Answers `(num_sites, 1024)` embeddings with probabilities."""
        logits, versus_control = (
            head(tf.constant(embeddings), training=False).numpy()
            for head in (self.classifier, self.versus_control)
        )
        return ModelPredictions(softmax(logits, axis=1), expit(versus_control))


@dataclass(frozen=True)
class FittedHeads:
    """The heads to serve, and those that never saw a validation site.

    Attributes:
        final: Fitted on the sites `Labelled.rows["fitted"]`.
        trial: Fitted on the training sites; what is said of validation sites comes from them.
        temperature: What the classifiers' logits were divided by, found on the validation sites with `trial`.
    """

    final: TwoHeads
    trial: TwoHeads
    temperature: float

    def predict(self, embeddings: np.ndarray, validation: np.ndarray) -> ModelPredictions:
        """Answers every site, the validation sites by the heads that never saw them.

        Args:
            embeddings: Of every site, `(num_sites, 1024)`.
            validation: Rows of the validation sites.
        """
        return self.final.predict(embeddings).replaced(validation, self.trial.predict(embeddings[validation]))


def fit_two_heads(
    labelled: Labelled, embeddings: np.ndarray, recipe: HeadsRecipe, *, seed: int
) -> FittedHeads:
    """Fits both heads on the training sites, sets passes and temperatures on the validation sites, fits again.

    Args:
        labelled: Which sites have a label to learn.
        embeddings: Of every site, `(num_sites, 1024)` float32.
        recipe: Width, dropout, rate and patience.
        seed: Seed of initial weights and shuffling.

    Returns:
        The calibrated heads.
    """
    found: list[tuple[keras.Model, keras.Model, float]] = []
    for name, num_outputs, data in (
        ("logits", len(labelled.task.treatments), labelled.classes),
        ("versus_control", len(labelled.task.treated), labelled.versus_control),
    ):
        keras.utils.set_random_seed(seed)
        trial = build_head(num_outputs, recipe, name=name)
        train, validation = data("train", embeddings), data("validation", embeddings)
        history = fit_head(trial, train, validation, recipe, seed=seed)
        final = trial
        if labelled.is_refitted:
            num_epochs = 1 + int(np.argmin([row["val_loss"] for row in history]))
            keras.utils.set_random_seed(seed)
            final = build_head(num_outputs, recipe, name=name)
            fit_head(final, data("fitted", embeddings), None, recipe, seed=seed, num_epochs=num_epochs)
        logits = trial(tf.constant(validation.embeddings), training=False).numpy()
        temperatures = (fit_temperature if name == "logits" else fit_binary_temperatures)(
            logits, validation.targets, validation.weights
        )
        for head in {id(final): final, id(trial): trial}.values():
            divide_logits(head, temperatures)
        found.append((final, trial, float(np.mean(temperatures))))
    (final_classifier, trial_classifier, temperature), (final_binary, trial_binary, _) = found
    return FittedHeads(
        TwoHeads(final_classifier, final_binary), TwoHeads(trial_classifier, trial_binary), temperature
    )
