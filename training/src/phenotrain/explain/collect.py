"""All tests of a graph's explanations on held-out sites, in one call."""

from collections.abc import Iterable
from itertools import islice
from typing import Final

import numpy as np

from phenoserve.engine import Graph
from phenotrain.cache import FieldCache
from phenotrain.explain import budget
from phenotrain.explain.estimates import MIN_JUDGED_WELLS
from phenotrain.explain.findings import ExplanationFindings
from phenotrain.explain.grid import cell_means
from phenotrain.explain.keras_fields import probability_of, standardised
from phenotrain.explain.localisation import Inside, Localisation, foreground, localise, measure_inside
from phenotrain.explain.perturbation import MAX_STEPS, NUM_RANDOM_ORDERS, Perturbation, perturb
from phenotrain.explain.randomisation import randomise_cascade
from phenotrain.explain.randomisation_result import Randomisation
from phenotrain.explain.sites import ExplainedSite, choose_rows, explained_sites
from phenotrain.explain.stains import StainFindings, attribute_stains
from phenotrain.explain.truth import Truth, find_truth
from phenotrain.graph import ServedGraph
from phenotrain.labelled import Task

NUM_SITES: Final = 12
"""Most sites of one treatment."""
NUM_REPLACEMENTS: Final = 1
"""Controls that stand in for a removed stain of one site. Another site says more than another stand-in for the same
passes: the mean over sites is a mean over stand-ins too."""
_CELL_PX: Final = 32
"""Side of a cell of the heatmap in pixels of the pooled field: the encoder's stride."""
_RANDOMISED_SITES: Final = 2
_CURVE_SITES: Final = 3


def explain_findings(
    graph: ServedGraph | None,
    model_onnx: bytes,
    cache: FieldCache,
    roles: np.ndarray,
    task: Task,
    probabilities: np.ndarray,
    *,
    num_top_doses: int,
    seed: int = 0,
    num_sites: int = NUM_SITES,
) -> ExplanationFindings:
    """Test the explanations of an exported graph.

    Each site is explained for the treatment it was given, whatever the classifier says of it.

    Args:
        graph: The Keras networks, for randomisation, deletion and insertion; their weights are as before when this
            returns. None leaves these tests out.
        model_onnx: The same graph as it is served.
        cache: Pooled fields, and where the original files lie.
        roles: `train`, `validation` or `test` of every site.
        task: Treatments in logit order and control.
        probabilities: Of the classifier for every site, `(num_sites, treatment)`.
        num_top_doses: Doses of each treatment to explain, from the top; 0 for all.
        seed: Seed of everything drawn.
        num_sites: Most sites of one treatment; fewer where fields are large.

    Returns:
        The findings.

    Raises:
        ValueError: If no test site carries a treatment.
        RuntimeError: If stain attributions do not sum to the logit difference.
    """
    served = Graph.load(model_onnx, device="cpu")
    chosen = choose_rows(
        cache.sites,
        roles,
        task.treated,
        task.control,
        num_top_doses=num_top_doses,
        num_sites=num_sites,
        seed=seed,
    )
    if not chosen:
        raise ValueError(
            f"Expected test sites of at least one of {', '.join(task.treated)} to explain; there are none. "
            "Split the screen so that every treatment is held out."
        )
    sites = explained_sites(served, cache, chosen, task.treatments, probabilities)
    truth = find_truth(cache.meta.data_root, cache.stains)
    masks = None if truth is None else _changed(truth, cache, sites)
    return ExplanationFindings(
        treatments=tuple(chosen),
        num_treatments=len(task.treated),
        num_sites=len(sites),
        num_right=sum(site.is_right for site in sites),
        cell_px=_CELL_PX * cache.downsample,
        simulated=cache.simulated,
        randomisation=None if graph is None else _randomise(graph, cache, sites, seed),
        perturbation=None if graph is None else _perturb(graph, cache, sites, seed),
        truth=_localise(sites, masks, cache.downsample, seed),
        truth_right=_localise(sites, masks, cache.downsample, seed, only_right=True),
        foreground=_foreground(cache, sites, seed),
        stains=_stains(served, cache, roles, task, sites, truth, seed),
    )


