"""The classifier head and the binary heads together: fitted, calibrated, fitted again, and asked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from scipy.special import expit, softmax

from phenotrain.evaluate import ModelPredictions
from phenotrain.heads import build_head, fit_head
from phenotrain.labelled import HeadData, Labelled, classifier_data, versus_control_data
from phenotrain.recipe import HeadsRecipe
from phenotrain.task import Task
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
class HeldOut:
    """What heads of the same recipe say of labelled sites that they never saw.

    Attributes:
        rows: Integer positions of the sites.
        probabilities: By the classifier, its temperature applied, `(len(rows), treatment)`.
    """

    rows: np.ndarray
    probabilities: np.ndarray


@dataclass(frozen=True)
class FittedHeads:
    """The heads to serve, and those that never saw a validation site.

    Attributes:
        final: Fitted on the sites `Labelled.rows["fitted"]`.
        trial: Fitted on the training sites; what is said of validation sites comes from them.
        temperature: What the final classifier's logits were divided by.
        held_out: What the temperature was found on, and prediction sets are: the labelled sites, each by heads fitted
            without its fold, or the validation sites by `trial` where there are no folds.
    """

    final: TwoHeads
    trial: TwoHeads
    temperature: float
    held_out: HeldOut

    def predict(self, embeddings: np.ndarray, validation: np.ndarray) -> ModelPredictions:
        """Answers every site, the validation sites by the heads that never saw them.

        Args:
            embeddings: Of every site, `(num_sites, 1024)`.
            validation: Rows of the validation sites.
        """
        return self.final.predict(embeddings).replaced(validation, self.trial.predict(embeddings[validation]))


def fit_two_heads(
    labelled: Labelled,
    embeddings: np.ndarray,
    recipe: HeadsRecipe,
    *,
    seed: int,
    folds: Sequence[np.ndarray] = (),
) -> FittedHeads:
    """Fits both heads on the training sites, sets the number of passes on the validation sites, fits again.

    Args:
        labelled: Which sites have a label to learn.
        embeddings: Of every site, `(num_sites, 1024)` float32.
        recipe: Width, dropout, rate and patience.
        seed: Seed of initial weights and shuffling.
        folds: Of the labelled sites, as `phenotrain.cross_fit.cross_fit_folds` deals them: temperatures are then found
            on all of them, each answered by heads that are fitted as often as there are folds. Only where the final
            heads are fitted on validation sites too.

    Returns:
        The calibrated heads.
    """
    task = labelled.task
    classifier, binary = (
        _fit(kind, labelled, embeddings, recipe, seed, folds)
        for kind in (
            _Kind("logits", len(task.treatments), classifier_data, fit_temperature),
            _Kind("versus_control", len(task.treated), versus_control_data, fit_binary_temperatures),
        )
    )
    return FittedHeads(
        final=TwoHeads(classifier.final, binary.final),
        trial=TwoHeads(classifier.trial, binary.trial),
        temperature=float(np.mean(classifier.temperatures)),
        held_out=HeldOut(classifier.rows, softmax(classifier.logits / classifier.temperatures, axis=1)),
    )


@dataclass(frozen=True)
class _Kind:
    """What tells the two heads apart: name, number of logits, what they learn from, how temperatures are found."""

    name: str
    num_outputs: int
    data_of: Callable[[pd.DataFrame, np.ndarray, np.ndarray, Task], HeadData]
    temperature_of: Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], float | np.ndarray]


@dataclass(frozen=True)
class _Fitted:
    """One head fitted: temperatures are folded in; `logits` of the held-out `rows` are before them."""

    final: keras.Model
    trial: keras.Model
    temperatures: np.ndarray
    rows: np.ndarray
    logits: np.ndarray


def _fit(
    kind: _Kind,
    labelled: Labelled,
    embeddings: np.ndarray,
    recipe: HeadsRecipe,
    seed: int,
    folds: Sequence[np.ndarray],
) -> _Fitted:
    def data(rows: np.ndarray) -> HeadData:
        return kind.data_of(labelled.sites, rows, embeddings, labelled.task)

    def untrained() -> keras.Model:
        keras.utils.set_random_seed(seed)
        return build_head(kind.num_outputs, recipe, name=kind.name)

    def fitted(rows: np.ndarray) -> keras.Model:
        head = untrained()
        fit_head(head, data(rows), None, recipe, seed=seed, num_epochs=num_epochs)
        return head

    def temperatures(logits: np.ndarray, rows: np.ndarray) -> np.ndarray:
        seen = data(rows)
        wells = labelled.sites["well_id"].to_numpy(dtype=str)[rows]
        return np.atleast_1d(kind.temperature_of(logits, seen.targets, seen.weights, wells))

    validation, everything = labelled.rows["validation"], labelled.rows["fitted"]
    trial = untrained()
    history = fit_head(trial, data(labelled.rows["train"]), data(validation), recipe, seed=seed)
    num_epochs = 1 + int(np.argmin([row["val_loss"] for row in history]))
    logits = _logits(trial, embeddings[validation])
    of_trial = temperatures(logits, validation)
    if not labelled.is_refitted:
        divide_logits(trial, of_trial)
        return _Fitted(trial, trial, of_trial, validation, logits)
    final, rows, of_final = fitted(everything), validation, of_trial
    if folds:
        rows = np.concatenate(folds)
        logits = np.concatenate(
            [_logits(fitted(np.setdiff1d(everything, fold)), embeddings[fold]) for fold in folds]
        )
        of_final = temperatures(logits, rows)
    divide_logits(trial, of_trial)
    divide_logits(final, of_final)
    return _Fitted(final, trial, of_final, rows, logits)


def _logits(head: keras.Model, embeddings: np.ndarray) -> np.ndarray:
    return head(tf.constant(embeddings), training=False).numpy()
