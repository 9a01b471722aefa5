"""Logistic regression on any numbers a site, the strength of its penalty chosen on the validation sites."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from phenotrain.labelled import HeadData

STRENGTHS: Final = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Inverse penalties that are tried."""


@dataclass(frozen=True)
class Logistic:
    """A regression fitted on all labelled sites, and one that never saw the validation sites."""

    final: Pipeline
    trial: Pipeline


def fit_logistic(train: HeadData, validation: HeadData, fitted: HeadData, num_classes: int) -> Logistic:
    """Fits on the training sites, chooses the penalty on the validation sites, fits again.

    Args:
        train: Features `(num_sites, feature)`, classes and weights to learn from.
        validation: The same to choose the penalty on, by weighted log loss.
        fitted: The same to fit the chosen one on.
        num_classes: Number of classes; every one is among the targets.

    Returns:
        Both regressions; `predict_proba` gives `(num_sites, num_classes)`.
    """

    def loss(model: Pipeline) -> float:
        return log_loss(
            validation.targets,
            model.predict_proba(validation.embeddings),
            sample_weight=validation.weights,
            labels=np.arange(num_classes),
        )

    trials = {strength: _fitted(train, strength) for strength in STRENGTHS}
    best = min(trials, key=lambda strength: loss(trials[strength]))
    return Logistic(_fitted(fitted, best), trials[best])


def _fitted(train: HeadData, strength: float) -> Pipeline:
    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000))
    return model.fit(train.embeddings, train.targets, logisticregression__sample_weight=train.weights)
