"""All that well profiles say about a screen, as values and tables."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from phenotrain.grouping import natural_order
from phenotrain.profiles.activity import SIGNIFICANCE, phenotypic_activity
from phenotrain.profiles.batch_effect import batch_predictability
from phenotrain.profiles.correction import MIN_CONTROLS, Batch, Correction, fit_correction
from phenotrain.profiles.draws import NUM_DRAWS
from phenotrain.profiles.errors import ProfileError
from phenotrain.profiles.layout_umap import drawn_rows, umap_layout
from phenotrain.profiles.similarity import Similarity, treatment_similarity
from phenotrain.profiles.wells import WellProfiles, well_profiles


@dataclass(frozen=True)
class ProfileFindings:
    """What was found.

    Attributes:
        control: Name of the control.
        treatments: Treatments that were judged.
        num_top_doses: Doses of each treatment behind the similarities; 0 for all.
        num_draws: Pseudo-treatments behind each p.
        wells: Raw well profiles, of the batches that could be corrected.
        corrected: Corrected profiles, `(num_wells, component)`, float64.
        correction: How they were corrected.
        activity: `phenotypic_activity`'s table.
        batch_effect: `batch_predictability`'s table.
        similarity: Between treatments; None with fewer than two.
        layout: Rows of `wells` that were laid out by UMAP as `row`, with `raw_x, raw_y, corrected_x, corrected_y`.
        notes: What could not be computed or was left out, one sentence each.
    """

    control: str
    treatments: tuple[str, ...]
    num_top_doses: int
    num_draws: int
    wells: WellProfiles
    corrected: np.ndarray
    correction: Correction
    activity: pd.DataFrame
    batch_effect: pd.DataFrame
    similarity: Similarity | None
    layout: pd.DataFrame
    notes: tuple[str, ...]

    @property
    def headline(self) -> str:
        """The findings in two sentences."""
        judged = self.activity["q_value"].notna()
        num_active = int(self.activity["is_active"].sum())
        text = (
            f"{num_active} of {int(judged.sum())} treatments and doses are active "
            "(mAP against same-plate controls, q < 0.05)."
            if judged.any()
            else "Activity was not computed."
        )
        plate = self.batch_effect[self.batch_effect["predicted"] == "plate"]
        told = dict(zip(plate["profiles"], plate["balanced_accuracy"], strict=True))
        if {"raw", "corrected"} <= set(told):
            text += (
                f" A control's plate is told from its profile with balanced accuracy {told['raw']:.2f} before and "
                f"{told['corrected']:.2f} after correction, chance {plate['chance'].iloc[0]:.2f}."
            )
        return text

    def to_json(self) -> dict[str, Any]:
        """Return everything but profiles and layout as JSON-able values; NaN becomes None."""
        pairs = None if self.similarity is None else _records(self.similarity.pairs())
        return {
            "headline": self.headline,
            "control": self.control,
            "num_wells": len(self.wells),
            "num_top_doses": self.num_top_doses,
            "num_draws": self.num_draws,
            "correction": correction_settings(self.correction),
            "activity": _records(self.activity),
            "batch_effect": _records(self.batch_effect),
            "similarity": pairs,
            "notes": list(self.notes),
        }


def find_profiles(
    sites: pd.DataFrame,
    embeddings: np.ndarray,
    roles: np.ndarray,
    control: str,
    *,
    treatments: Sequence[str] | None = None,
    seed: int = 0,
    batch: Batch = "plate",
    num_top_doses: int = 3,
    num_draws: int = NUM_DRAWS,
    max_components: int | None = None,
    with_umap: bool = True,
) -> ProfileFindings:
    """Average, correct, and look at activity, batch effect, similarity and layout.

    Labels of treatments serve to compare wells, never to fit the correction. Wells of batches with fewer than
    `MIN_CONTROLS` controls are left out, and a note says so.

    Args:
        sites: Sites table.
        embeddings: `(num_sites, embedding)`, row i for row i of the table.
        roles: `train`, `validation`, `test` or `unused` of every site; the correction is fitted on controls of `train`.
        control: Name of the control in `treatment`.
        treatments: Treatments to judge; all of the table by default.
        seed: Seed of everything random.
        batch: Correct by `plate` or by `experiment`.
        num_top_doses: Doses of each treatment behind the similarities; 0 for all.
        num_draws: Pseudo-treatments behind each p.
        max_components: As for `fit_correction`.
        with_umap: Whether to lay wells out.

    Returns:
        The findings.

    Raises:
        ProfileError: If too few training controls are there to fit the correction.
        ValueError: If the inputs do not fit each other.
    """
    everything = well_profiles(sites, embeddings, roles, control)
    if not everything.is_control.any():
        raise ProfileError(f"Expected wells of the control {control!r} in the table. Received: none.")
    wells, notes = _correctable(everything, batch)
    present = natural_order(wells.wells["treatment"][~wells.is_control])
    judged = tuple(name for name in (treatments or present) if name != control and name in set(present))
    correction = fit_correction(wells, batch, max_components=max_components)
    corrected = correction.apply(wells)
    activity = phenotypic_activity(wells, correction, corrected, judged, num_draws=num_draws, seed=seed)
    if activity["p_value"].isna().any():
        num_missing = int(activity["p_value"].isna().sum())
        notes.append(
            f"{num_missing} of {len(activity)} treatments and doses have no p for their activity: they are on one "
            "plate only, or their plates have too few controls to draw pseudo-treatments from."
        )
    notes += notes_on_draws(activity, num_draws)
    effect = batch_predictability(wells, batch, max_components=max_components, seed=seed)
    if "corrected" not in set(effect["profiles"]):
        notes.append(
            "How well the batch is told from corrected profiles needs more batches, or more controls in each."
        )
    similarity = treatment_similarity(
        wells, correction, corrected, judged, num_top_doses=num_top_doses, num_draws=num_draws, seed=seed
    )
    return ProfileFindings(
        control=control,
        treatments=judged,
        num_top_doses=num_top_doses,
        num_draws=num_draws,
        wells=wells,
        corrected=corrected,
        correction=correction,
        activity=activity,
        batch_effect=effect,
        similarity=similarity,
        layout=_layout(wells, corrected, judged, seed) if with_umap else pd.DataFrame(),
        notes=tuple(notes),
    )


def correction_settings(correction: Correction) -> dict[str, Any]:
    """Return what the correction is and rests on, as JSON-able values."""
    counts = list(correction.num_references.values())
    return {
        "method": "TVN with CORAL on controls",
        "batch": correction.batch,
        "num_batches": len(correction.batches),
        "num_components": correction.num_components,
        "num_training_controls": correction.num_training_controls,
        "fewest_references": min(counts),
        "most_references": max(counts),
        "num_constant_dimensions": int((~correction.whitening.kept).sum()),
    }


def _correctable(wells: WellProfiles, batch: Batch) -> tuple[WellProfiles, list[str]]:
    names = wells.batches(batch)
    counts = {name: int((wells.is_control & (names == name)).sum()) for name in natural_order(names)}
    poor = [name for name, count in counts.items() if count < MIN_CONTROLS]
    kept = ~np.isin(names, poor)
    if not poor or not kept.any():
        return wells, []
    note = (
        f"{int((~kept).sum())} wells are left out, of {batch}s with fewer than {MIN_CONTROLS} controls: "
        f"{', '.join(poor)}."
    )
    return wells.take(kept), [note]


def notes_on_draws(activity: pd.DataFrame, num_draws: int) -> list[str]:
    """Say where the smallest p that the draws can give is too large to call one treatment and dose active.

    Args:
        activity: `phenotypic_activity`'s table; its column `p_value` is used.
        num_draws: Pseudo-treatments behind each p.

    Returns:
        One sentence, or none where a single treatment and dose can be active.
    """
    num_judged, smallest = int(activity["p_value"].notna().sum()), 1 / (1 + num_draws)
    # Of m hypotheses, k at the smallest p have q = smallest * m / k.
    num_needed = int(smallest * num_judged // SIGNIFICANCE) + 1
    if num_needed < 2:
        return []
    what = (
        f"fewer than {num_needed} of the {num_judged} treatments and doses cannot be active, whatever they do"
    )
    if num_needed > num_judged:
        what = f"no q can fall below {SIGNIFICANCE}"
    return [f"With {num_draws} pseudo-treatments {what}; draw more (`--draws`)."]


def _layout(wells: WellProfiles, corrected: np.ndarray, judged: Sequence[str], seed: int) -> pd.DataFrame:
    shown = np.flatnonzero(
        wells.is_control | wells.wells["treatment"].isin(list(judged)).to_numpy(dtype=bool)
    )
    rows = shown[drawn_rows(len(shown), seed=seed)]
    raw, after = (umap_layout(profiles[rows], seed=seed) for profiles in (wells.profiles, corrected))
    if raw is None or after is None:
        return pd.DataFrame()
    return pd.DataFrame(
        {
            "row": rows,
            "raw_x": raw[:, 0],
            "raw_y": raw[:, 1],
            "corrected_x": after[:, 0],
            "corrected_y": after[:, 1],
        }
    )


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {
            str(key): None if isinstance(value, float) and math.isnan(value) else value
            for key, value in row.items()
        }
        for row in table.to_dict(orient="records")
    ]
