"""Scores answers on held-out sites: all classes at once, and each treatment against same-plate controls."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from phenotrain.doses import dose_rank
from phenotrain.evaluate.confounding import confounding
from phenotrain.evaluate.difference import Answers
from phenotrain.evaluate.metrics import Metrics
from phenotrain.evaluate.predictions import CLASSIFIER, Predictions
from phenotrain.evaluate.scoring import Scorer
from phenotrain.evaluate.units import Wells, scored_sites


def evaluate(
    sites: pd.DataFrame,
    roles: np.ndarray,
    treatments: Sequence[str],
    control: str,
    predictions: Predictions,
    *,
    num_top_doses: int,
    seed: int,
    simulated: bool = False,
) -> Metrics:
    """Score the predictions of every model on the test and on the validation sites.

    Classes are told apart on the top doses of each treatment and the controls on those doses' plates; where a
    role would then miss a class, all its doses are scored, and `num_top_doses` of that role says 0. They are
    also told apart at each dose rank by itself, with the controls on its plates.

    Args:
        sites: Sites table.
        roles: `train`, `validation`, `test` or `unused`, `(num_sites,)`.
        treatments: Classes in logit order, the control among them.
        control: Name of the control.
        predictions: Row i for row i of `sites`. Rows of other roles than test and validation are not looked at.
        num_top_doses: Doses of each treatment that make up the headline; 0 for all.
        seed: Seed of bootstrap and permutations.
        simulated: Whether the images are simulated; the headline then says so.

    Returns:
        The metrics of both roles; of the validation role only where some site has it.

    Raises:
        ValueError: If shapes do not fit, there is no classifier, a scored prediction is not finite, or a role
            misses a class.
    """
    classes = tuple(treatments)
    _require_shapes(sites, roles, classes, control, predictions)
    scorer = Scorer(sites, classes, control, predictions, num_top_doses, seed)
    return Metrics(
        treatments=classes,
        control=control,
        simulated=simulated,
        test=scorer.role(roles == "test"),
        validation=scorer.role(roles == "validation") if (roles == "validation").any() else None,
        confounded=confounding(sites, roles, classes, control),
    )


def answers_at_wells(
    sites: pd.DataFrame,
    roles: np.ndarray,
    treatments: Sequence[str],
    control: str,
    predictions: Predictions,
    *,
    num_top_doses: int,
    model: str = CLASSIFIER,
) -> Answers:
    """Collect what a model answers for the test wells that the headline rests on.

    Args:
        sites: Sites table.
        roles: Role of every site, `(num_sites,)`.
        treatments: Classes in logit order, the control among them.
        control: Name of the control.
        predictions: Row i for row i of `sites`.
        num_top_doses: Doses of each treatment that make up the headline; 0 for all.
        model: Name of the model.

    Returns:
        Predicted and true treatment of every well, for `balanced_accuracy_difference`.
    """
    classes = tuple(treatments)
    chosen, _ = scored_sites(
        sites, roles == "test", classes, control, dose_rank(sites, control), num_top_doses
    )
    wells = Wells.among(sites, chosen, classes)
    found = wells.unit_predictions(predictions[model], model, "well")
    names = np.empty(len(wells), dtype=object)
    names[wells.well_of] = sites["well_id"].to_numpy(dtype=str)[wells.rows]
    labels = np.array(classes)
    return Answers(labels[found.probabilities.argmax(axis=1)], labels[wells.codes], names.astype(str))


def _require_shapes(
    sites: pd.DataFrame,
    roles: np.ndarray,
    classes: tuple[str, ...],
    control: str,
    predictions: Predictions,
) -> None:
    num_classes = len(classes)
    if control not in classes:
        raise ValueError(
            f"Expected the control {control!r} among the classes. Received: {list(classes)}. "
            "Pass the bundle's treatments in logit order."
        )
    if CLASSIFIER not in predictions.models:
        raise ValueError(
            f"Expected predictions of a model called {CLASSIFIER!r}, which the headline is about. "
            f"Received: {', '.join(predictions) or 'none'}."
        )
    for model, found in predictions.models.items():
        for name, array, width in (
            ("probabilities", found.probabilities, num_classes),
            ("versus_control", found.versus_control, num_classes - 1),
        ):
            if array is not None and array.shape != (len(sites), width):
                raise ValueError(
                    f"Expected {name} of {model!r} of shape {(len(sites), width)}, one row a site. "
                    f"Received: {array.shape}."
                )
    if roles.shape != (len(sites),):
        raise ValueError(f"Expected roles of shape {(len(sites),)}. Received: {roles.shape}.")
