"""Prediction sets of a stated coverage, and how far a site may lie from those seen in training.

What n exchangeable values cannot carry is not given. Sites of a well share its cells, its treatment and its place, so
that they are exchangeable with one another but not with a site of another well: the least number counts wells (Dunn,
Wasserman and Ramdas 2023, "Distribution-free prediction sets for two-layer hierarchical models").
"""

import math
from collections.abc import Sequence
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
    least_number,
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
    of_site = labelled.sites["treatment"].to_numpy(dtype=str)
    wells = labelled.sites["well_id"].to_numpy(dtype=str)
    train = np.flatnonzero(roles == "train")
    mean, whitening = whitening_of(embeddings[train])
    rng = np.random.default_rng(seed)
    kept = np.sort(rng.permutation(train)[: recipe.max_references])
    reference = ((embeddings[kept] - mean) @ whitening).astype(np.float32)
    # A treatment's phenotype is in distribution as the controls are, so the limits are those of all that was learned.
    validation = np.flatnonzero((roles == "validation") & np.isin(of_site, treatments))
    num_neighbours = min(recipe.num_neighbours, len(reference))
    distances = neighbour_distances(
        embeddings[validation],
        mean=mean,
        whitening=whitening,
        reference=reference,
        num_neighbours=num_neighbours,
    )
    num_wells = len(np.unique(wells[validation]))
    # Both tests together flag what one alone would. Where wells are too few to share the rate, the distance has it
    # alone: it sees every kind of strangeness, the order of the stains only one.
    shared = recipe.false_positive_rate / 2
    has_order = len(cache.stains) > 1 and len(kept) > 1 and num_wells >= least_number(shared)
    rate = shared if has_order else recipe.false_positive_rate
    stains, stain_order = None, None
    if has_order:
        described = _drawn_from_each(train, of_site, treatments, recipe.max_references, rng)
        stains = fit_stain_order(_descriptions(cache, described), of_site[described], treatments)
        judged = np.sort(rng.permutation(validation)[: recipe.max_references])
        stain_order = _stain_order_spec(
            stains, _descriptions(cache, judged), num_sites=len(described), rate=rate
        )
    is_enough = num_wells >= least_number(rate)
    spec = CalibrationSpec(
        temperature=heads.temperature,
        prediction_sets=_prediction_sets(heads, of_site, wells, treatments, recipe.coverage),
        out_of_distribution=OutOfDistribution(
            num_neighbours=num_neighbours,
            num_components=whitening.shape[1],
            max_distance=upper_quantile(np.sort(distances), 1 - rate) if is_enough else None,
            false_positive_rate=rate,
            num_references=len(reference),
            num_control_sites=int((of_site[validation] == labelled.task.control).sum()),
            num_validation_sites=len(validation),
            num_validation_wells=num_wells,
        ),
        stain_order=stain_order,
    )
    return Calibration(
        spec=spec,
        mean=mean,
        whitening=whitening,
        reference=reference,
        control_distances=np.sort(distances[of_site[validation] == labelled.task.control]),
        stain_order=stains,
    )


def fit_stain_order(descriptions: np.ndarray, names: np.ndarray, treatments: Sequence[str]) -> StainOrder:
    """Learns what every stain looks like under every treatment.

    Args:
        descriptions: Of training sites, `(num_sites, channel, descriptor)`, at least two sites.
        names: Treatment of every site, `(num_sites,)`.
        treatments: The treatments in logit order, each with a site.

    Returns:
        Mean description of every stain by treatment, and the whitening by the covariance within them: that of the
        numbers, each scaled to unit variance, shrunk towards the identity by a tenth.
    """
    mean = np.stack([descriptions[names == name].mean(axis=0) for name in treatments])
    own = mean[[list(treatments).index(name) for name in names]]
    residuals = (descriptions - own).reshape(-1, descriptions.shape[2])
    spread = residuals.std(axis=0)
    # A number that hardly varies is not divided by its tiny spread.
    spread = np.maximum(spread, max(0.05 * float(np.median(spread)), 1e-6))
    scaled = residuals / spread
    covariance = (1 - _SHRINKAGE) * scaled.T @ scaled / len(scaled) + _SHRINKAGE * np.eye(len(spread))
    variances, directions = np.linalg.eigh(covariance)
    return StainOrder(mean=mean, whitening=directions / np.sqrt(variances) / spread[:, np.newaxis])


def _prediction_sets(
    heads: FittedHeads, of_site: np.ndarray, wells: np.ndarray, treatments: Sequence[str], coverage: float
) -> PredictionSets:
    held_out = heads.held_out
    names, wells = of_site[held_out.rows], wells[held_out.rows]
    num_wells = {name: len(np.unique(wells[names == name])) for name in treatments}
    return PredictionSets(
        coverage=coverage,
        thresholds={
            name: conformal_threshold(held_out.probabilities[names == name, index], coverage)
            if num_wells[name] >= least_number(1 - coverage)
            else None
            for index, name in enumerate(treatments)
        },
        num_sites={name: int((names == name).sum()) for name in treatments},
        num_wells=num_wells,
    )


def _drawn_from_each(
    rows: np.ndarray, of_site: np.ndarray, treatments: Sequence[str], num: int, rng: np.random.Generator
) -> np.ndarray:
    """About `num` of the rows, as many of every treatment and one of each at least, ascending."""
    most = max(1, num // len(treatments))
    drawn = [rng.permutation(rows[of_site[rows] == name])[:most] for name in treatments]
    return np.sort(np.concatenate(drawn))


def _descriptions(cache: FieldCache, rows: np.ndarray) -> np.ndarray:
    return np.stack([describe_channels(cache.read([row])[0], STAIN_POOLING) for row in rows])


def _stain_order_spec(
    stains: StainOrder, validation: np.ndarray, *, num_sites: int, rate: float
) -> StainOrderSpec:
    mismatches = np.sort([stains.mismatch(description).value for description in validation])
    return StainOrderSpec(
        max_mismatch=upper_quantile(mismatches, 1 - rate),
        false_positive_rate=rate,
        num_sites=num_sites,
        num_validation_sites=len(mismatches),
    )


def conformal_threshold(probabilities: np.ndarray, coverage: float) -> float:
    """Least probability with which a treatment belongs to the prediction set (Sadinle et al. 2019, class-conditional).

    With n validation sites of the treatment, whose probabilities of it are exchangeable with a new site's, the new
    site's is at least the k-th smallest, k = floor((n + 1) (1 - coverage)), with a probability of at least `coverage`.

    Args:
        probabilities: Of the true treatment, on the validation sites of that treatment, `(n,)`.
        coverage: Between 0 and 1.

    Returns:
        The threshold.

    Raises:
        ValueError: If n is too small for the coverage: no threshold of one's own keeps it.
    """
    rank = math.floor((len(probabilities) + 1) * (1 - coverage) + 1e-9)
    if rank < 1:
        raise ValueError(
            f"Expected at least {least_number(1 - coverage)} sites for a coverage of {coverage:g}. "
            f"Received: {len(probabilities)}"
        )
    return float(np.sort(probabilities)[rank - 1])


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
