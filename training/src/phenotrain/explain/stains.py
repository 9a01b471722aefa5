"""Which stains the classifier's answer rests on, by treatment, with controls of the same plate in their place."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Final

import numpy as np
import pandas as pd

from phenoserve.engine import Graph
from phenoserve.engine.attribution import MAX_CHANNELS, stain_attribution
from phenotrain.cache import FieldCache
from phenotrain.explain.agreement import Agreement, agree
from phenotrain.explain.estimates import Estimate, mean_over_wells
from phenotrain.explain.sites import ExplainedSite
from phenotrain.explain.truth import Truth
from phenotrain.grouping import plate_names

MAX_SUM_ERROR: Final = 1e-4
"""Largest difference between the sum of a site's attributions and its logit difference, over one plus the logit:
float32 holds large logits to a share of their size."""


@dataclass(frozen=True)
class StainEffect:
    """What one stain adds to the logit of one treatment.

    Attributes:
        treatment: The treatment that the sites were given, whose logit is explained.
        stain: Name of the stain.
        attribution: Shapley value in units of the logit, mean over sites.
        truth: Share of pixels in which the treatment changed the stain, mean over the same sites; None where the truth
            is not known.
    """

    treatment: str
    stain: str
    attribution: Estimate
    truth: float | None

    @property
    def is_significant(self) -> bool:
        """Whether the interval over wells excludes zero, and whatever the sums may be off by."""
        return self.attribution.is_above(MAX_SUM_ERROR) or self.attribution.is_below(-MAX_SUM_ERROR)


@dataclass(frozen=True)
class StainFindings:
    """Stain attribution of held-out sites.

    Attributes:
        effects: Treatments in logit order, and within each the stains in channel order.
        num_replacements: Control sites of the same plate that stand in for a removed stain.
        num_sites: Sites that were attributed.
        num_without_control: Those among them whose plate has no control; a removed stain is its mean there.
        sum_error: Largest difference between the sum over the stains and the logit difference, over one plus the logit.
        agreement: With the simulated truth; None where it is not known or changes nothing.
    """

    effects: tuple[StainEffect, ...]
    num_replacements: int
    num_sites: int
    num_without_control: int
    sum_error: float
    agreement: Agreement | None


def attribute_stains(
    graph: Graph,
    cache: FieldCache,
    roles: np.ndarray,
    sites: Sequence[ExplainedSite],
    treatments: Sequence[str],
    control: str,
    truth: Truth | None,
    *,
    num_replacements: int,
    seed: int,
) -> StainFindings | None:
    """Attribute each site's logit of its own treatment to the stains, and compare with the truth.

    Args:
        graph: The exported graph.
        cache: Where the original files lie.
        roles: `train`, `validation` or `test` of every site; stand-ins come from the test sites.
        sites: The sites to explain.
        treatments: All classes in logit order.
        control: The control among them.
        truth: Where the treatments changed which stain; None where it is not known.
        num_replacements: Control sites that stand in for a removed stain.
        seed: Seed of their draw and of the resampling.

    Returns:
        The findings; None with more stains than `phenoserve.engine.attribution.MAX_CHANNELS`, whose subsets are too
        many.

    Raises:
        RuntimeError: If the attributions of a site do not sum to its logit difference.
    """
    num_stains = len(cache.stains)
    if num_stains > MAX_CHANNELS or not sites:
        return None
    values = np.empty((len(sites), num_stains))
    changed = None if truth is None else _changed_shares(truth, cache, sites)
    sum_error, num_without_control = 0.0, 0
    for number, site in enumerate(sites):
        stand_ins = same_plate_controls(cache.sites, roles, site.row, control, num_replacements, seed)
        num_without_control += not len(stand_ins)
        explained = attribute_site(graph, cache, site.row, stand_ins)
        values[number] = explained[0][:, site.treatment]
        sum_error = max(sum_error, explained[1])
    if sum_error > MAX_SUM_ERROR:
        raise RuntimeError(
            f"The stain attributions miss the logit difference by {sum_error:.2e}; allowed is {MAX_SUM_ERROR}. "
            "Report this with the version of onnxruntime."
        )
    group = np.array([site.treatment for site in sites])
    wells = np.array([site.well for site in sites])
    effects = _effects(values, changed, group, wells, treatments, cache.stains, np.random.default_rng(seed))
    agreement = None
    if changed is not None and changed.any():
        significant = np.array([effect.is_significant for effect in effects])
        agreement = agree(values, changed, group, wells, significant, np.random.default_rng(seed))
    return StainFindings(effects, num_replacements, len(sites), num_without_control, sum_error, agreement)


def attribute_site(
    graph: Graph, cache: FieldCache, row: int, stand_ins: Sequence[int]
) -> tuple[np.ndarray, float]:
    """Attribute every logit of one site to its stains.

    Args:
        graph: The exported graph.
        cache: Where the original files lie.
        row: Row of the site.
        stand_ins: Rows whose stains replace a removed one; without any, its mean does.

    Returns:
        Shapley values `(channel, treatment)`, and by how much their sums miss the logit differences, over one plus the
        logit.
    """

    def logits_of(stacks: np.ndarray) -> np.ndarray:
        return graph.run(stacks.astype(np.float32))["logits"]

    replacements = [cache.read_raw(other) for other in stand_ins] or None
    stack = cache.read_raw(row)
    values, baseline, _ = astuple(stain_attribution(logits_of, stack, replacements))
    # Against a pass of its own, as the service answers: a sum that only agrees with itself proves nothing.
    served = logits_of(stack[np.newaxis])[0].astype(np.float64)
    error = (np.abs(values.sum(axis=0) - (served - baseline)) / (1 + np.abs(served))).max()
    return values, float(error)


def same_plate_controls(
    sites: pd.DataFrame, roles: np.ndarray, row: int, control: str, num_wanted: int, seed: int
) -> list[int]:
    """Draw test controls of a site's own plate; fewer, or none, where the plate has no more.

    Args:
        sites: Sites table.
        roles: Role of every site.
        row: Row of the site that is explained; it is never drawn itself.
        control: Name of the control.
        num_wanted: How many to draw.
        seed: Seed of the draw, which depends on the row too.

    Returns:
        Rows, without repeats.
    """
    plates = plate_names(sites)
    is_control = (sites["treatment"].to_numpy(dtype=str) == control) & (roles == "test")
    rows = np.flatnonzero(is_control & (plates == plates[row]))
    drawn = np.random.default_rng([seed, row]).permutation(rows[rows != row])
    return drawn[:num_wanted].tolist()


def _changed_shares(truth: Truth, cache: FieldCache, sites: Sequence[ExplainedSite]) -> np.ndarray:
    """Share of pixels in which each stain of each site changed, `(site, channel)`."""
    rows = [cache.sites.iloc[site.row] for site in sites]
    return np.stack([truth.changed(row, cache.stains).mean(axis=(1, 2)) for row in rows])


def _effects(
    values: np.ndarray,
    changed: np.ndarray | None,
    group: np.ndarray,
    wells: np.ndarray,
    treatments: Sequence[str],
    stains: Sequence[str],
    rng: np.random.Generator,
) -> tuple[StainEffect, ...]:
    effects: list[StainEffect] = []
    for treatment in np.unique(group):
        rows = group == treatment
        for channel, stain in enumerate(stains):
            attribution = mean_over_wells(values[rows, channel], wells[rows], rng)
            known = None if changed is None else float(changed[rows, channel].mean())
            effects.append(StainEffect(treatments[int(treatment)], stain, attribution, known))
    return tuple(effects)
