"""Prediction sets of a stated coverage, and how far a site may lie from those seen in training."""

import math
from typing import Final

import numpy as np

from phenoserve.bundle import (
    STAIN_POOLING,
    Calibration,
    CalibrationSpec,
    OutOfDistribution,
    PredictionSets,
    StainOrder,
    StainOrderSpec,
    describe_channels,
    neighbour_distances,
)
from phenotrain.cache import FieldCache
from phenotrain.labelled import Labelled
from phenotrain.recipe import CalibrationRecipe
from phenotrain.two_heads import FittedHeads

MAX_COMPONENTS: Final = 256
"""Most components that distances are taken in."""

_SHRINKAGE: Final = 0.1
"""Weight of the identity in the covariance of the stains' descriptions, which few sites leave uncertain."""


def calibrate(
    cache: FieldCache,
    labelled: Labelled,
    roles: np.ndarray,
    embeddings: np.ndarray,
    heads: FittedHeads,
    recipe: CalibrationRecipe,
    *,
    seed: int,
) -> Calibration:
    """Sets thresholds on labelled sites as seen by heads that did not learn from them; test sites are not looked at.

    Where there are folds, thresholds are pooled over them and applied to one model that learned from all labelled
    sites: those of heads that saw half of them would be too low, the sets too large. Nothing guarantees the coverage of
    such sets (the bound of Barber et al. 2021 is for sets that ask every fold's model about a new site, and the number
    of passes and the temperature come from the same labels); the report counts it on the test sites.

    Args:
        cache: Pooled fields, which the stains are described on.
        labelled: Which sites have a label.
        roles: `train`, `validation`, `test` or `unused` of every site.
        embeddings: Of every site, `(num_sites, 1024)` float32.
        heads: The fitted heads, with what they say of sites held out from them.
        recipe: Coverage, neighbours and false-positive rate.
        seed: Seed of the draw of reference sites.

    Returns:
        What the bundle holds.
    """
    treatments = labelled.task.treatments
    names = labelled.sites["treatment"].to_numpy(dtype=str)[heads.held_out.rows]
    thresholds = {
        name: conformal_threshold(heads.held_out.probabilities[names == name, index], recipe.coverage)
        for index, name in enumerate(treatments)
    }
    train = np.flatnonzero(roles == "train")
    mean, whitening = whitening_of(embeddings[train])
    rng = np.random.default_rng(seed)
    kept = np.sort(rng.permutation(train)[: recipe.max_references])
    reference = ((embeddings[kept] - mean) @ whitening).astype(np.float32)
    is_control = (labelled.sites["treatment"] == labelled.task.control).to_numpy(dtype=bool)
    controls = np.flatnonzero((roles == "validation") & is_control)
    num_neighbours = min(recipe.num_neighbours, len(reference))
    distances = np.sort(
        neighbour_distances(
            embeddings[controls],
            mean=mean,
            whitening=whitening,
            reference=reference,
            num_neighbours=num_neighbours,
        )
    )
    stains = None
    if len(cache.stains) > 1 and len(kept) > 1:
        stains = fit_stain_order(_descriptions(cache, kept))
    # Both tests together flag what one alone would.
    rate = recipe.false_positive_rate / (1 if stains is None else 2)
    spec = CalibrationSpec(
        temperature=heads.temperature,
        prediction_sets=PredictionSets(
            coverage=recipe.coverage,
            thresholds=thresholds,
            num_sites={name: int((names == name).sum()) for name in treatments},
        ),
        out_of_distribution=OutOfDistribution(
            num_neighbours=num_neighbours,
            num_components=whitening.shape[1],
            max_distance=upper_quantile(distances, 1 - rate),
            false_positive_rate=rate,
            num_references=len(reference),
            num_control_sites=len(distances),
        ),
        stain_order=None
        if stains is None
        else _stain_order_spec(
            stains,
            _descriptions(cache, np.sort(rng.permutation(controls)[: recipe.max_references])),
            num_sites=len(kept),
            rate=rate,
        ),
    )
    return Calibration(
        spec=spec,
        mean=mean,
        whitening=whitening,
        reference=reference,
        control_distances=distances,
        stain_order=stains,
    )


def fit_stain_order(descriptions: np.ndarray) -> StainOrder:
    """Learns what every stain looks like.

    Args:
        descriptions: Of training sites, `(num_sites, channel, descriptor)`, at least two sites.

    Returns:
        Mean description of every stain, and the whitening by the covariance within stains: that of the numbers, each
        scaled to unit variance, shrunk towards the identity by a tenth.
    """
    mean = descriptions.mean(axis=0)
    residuals = (descriptions - mean).reshape(-1, descriptions.shape[2])
    spread = residuals.std(axis=0)
    # A number that hardly varies is not divided by its tiny spread.
    spread = np.maximum(spread, max(0.05 * float(np.median(spread)), 1e-6))
    scaled = residuals / spread
    covariance = (1 - _SHRINKAGE) * scaled.T @ scaled / len(scaled) + _SHRINKAGE * np.eye(len(spread))
    variances, directions = np.linalg.eigh(covariance)
    return StainOrder(mean=mean, whitening=directions / np.sqrt(variances) / spread[:, np.newaxis])


def _descriptions(cache: FieldCache, rows: np.ndarray) -> np.ndarray:
    return np.stack([describe_channels(cache.read([row])[0], STAIN_POOLING) for row in rows])


def _stain_order_spec(
    stains: StainOrder, controls: np.ndarray, *, num_sites: int, rate: float
) -> StainOrderSpec:
    mismatches = np.sort([stains.mismatch(description).value for description in controls])
    return StainOrderSpec(
        max_mismatch=upper_quantile(mismatches, 1 - rate),
        false_positive_rate=rate,
        num_sites=num_sites,
        num_control_sites=len(mismatches),
    )


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


def whitening_of(embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Principal components of the standardised embeddings, each scaled to unit variance.

    Few components carry most of the variance, and foreign sites differ in others: with all numbers merely
    standardised, the distance hardly sees those. Components beyond half the number of sites are noise.

    Args:
        embeddings: Of training sites, `(num_sites, 1024)`, at least two.

    Returns:
        Their mean `(1024,)`, and the matrix `(1024, num_components)` that whitens what is left; both float32.
    """
    mean, deviation = embeddings.mean(axis=0), embeddings.std(axis=0)
    # A number that hardly varies in training is not divided by its tiny deviation.
    deviation = np.maximum(deviation, max(0.05 * float(np.median(deviation)), 1e-6))
    num_components = min(MAX_COMPONENTS, max(1, len(embeddings) // 2))
    standardised = ((embeddings - mean) / deviation).astype(np.float64)
    _, singular, directions = np.linalg.svd(standardised, full_matrices=False)
    spread = singular[:num_components] / np.sqrt(len(embeddings))
    # Sites without differences have no directions; what is left of the spread is rounding.
    spread = np.maximum(spread, 1e-3 * max(float(spread[0]), 1e-6))
    whitening = directions[:num_components].T / spread / deviation[:, np.newaxis]
    return mean.astype(np.float32), whitening.astype(np.float32)