def _changed(truth: Truth, cache: FieldCache, sites: list[ExplainedSite]) -> list[np.ndarray]:
    """Where any stain of each site changed, `(y, x)`."""
    every_stain = (truth.changed(cache.sites.iloc[site.row], cache.stains) for site in sites)
    return [np.any(changed, axis=0) for changed in every_stain]


def _localise(
    sites: list[ExplainedSite],
    masks: list[np.ndarray] | None,
    downsample: int,
    seed: int,
    *,
    only_right: bool = False,
) -> Localisation | None:
    pairs = [
        (site, mask)
        for site, mask in zip(sites, masks or (), strict=masks is not None)
        if mask.any() and (site.is_right or not only_right)
    ]
    if not pairs:
        return None
    return localise(
        [site.heat for site, _ in pairs],
        [mask for _, mask in pairs],
        _wells(site for site, _ in pairs),
        _CELL_PX * downsample,
        np.random.default_rng(seed),
    )


def _foreground(cache: FieldCache, sites: list[ExplainedSite], seed: int) -> Inside:
    shares = [
        cell_means(foreground(cache.read([site.row])[0], cache.stains), site.heat.shape, _CELL_PX)
        for site in sites
    ]
    heats = [site.heat for site in sites]
    return measure_inside(heats, shares, _wells(sites), np.random.default_rng(seed))


def _stains(
    served: Graph,
    cache: FieldCache,
    roles: np.ndarray,
    task: Task,
    sites: list[ExplainedSite],
    truth: Truth | None,
    seed: int,
) -> StainFindings | None:
    num_treatments = len({site.treatment for site in sites})
    num = budget.stain_sites(len(sites), num_treatments, len(cache.stains), _field_px(cache))
    return attribute_stains(
        served,
        cache,
        roles,
        _first_of_each(sites, num),
        task.treatments,
        task.control,
        truth,
        num_replacements=NUM_REPLACEMENTS,
        seed=seed,
    )


def _randomise(graph: ServedGraph, cache: FieldCache, sites: list[ExplainedSite], seed: int) -> Randomisation:
    num_treatments = len({site.treatment for site in sites})
    few = _first_of_each(sites, max(_RANDOMISED_SITES, -(-MIN_JUDGED_WELLS // num_treatments)))
    return randomise_cascade(
        graph,
        [cache.read_raw(site.row) for site in few],
        [site.treatment for site in few],
        _wells(few),
        seed=seed,
    )


def _perturb(graph: ServedGraph, cache: FieldCache, sites: list[ExplainedSite], seed: int) -> Perturbation:
    num_passes = 2 * (MAX_STEPS + 1) * (NUM_RANDOM_ORDERS + 1)
    num_treatments = len({site.treatment for site in sites})
    num_wanted = max(_CURVE_SITES, -(-MIN_JUDGED_WELLS // num_treatments))
    few = _first_of_each(sites, budget.curve_sites(num_wanted, num_treatments, num_passes, _field_px(cache)))
    return perturb(
        probability_of(graph),
        standardised(cache.read([site.row for site in few])),
        [site.heat for site in few],
        [site.treatment for site in few],
        _wells(few),
        _CELL_PX,
        np.random.default_rng(seed),
    )


def _first_of_each(sites: list[ExplainedSite], num: int) -> list[ExplainedSite]:
    """Keep the first `num` sites of every treatment."""
    treatments = dict.fromkeys(site.treatment for site in sites)
    return [
        site
        for treatment in treatments
        for site in islice((site for site in sites if site.treatment == treatment), num)
    ]


def _wells(sites: Iterable[ExplainedSite]) -> np.ndarray:
    return np.array([site.well for site in sites])


def _field_px(cache: FieldCache) -> int:
    return cache.field_shape[1] * cache.field_shape[2]
