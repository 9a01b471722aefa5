"""One model's metrics over all classes on one set of wells, with interval, chance and p."""

from dataclasses import dataclass

import numpy as np

from phenotrain.evaluate.class_metrics import WellSums
from phenotrain.evaluate.comparison import Ranked, compare, macro
from phenotrain.evaluate.draws import NUM_PERMUTATIONS_FOR_CHANCE, Draws
from phenotrain.evaluate.estimates import METRICS, Estimate, MetricName, estimate
from phenotrain.evaluate.metrics import Classification
from phenotrain.evaluate.predictions import ModelPredictions
from phenotrain.evaluate.units import Level, Wells


@dataclass(frozen=True)
class Classified:
    """A classification, each treatment against its controls, and the replicates that differences need.

    Attributes:
        classification: What the report shows.
        versus_control: One a treatment, in logit order.
        balanced_accuracies: Of every bootstrap draw, `(1 + NUM_DRAWS,)`.
    """

    classification: Classification
    versus_control: list[Ranked]
    balanced_accuracies: np.ndarray


def classify(
    model: str,
    level: Level,
    dose_rank: int | None,
    found: ModelPredictions,
    wells: Wells,
    draws: Draws,
    classes: tuple[str, ...],
    control: str,
) -> Classified:
    """Compute every metric of one model.

    Args:
        model: Name of the model.
        level: Whether a unit is a site or a well.
        dose_rank: The dose rank that the wells have, None for several together.
        found: Predictions of every unit.
        wells: The wells that units belong to; every class occurs.
        draws: Resampling of those wells.
        classes: In logit order.
        control: The control among them.
    """
    well_of = wells.unit_wells(level)
    smallest_class = int(np.bincount(wells.codes, minlength=len(classes)).min())
    num_classes, code_of_control = len(classes), classes.index(control)
    sums = WellSums(found.probabilities, well_of, len(wells))
    labels = range(num_classes)
    drawn = sums.metrics([draws.counts * (wells.codes == label) for label in labels])
    permuted = draws.permuted if dose_rank is None else draws.permuted[:NUM_PERMUTATIONS_FOR_CHANCE]
    relabelled = wells.codes[draws.permuted[:NUM_PERMUTATIONS_FOR_CHANCE]]
    chance = sums.metrics([(relabelled == label).astype(float) for label in labels])
    if dose_rank is None:
        chance["balanced_accuracy"] = sums.balanced_accuracies(wells.codes[permuted])
    estimates: dict[MetricName, Estimate | None] = {
        name: estimate(name, drawn[name], chance[name], smallest_class) for name in drawn
    }
    treated = [code for code in labels if code != code_of_control]
    scores = found.treated_scores(code_of_control)
    ranked = [
        compare(model, level, scores[:, column], wells, draws, classes[code], (code, code_of_control))
        for column, code in enumerate(treated)
    ]
    estimates["auroc"], estimates["average_precision"] = macro(ranked)
    true, predicted = wells.codes[well_of], found.probabilities.argmax(axis=1)
    confusion = np.zeros((num_classes, num_classes), dtype=int)
    np.add.at(confusion, (true, predicted), 1)
    return Classified(
        Classification(
            model=model,
            level=level,
            dose_rank=dose_rank,
            num_units=len(true),
            accuracy=float((predicted == true).mean()),
            estimates={name: estimates[name] for name in METRICS},
            p_value=permutation_p(drawn["balanced_accuracy"][0], chance["balanced_accuracy"]),
            smallest_p=permutation_p(1.0, (wells.codes[permuted] == wells.codes).all(axis=1).astype(float)),
            confusion=tuple(tuple(int(count) for count in row) for row in confusion),
        ),
        ranked,
        drawn["balanced_accuracy"],
    )


def permutation_p(observed: float, permuted: np.ndarray) -> float:
    """One-sided p: `(1 + permutations at least as good) / (1 + permutations)` (Phipson and Smyth 2010)."""
    return float((1 + (permuted >= observed - 1e-9).sum()) / (1 + len(permuted)))
