"""Prediction sets of a stated coverage, and how far a site may lie from those seen in training."""

import math

import numpy as np

from phenoserve.bundle import (
    Calibration,
    CalibrationSpec,
    OutOfDistribution,
    PredictionSets,
    neighbour_distances,
)
from phenotrain.labelled import Labelled
from phenotrain.recipe import CalibrationRecipe
from phenotrain.two_heads import FittedHeads


def calibrate(
    labelled: Labelled,
    roles: np.ndarray,
    embeddings: np.ndarray,
    heads: FittedHeads,
    recipe: CalibrationRecipe,
    *,
    seed: int,
) -> Calibration:
    """Sets thresholds on the validation sites; test sites are not looked at.

    Args:
        labelled: Which sites have a label.
        roles: `train`, `validation`, `test` or `unused` of every site.
        embeddings: Of every site, `(num_sites, 1024)` float32.
        heads: The fitted heads; thresholds rest on those that never saw a validation site.
        recipe: Coverage, neighbours and false-positive rate.
        seed: Seed of the draw of reference sites.

    Returns:
        What the bundle holds.
    """
    validation = labelled.classes("validation", embeddings)
    probabilities = heads.trial.predict(validation.embeddings).probabilities
    treatments = labelled.task.treatments
    thresholds = {
        name: conformal_threshold(probabilities[validation.targets == index, index], recipe.coverage)
        for index, name in enumerate(treatments)
    }
    train = np.flatnonzero(roles == "train")
    mean, scale = embedding_scale(embeddings[train])
    kept = np.random.default_rng(seed).permutation(train)[: recipe.max_references]
    reference = ((embeddings[np.sort(kept)] - mean) / scale).astype(np.float32)
    is_control = (labelled.sites["treatment"] == labelled.task.control).to_numpy(dtype=bool)
    num_neighbours = min(recipe.num_neighbours, len(reference))
    distances = np.sort(
        neighbour_distances(
            embeddings[(roles == "validation") & is_control],
            mean=mean,
            scale=scale,
            reference=reference,
            num_neighbours=num_neighbours,
        )
    )
    spec = CalibrationSpec(
        temperature=heads.temperature,
        prediction_sets=PredictionSets(
            coverage=recipe.coverage,
            thresholds=thresholds,
            num_sites={
                name: int((validation.targets == index).sum()) for index, name in enumerate(treatments)
            },
        ),
        out_of_distribution=OutOfDistribution(
            num_neighbours=num_neighbours,
            max_distance=upper_quantile(distances, 1 - recipe.false_positive_rate),
            false_positive_rate=recipe.false_positive_rate,
            num_references=len(reference),
            num_control_sites=len(distances),
        ),
    )
    return Calibration(spec=spec, mean=mean, scale=scale, reference=reference, control_distances=distances)


def conformal_threshold(probabilities: np.ndarray, coverage: float) -> float:
    """Least probability with which a treatment belongs to the prediction set (Sadinle et al. 2019, class-conditional).

    With n validation sites of the treatment, whose probabilities of it are exchangeable with a new site's, the new
    site's is at least the k-th smallest, k = floor((n + 1) (1 - coverage)), with a probability of at least `coverage`.

    Args:
        probabilities: Of the true treatment, on the validation sites of that treatment, `(n,)`.
        coverage: Between 0 and 1.

    Returns:
        The threshold; 0, which every site reaches, when n is too small for the coverage.
    """
    rank = math.floor((len(probabilities) + 1) * (1 - coverage) + 1e-9)
    return float(np.sort(probabilities)[rank - 1]) if rank >= 1 else 0.0


def upper_quantile(ordered: np.ndarray, share: float) -> float:
    """Smallest of the ascending values that a new one stays below with a probability of at least `share`.

    The largest where there are too few for that.
    """
    rank = math.ceil((len(ordered) + 1) * share - 1e-9)
    return float(ordered[min(rank, len(ordered)) - 1])


def embedding_scale(embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of every number of the embedding, float32; no deviation is nearly zero."""
    mean, deviation = embeddings.mean(axis=0), embeddings.std(axis=0)
    floor = max(0.05 * float(np.median(deviation)), 1e-6)
    return mean.astype(np.float32), np.maximum(deviation, floor).astype(np.float32)
