"""Similarity between treatments: cosine of corrected mean profiles, clustered, with a p for every pair."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from phenotrain.profiles.activity import SIGNIFICANCE, adjusted
from phenotrain.profiles.correction import Correction
from phenotrain.profiles.draws import (
    NUM_DRAWS,
    Design,
    can_draw,
    design_of,
    draw_pseudo_treatments,
    drawable_together,
    most_wells,
    num_pseudo_treatments,
)
from phenotrain.profiles.ranking import unit_rows
from phenotrain.profiles.wells import WellProfiles

PAIR_COLUMNS: Final = ("treatment", "neighbour", "similarity", "p_value", "q_value")


@dataclass(frozen=True)
class Similarity:
    """How alike treatments are.

    Attributes:
        names: Treatments, `NAME` or `NAME · series`, in the order given.
        num_wells: Wells behind each mean profile.
        matrix: Cosine similarities, `(treatment, treatment)`.
        p_values: Of every pair, symmetric, NaN on the diagonal and where there were no controls to spare.
        q_values: Benjamini and Hochberg's, over the pairs.
        order: Row numbers as the clustering puts them beside each other.
        tree: SciPy's linkage matrix (average linkage of 1 - cosine).
    """

    names: tuple[str, ...]
    num_wells: tuple[int, ...]
    matrix: np.ndarray
    p_values: np.ndarray
    q_values: np.ndarray
    order: tuple[int, ...]
    tree: np.ndarray

    def pairs(self) -> pd.DataFrame:
        """Return every ordered pair, the columns `PAIR_COLUMNS`, nearest neighbour first within each treatment."""
        first, second = np.nonzero(~np.eye(len(self.names), dtype=bool))
        names = np.array(self.names, dtype=object)
        table = pd.DataFrame(
            {
                "treatment": names[first],
                "neighbour": names[second],
                "similarity": self.matrix[first, second],
                "p_value": self.p_values[first, second],
                "q_value": self.q_values[first, second],
                "row": first,
            }
        )
        table = table.sort_values(["row", "similarity"], ascending=[True, False], kind="stable")
        return table[list(PAIR_COLUMNS)].reset_index(drop=True)


def treatment_similarity(
    wells: WellProfiles,
    correction: Correction,
    corrected: np.ndarray,
    treatments: Sequence[str],
    *,
    num_top_doses: int = 3,
    num_draws: int = NUM_DRAWS,
    seed: int = 0,
) -> Similarity | None:
    """Compare the mean profiles of treatments at their top doses.

    Treatments on the same plates share the error of those plates' centres, so that two treatments without effect are a
    little alike, the more the fewer the controls. The p of a pair asks how often a treatment without effect, on the
    plates of either one, comes as close to the other: pseudo-treatments (`phenotrain.profiles.draws`) are corrected
    together with the treatments, in each draw anew; the cosine is scaled by mean and standard deviation over the draws,
    the scaled values of all treatments are pooled, and the larger of the pair's two p counts. Exchanging labels among
    treated wells was no choice: where all treatments are alike, so are all exchanges.

    Args:
        wells: Well profiles of the screen.
        correction: As fitted on them.
        corrected: The corrected profiles, `(num_wells, component)`.
        treatments: Treatments to compare; a series within one counts as a treatment.
        num_top_doses: Doses of each that are averaged; 0 takes all.
        num_draws: Pseudo-treatments drawn.
        seed: Seed of the draws.

    Returns:
        The similarities; None with fewer than two treatments or two components. A pair has no p where a treatment's
        plates have too few controls to draw from, or so few that no p below `SIGNIFICANCE` can come of it.
    """
    table = wells.wells
    chosen = table["treatment"].isin(list(treatments)) & ~table["is_control"]
    if num_top_doses:
        chosen &= table["dose_rank"] <= num_top_doses
    members: dict[str, np.ndarray] = {}
    for treatment in treatments:
        of_treatment = table[chosen & (table["treatment"] == treatment)]
        for series, rows in of_treatment.groupby("series").groups.items():
            members[f"{treatment} · {series}" if series else treatment] = np.asarray(rows)
    # In one dimension every cosine is 1 or -1.
    if len(members) < 2 or correction.num_components < 2:
        return None
    means = np.stack([corrected[rows].mean(axis=0) for rows in members.values()])
    unit = unit_rows(means)
    matrix = np.clip(unit @ unit.T, -1, 1)
    np.fill_diagonal(matrix, 1.0)
    p_values = _p_values(wells, correction, list(members.values()), matrix, num_draws, seed)
    upper = np.triu_indices(len(matrix), 1)
    q_values = np.full_like(p_values, np.nan)
    q_values[upper] = adjusted(p_values[upper])
    q_values.T[upper] = q_values[upper]
    tree = linkage(squareform(1 - matrix, checks=False), method="average", optimal_ordering=True)
    order = tuple(int(leaf) for leaf in leaves_list(tree))
    num_wells = tuple(len(rows) for rows in members.values())
    return Similarity(tuple(members), num_wells, matrix, p_values, q_values, order, tree)


def _p_values(
    wells: WellProfiles,
    correction: Correction,
    members: list[np.ndarray],
    matrix: np.ndarray,
    num_draws: int,
    seed: int,
) -> np.ndarray:
    plates = wells.wells["plate_name"].to_numpy(dtype=str)
    designs = [design_of(plates[rows]) for rows in members]
    smallest = np.array([_smallest_p(wells, design, correction) for design in designs])
    rows = np.flatnonzero(smallest < SIGNIFICANCE)
    p_values = np.full_like(matrix, np.nan)
    distinct = list(dict.fromkeys(designs[row] for row in rows))
    if len(rows) < 2 or len(drawable_together(wells, distinct, correction.batch)) > 1:
        return p_values
    null = _null_cosines(wells, correction, [members[row] for row in rows], distinct, num_draws, seed)
    centre, spread = null.mean(axis=0), null.std(axis=0)
    if (spread == 0).any():  # every draw of few controls came as close
        return p_values
    pooled = np.sort(((null - centre) / spread).ravel())
    column = [distinct.index(designs[row]) for row in rows]
    # Entry (a, b): how close a treatment without effect on the plates of b comes to a.
    scaled = (matrix[np.ix_(rows, rows)] - centre[:, column]) / spread[:, column]
    exceeding = len(pooled) - np.searchsorted(pooled, scaled, side="left")
    # Draws repeat where there are few different ones, and repeats make no p smaller.
    one_sided = np.maximum((1 + exceeding) / (1 + len(pooled)), smallest[rows])
    p_values[np.ix_(rows, rows)] = np.maximum(one_sided, one_sided.T)
    np.fill_diagonal(p_values, np.nan)
    return p_values


def _smallest_p(wells: WellProfiles, design: Design, correction: Correction) -> float:
    if not can_draw(wells, design, correction.batch):
        return 1.0
    return 1 / (1 + num_pseudo_treatments(wells, design))


def _null_cosines(
    wells: WellProfiles,
    correction: Correction,
    members: list[np.ndarray],
    designs: list[Design],
    num_draws: int,
    seed: int,
) -> np.ndarray:
    """Cosines of every treatment with a pseudo-treatment of every design, `(draw, treatment, design)`."""
    plates = wells.wells["plate_name"].to_numpy(dtype=str)
    most = most_wells(designs)
    means: dict[str, np.ndarray] = {}
    shares: dict[str, list[tuple[int, float]]] = {plate: [] for plate in most}
    for plate in most:
        here = [(number, rows[plates[rows] == plate]) for number, rows in enumerate(members)]
        shares[plate] = [(number, len(rows) / len(members[number])) for number, rows in here if len(rows)]
        means[plate] = np.stack([wells.profiles[rows].mean(axis=0) for _, rows in here if len(rows)])
    cosines: list[np.ndarray] = []
    for drawn in draw_pseudo_treatments(
        wells, correction, most, others=means, num_draws=num_draws, seed=seed
    ):
        num = len(next(iter(drawn.held_out.values())))
        profiles = np.zeros((num, len(members), correction.num_components))
        for plate, parts in shares.items():
            for position, (number, share) in enumerate(parts):
                profiles[:, number] += share * drawn.others[plate][:, position]
        pseudo = np.stack(
            [
                sum(drawn.held_out[plate][:, :count].sum(axis=1) for plate, count in design)
                / sum(count for _, count in design)
                for design in designs
            ],
            axis=1,
        )
        cosines.append(unit_rows(profiles) @ unit_rows(pseudo).swapaxes(-1, -2))
    return np.concatenate(cosines)
