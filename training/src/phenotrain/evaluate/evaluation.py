"""Scores answers on held-out sites: all classes at once, and each treatment against same-plate controls."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from phenotrain.evaluate.classification import classify
from phenotrain.evaluate.comparison import same_plate_auroc
from phenotrain.evaluate.metrics import Comparison, Metrics, RoleMetrics
from phenotrain.evaluate.predictions import CLASSIFIER, Predictions
from phenotrain.evaluate.units import Units, collect, held_out, scored_sites


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
    """Score the predictions on the test and on the validation sites.

    Classes are told apart on the top doses of each treatment and the controls on those doses' plates; where a
    role would then miss a class, all its doses are scored, and `num_top_doses` of that role says 0.

    Args:
        sites: Sites table.
        roles: `train`, `validation` or `test`, `(num_sites,)`.
        treatments: Classes in logit order, the control among them.
        control: Name of the control.
        predictions: Row i for row i of `sites`. Rows of the training role are not looked at.
        num_top_doses: Doses of each treatment that make up the headline; 0 for all.
        seed: Seed of bootstrap and permutations.
        simulated: Whether the images are simulated; the headline then says so.

    Returns:
        The metrics of both roles.

    Raises:
        ValueError: If shapes do not fit, a scored prediction is not finite, or a role misses a class.
    """
    classes = tuple(treatments)
    _require_shapes(sites, roles, classes, control, predictions)
    return Metrics(
        treatments=classes,
        control=control,
        chance=1 / len(classes),
        simulated=simulated,
        test=_evaluate_role(sites, roles == "test", classes, control, predictions, num_top_doses, seed),
        validation=_evaluate_role(
            sites, roles == "validation", classes, control, predictions, num_top_doses, seed
        ),
    )


def _evaluate_role(
    sites: pd.DataFrame,
    in_role: np.ndarray,
    classes: tuple[str, ...],
    control: str,
    predictions: Predictions,
    num_top_doses: int,
    seed: int,
) -> RoleMetrics:
    rng = np.random.default_rng(seed)
    is_scored, num_top_doses = scored_sites(sites, in_role, classes, control, num_top_doses)
    labelled = in_role & sites["treatment"].isin(classes).to_numpy(dtype=bool)
    top = [collect(sites, is_scored, predictions, level) for level in ("site", "well")]
    everything = collect(sites, labelled, predictions, "well")
    class_of = {name: index for index, name in enumerate(classes)}
    return RoleMetrics(
        held_out=held_out(sites, in_role),
        num_top_doses=num_top_doses,
        num_sites=len(top[0].labels),
        num_wells=len(top[1].labels),
        classification=tuple(
            classify(
                model,
                units.level,
                found.probabilities,
                _codes(units.labels, class_of),
                units.wells,
                units.plates,
                rng,
            )
            for units in top
            for model, found in units.predictions.models.items()
        ),
        versus_control=tuple(
            _compare(units, model, treatment, None, scores, control, rng)
            for units in top
            for model, treatment, scores in units.scores(classes, control)
        ),
        by_dose=tuple(
            _compare(everything, model, treatment, float(dose), scores, control, rng)
            for model, treatment, scores in everything.scores(classes, control)
            for dose in np.unique(everything.doses[everything.labels == treatment])
            if np.isfinite(dose)
        ),
    )


def _codes(labels: np.ndarray, class_of: dict[str, int]) -> np.ndarray:
    return np.array([class_of[label] for label in labels])


def _compare(
    units: Units,
    model: str,
    treatment: str,
    dose: float | None,
    scores: np.ndarray,
    control: str,
    rng: np.random.Generator,
) -> Comparison:
    is_treated = units.labels == treatment
    if dose is not None:
        is_treated &= units.doses == dose
    chosen = is_treated | (units.labels == control)
    found = same_plate_auroc(
        scores[chosen], is_treated[chosen], units.wells[chosen], units.plates[chosen], rng
    )
    return Comparison(
        model=model,
        level=units.level,
        treatment=treatment,
        dose=dose,
        num_units=found.num_units,
        num_unmatched=found.num_unmatched,
        num_controls=found.num_controls,
        auroc=found.auroc,
        interval=found.interval,
    )


def _require_shapes(
    sites: pd.DataFrame,
    roles: np.ndarray,
    classes: tuple[str, ...],
    control: str,
    predictions: Predictions,
) -> None:
    if control not in classes:
        raise ValueError(
            f"Expected the control {control!r} among the classes. Received: {list(classes)}. "
            "Pass the bundle's treatments in logit order."
        )
    num_classes = len(classes)
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
