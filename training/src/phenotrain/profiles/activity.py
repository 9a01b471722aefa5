"""Phenotypic activity: whether the wells of a treatment and dose find each other among the controls of their plates."""

import tempfile
from collections.abc import Sequence
from typing import Final, cast

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from phenotrain.profiles.correction import Correction
from phenotrain.profiles.draws import (
    NUM_DRAWS,
    Design,
    can_draw,
    design_of,
    draw_pseudo_treatments,
    most_wells,
)
from phenotrain.profiles.ranking import mean_normalised_ap
from phenotrain.profiles.wells import WellProfiles

SIGNIFICANCE: Final = 0.05
RANDOM_ORDERS: Final = 10_000
"""Random rankings behind copairs' p."""

GROUP: Final = ["treatment", "series", "treatment_conc"]
ACTIVITY_COLUMNS: Final = (
    *GROUP,
    *("dose_rank", "num_wells", "num_plates", "mean_average_precision", "normalised_map"),
    *("p_value", "q_value", "is_active", "random_order_p_value", "random_order_q_value"),
)


def phenotypic_activity(
    wells: WellProfiles,
    correction: Correction,
    corrected: np.ndarray,
    treatments: Sequence[str],
    *,
    num_draws: int = NUM_DRAWS,
    seed: int = 0,
) -> pd.DataFrame:
    """Mean average precision of every treatment and dose, by copairs.

    A well is a query; the wells of its treatment and dose on other plates should rank above the controls of its own
    plate, by cosine similarity (Kalinin et al. 2025; Chandrasekaran et al. 2024). In copairs' words:
    `pos_sameby=[treatment and dose, reference], pos_diffby=[plate], neg_sameby=[plate], neg_diffby=[treatment and
    dose, reference]`, the reference index being -1 for all but the controls.

    copairs compares mAP with random orders. Correction by the very controls that are ranked, and plates that queries
    share, make that p too small or too large (`phenotrain.profiles.draws`); it is kept as `random_order_p_value`.
    `p_value` is the share of pseudo-treatments, of as many wells on the same plates, that reach the normalised mAP.

    Args:
        wells: Well profiles of the screen.
        correction: As fitted on them.
        corrected: The corrected profiles, `(num_wells, component)`.
        treatments: Treatments to judge.
        num_draws: Pseudo-treatments a treatment is compared with.
        seed: Seed of the draws.

    Returns:
        The columns `ACTIVITY_COLUMNS`, a row a treatment, series and dose, the top dose first. mAP is NaN for a
        treatment that is on one plate only, p where a plate has no controls to spare. q-values are Benjamini and
        Hochberg's over all rows.
    """
    table = wells.wells
    of_group = table[table["treatment"].isin(list(treatments)) & ~table["is_control"]]
    found = (
        of_group.groupby(GROUP, dropna=False, sort=False)
        .agg(
            dose_rank=("dose_rank", "first"),
            num_wells=("well_id", "size"),
            num_plates=("plate_name", "nunique"),
        )
        .reset_index()
        .sort_values(["treatment", "series", "dose_rank"], ignore_index=True)
    )
    members = [_members(of_group, row) for _, row in found.iterrows()]
    group_of = np.full(len(table), "", dtype=object)
    for number, rows in enumerate(members):
        group_of[rows] = f"group {number}"
    scores = _copairs(wells, corrected, group_of, seed) if (found["num_plates"] > 1).any() else pd.DataFrame()
    for column in ("mean_average_precision", "normalised_map", "random_order_p_value"):
        found[column] = [
            float(scores[column].get(f"group {n}", np.nan)) if len(scores) else np.nan for n in found.index
        ]
    plates = table["plate_name"].to_numpy(dtype=str)
    designs = [design_of(plates[rows]) if len(set(plates[rows])) > 1 else () for rows in members]
    null = _null(
        wells, correction, {d for d in designs if d and can_draw(wells, d, correction.batch)}, num_draws, seed
    )
    found["p_value"] = [
        (1 + (null[design] >= value).sum()) / (1 + num_draws) if design in null else np.nan
        for design, value in zip(designs, found["normalised_map"], strict=True)
    ]
    found["q_value"] = adjusted(found["p_value"].to_numpy(dtype=float))
    found["random_order_q_value"] = adjusted(found["random_order_p_value"].to_numpy(dtype=float))
    found["is_active"] = found["q_value"] < SIGNIFICANCE
    return found[list(ACTIVITY_COLUMNS)]


def adjusted(p_values: np.ndarray) -> np.ndarray:
    """Return Benjamini and Hochberg's q-values; NaN stays NaN and counts for nothing."""
    q_values = np.full(p_values.shape, np.nan)
    known = np.isfinite(p_values)
    if known.any():
        q_values[known] = false_discovery_control(p_values[known], method="bh")
    return q_values


def _members(table: pd.DataFrame, group: pd.Series) -> np.ndarray:
    same_dose = (table["treatment_conc"] == group["treatment_conc"]) | (
        table["treatment_conc"].isna() & pd.isna(group["treatment_conc"])
    )
    same = (table["treatment"] == group["treatment"]) & (table["series"] == group["series"]) & same_dose
    return table.index[same].to_numpy()


def _copairs(wells: WellProfiles, corrected: np.ndarray, group_of: np.ndarray, seed: int) -> pd.DataFrame:
    # copairs imports DuckDB and statsmodels, too long for `--help`.
    from copairs.map import average_precision, mean_average_precision
    from copairs.matching import assign_reference_index

    chosen = np.flatnonzero(wells.is_control | (group_of != ""))
    meta = pd.DataFrame(
        {
            "group": group_of[chosen].astype(str),
            "plate": wells.wells["plate_name"].to_numpy(dtype=str)[chosen],
            "is_control": wells.is_control[chosen],
        }
    )
    assign_reference_index(meta, "is_control", reference_col="reference", inplace=True)
    # copairs types its arrays as tables and its results as optional; neither is so.
    profiles = cast("pd.DataFrame", corrected[chosen])
    scores = average_precision(
        meta,
        profiles,
        pos_sameby=["group", "reference"],
        pos_diffby=["plate"],
        neg_sameby=["plate"],
        neg_diffby=["group", "reference"],
        progress_bar=False,
    )
    scores = scores[~meta["is_control"].to_numpy(dtype=bool)]
    # copairs caches its random orders below the home folder otherwise.
    with tempfile.TemporaryDirectory() as cache:
        found = mean_average_precision(
            scores,
            sameby=["group"],
            null_size=RANDOM_ORDERS,
            threshold=SIGNIFICANCE,
            seed=seed,
            progress_bar=False,
            cache_dir=cache,
        )
    names = {"mean_normalized_average_precision": "normalised_map", "p_value": "random_order_p_value"}
    return found.set_index("group").rename(columns=names)


def _null(
    wells: WellProfiles, correction: Correction, designs: set[Design], num_draws: int, seed: int
) -> dict[Design, np.ndarray]:
    if not designs:
        return {}
    collected: dict[Design, list[np.ndarray]] = {design: [] for design in sorted(designs)}
    most = most_wells(designs)
    for drawn in draw_pseudo_treatments(wells, correction, most, num_draws=num_draws, seed=seed):
        for design, values in collected.items():
            group = {plate: drawn.held_out[plate][:, :count] for plate, count in design}
            values.append(mean_normalised_ap(group, drawn.controls))
    return {design: np.concatenate(values) for design, values in collected.items()}
