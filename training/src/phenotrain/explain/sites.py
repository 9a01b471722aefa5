"""The held-out sites that are explained: treated, at the top doses, spread over treatments and wells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from phenoserve.engine import Graph
from phenotrain.cache import FieldCache
from phenotrain.doses import top_doses

MAX_TREATMENTS: Final = 12


@dataclass(frozen=True)
class ExplainedSite:
    """One held-out site and the map of its own treatment.

    Attributes:
        row: Row of the cache.
        well: Its `well_id`.
        treatment: The treatment it was given, as an index in logit order: what is explained.
        is_right: Whether the classifier's most probable class is that treatment.
        heat: The served heatmap of that treatment, `(y', x')`, not negative.
    """

    row: int
    well: str
    treatment: int
    is_right: bool
    heat: np.ndarray


def choose_rows(
    sites: pd.DataFrame,
    roles: np.ndarray,
    treated: Sequence[str],
    control: str,
    *,
    num_top_doses: int,
    num_sites: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Choose held-out sites to explain.

    Args:
        sites: Sites table.
        roles: `train`, `validation` or `test` of every site.
        treated: Treatments without the control; the first `MAX_TREATMENTS` are explained.
        control: Name of the control.
        num_top_doses: Doses of each treatment to explain, from the top; 0 for all.
        num_sites: Most sites of one treatment.
        seed: Seed of the draw.

    Returns:
        Rows by treatment, ascending: test sites at the top doses where there are such, else at any; a
        second site of a well only after every well has given one. Treatments without a test site are left out.
    """
    is_test = roles == "test"
    is_top = top_doses(sites, control, num_top_doses)
    labels = sites["treatment"].to_numpy(dtype=str)
    rng = np.random.default_rng(seed)
    chosen: dict[str, np.ndarray] = {}
    for treatment in treated[:MAX_TREATMENTS]:
        rows = np.flatnonzero(is_test & is_top & (labels == treatment))
        if not len(rows):
            rows = np.flatnonzero(is_test & (labels == treatment))
        shuffled = rng.permutation(rows)
        turn = sites["well_id"].iloc[shuffled].groupby(sites["well_id"].iloc[shuffled]).cumcount().to_numpy()
        if len(rows):
            chosen[treatment] = np.sort(shuffled[np.argsort(turn, kind="stable")][:num_sites])
    return chosen


def explained_sites(
    graph: Graph,
    cache: FieldCache,
    chosen: Mapping[str, np.ndarray],
    treatments: Sequence[str],
    probabilities: np.ndarray,
) -> list[ExplainedSite]:
    """Run the served graph on the chosen sites.

    Args:
        graph: The exported graph.
        cache: Where the original files lie.
        chosen: Rows by treatment, as `choose_rows` gives them.
        treatments: All classes in logit order.
        probabilities: Of the classifier for every site, `(num_sites, treatment)`.

    Returns:
        One entry a row, treatments in logit order.
    """
    found: list[ExplainedSite] = []
    for name, rows in chosen.items():
        treatment = treatments.index(name)
        for row in rows.tolist():
            heat = graph.run(cache.read_raw(row)[np.newaxis].astype(np.float32))["heatmap"][0, treatment]
            is_right = int(probabilities[row].argmax()) == treatment
            well = str(cache.sites["well_id"].iloc[row])
            found.append(ExplainedSite(row, well, treatment, is_right, heat.astype(float)))
    return found
