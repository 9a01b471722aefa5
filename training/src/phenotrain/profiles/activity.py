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
    drawable_together,
    most_wells,
    num_pseudo_treatments,
)
from phenotrain.profiles.ranking import mean_normalised_ap
from phenotrain.profiles.wells import WellProfiles

SIGNIFICANCE: Final = 0.05
RANDOM_ORDERS: Final = 10_000
"""Random rankings behind copairs' p."""
SAME_PLATE: Final = "same plate"
OTHER_PLATES: Final = "other plates"

GROUP: Final = ["treatment", "series", "treatment_conc"]
ACTIVITY_COLUMNS: Final = (
    *GROUP,
    *("dose_rank", "num_wells", "num_plates", "compared_on", "mean_average_precision", "normalised_map"),
    *(
        "p_value",
        "q_value",
        "is_active",
        "smallest_p",
        "why_no_p",
        "random_order_p_value",
        "random_order_q_value",
    ),
)
_SCORES: Final = ("mean_average_precision", "normalised_map", "random_order_p_value")


def phenotypic_activity(
    wells: WellProfiles,
    correction: Correction | None,
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
    dose, reference]`, the reference index being -1 for all but the controls. Where all wells of a treatment and dose
    are on one plate, they should rank each other above its controls (`pos_diffby=[]`): what their positions on that
    plate share then passes for an effect.

    copairs compares mAP with random orders. Correction by the very controls that are ranked, and plates that queries
    share, make that p too small or too large (`phenotrain.profiles.draws`); it is kept as `random_order_p_value`.
    `p_value` is the share of pseudo-treatments, of as many wells on the same plates, that reach the normalised mAP.

    Args:
        wells: Well profiles of the screen.
        correction: As fitted on them; None where none could be.
        corrected: The corrected profiles, `(num_wells, component)`; NaN in the rows of wells that are not corrected.
        treatments: Treatments to judge.
        num_draws: Pseudo-treatments a treatment is compared with.
        seed: Seed of the draws.

    Returns:
        The columns `ACTIVITY_COLUMNS`, a row a treatment, series and dose, the top dose first; wells and plates are
        those that take part. `smallest_p` is the least p that the draws from the controls of these plates can give.
        `p_value` is NaN where so few different ones can be drawn that it could not fall below `SIGNIFICANCE`, or none;
        `why_no_p` then says why. q-values are Benjamini and Hochberg's over all p.
    """
    table = wells.wells
    plates = table["plate_name"].to_numpy(dtype=str)
    is_corrected = np.zeros(len(wells), dtype=bool)
    if correction is not None:
        is_corrected = np.asarray(np.isfinite(corrected).all(axis=1))
    takes_part = is_corrected & np.isin(plates, plates[wells.is_control & is_corrected])
    of_group = table[table["treatment"].isin(list(treatments)) & ~table["is_control"]]
    found = (
        of_group.groupby(GROUP, dropna=False, sort=False)
        .agg(dose_rank=("dose_rank", "first"))
        .reset_index()
        .sort_values(["treatment", "series", "dose_rank"], ignore_index=True)
    )
    members = [_members(of_group[takes_part[of_group.index]], row) for _, row in found.iterrows()]
    designs = [design_of(plates[rows]) for rows in members]
    found["num_wells"] = [len(rows) for rows in members]
    found["num_plates"] = [len(design) for design in designs]
    found["compared_on"] = [
        "" if len(rows) < 2 else SAME_PLATE if len(design) == 1 else OTHER_PLATES
        for rows, design in zip(members, designs, strict=True)
    ]
    scores = _scores(wells, corrected, found["compared_on"], members, is_corrected, seed)
    for column in _SCORES:
        found[column] = scores[column].reindex([f"group {n}" for n in found.index]).to_numpy(dtype=float)
    drawable: set[Design] = set()
    if correction is not None:
        drawable = {design for design in set(designs) if design and can_draw(wells, design, correction.batch)}
    different = {design: num_pseudo_treatments(wells, design) for design in drawable}
    counts = {design: min(num_draws, number) for design, number in different.items()}
    found["smallest_p"] = [1 / (1 + counts[design]) if design in drawable else np.nan for design in designs]
    found["why_no_p"] = [
        _why_no_p(len(rows), different.get(design, 0), is_anything=bool(is_corrected.any()))
        for rows, design in zip(members, designs, strict=True)
    ]
    told = [design for design, why in zip(designs, found["why_no_p"], strict=True) if not why]
    null = {}
    if correction is not None and told:
        null = _null(wells, correction, set(told), num_draws, seed)
    found["p_value"] = [
        # Draws repeat where there are few different ones, and repeats make no p smaller.
        (1 + counts[design] * (null[design] >= value).mean()) / (1 + counts[design]) if not why else np.nan
        for design, value, why in zip(designs, found["normalised_map"], found["why_no_p"], strict=True)
    ]
    found["random_order_p_value"] = found["random_order_p_value"].where(found["why_no_p"] == "")
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


def _why_no_p(num_wells: int, num_different: int, *, is_anything: bool) -> str:
    if not num_wells:
        return (
            "no well of it on a plate with controls is corrected"
            if is_anything
            else "no profile is corrected"
        )
    if num_wells < 2:
        return "a single well has no other to find"
    if not num_different:
        return "its plates have too few controls to draw pseudo-treatments from"
    smallest_p = 1 / (1 + num_different)
    if smallest_p >= SIGNIFICANCE:
        return f"the controls of its plates cannot tell (smallest possible p {smallest_p:.2f})"
    return ""


def _members(table: pd.DataFrame, group: pd.Series) -> np.ndarray:
    same_dose = (table["treatment_conc"] == group["treatment_conc"]) | (
        table["treatment_conc"].isna() & pd.isna(group["treatment_conc"])
    )
    same = (table["treatment"] == group["treatment"]) & (table["series"] == group["series"]) & same_dose
    return table.index[same].to_numpy()


def _scores(
    wells: WellProfiles,
    corrected: np.ndarray,
    compared_on: pd.Series,
    members: list[np.ndarray],
    is_corrected: np.ndarray,
    seed: int,
) -> pd.DataFrame:
    """What copairs finds, a row a group."""
    found: list[pd.DataFrame] = []
    for where, positives_differ_by in ((OTHER_PLATES, ["plate"]), (SAME_PLATE, [])):
        group_of = np.full(len(wells), "", dtype=object)
        for number in np.flatnonzero(compared_on == where):
            group_of[members[number]] = f"group {number}"
        if (group_of != "").any():
            chosen = np.flatnonzero((wells.is_control & is_corrected) | (group_of != ""))
            found.append(_copairs(wells, corrected, group_of, chosen, positives_differ_by, seed))
    return pd.concat(found) if found else pd.DataFrame(columns=list(_SCORES), dtype=float)


def _copairs(
    wells: WellProfiles,
    corrected: np.ndarray,
    group_of: np.ndarray,
    chosen: np.ndarray,
    positives_differ_by: list[str],
    seed: int,
) -> pd.DataFrame:
    # copairs imports DuckDB and statsmodels, too long for `--help`.
    from copairs.map import average_precision, mean_average_precision
    from copairs.matching import assign_reference_index

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
        pos_diffby=positives_differ_by,
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
    collected: dict[Design, list[np.ndarray]] = {design: [] for design in sorted(designs)}
    for together in drawable_together(wells, collected, correction.batch):
        most = most_wells(together)
        for drawn in draw_pseudo_treatments(wells, correction, most, num_draws=num_draws, seed=seed):
            for design in together:
                group = {plate: drawn.held_out[plate][:, :count] for plate, count in design}
                collected[design].append(mean_normalised_ap(group, drawn.controls))
    return {design: np.concatenate(values) for design, values in collected.items()}
