"""All that well profiles say about a screen, as values and tables."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from phenotrain.grouping import natural_order
from phenotrain.profiles.activity import phenotypic_activity
from phenotrain.profiles.batch_effect import BATCH_EFFECT_COLUMNS, batch_predictability
from phenotrain.profiles.correction import (
    MIN_CONTROLS,
    Batch,
    Correction,
    fit_correction,
    num_controls,
    training_rows,
)
from phenotrain.profiles.draws import NUM_DRAWS
from phenotrain.profiles.errors import ProfileError
from phenotrain.profiles.layout_umap import drawn_rows, umap_layout
from phenotrain.profiles.notes import notes_on_activity, notes_on_correction, wells_text
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
        wells: Raw well profiles.
        corrected: Corrected profiles, `(num_wells, component)`, float64; NaN in the rows of wells that could not be.
        why_uncorrected: Why a well could not be corrected, empty where it is; `(num_wells,)`.
        correction: How they were corrected; None where nothing could be.
        activity: `phenotypic_activity`'s table.
        batch_effect: `batch_predictability`'s table.
        similarity: Between treatments; None with fewer than two that are corrected, or in one dimension.
        layout: Rows of `wells` that were laid out by UMAP as `row`, with `raw_x, raw_y` and, where there are corrected
            profiles, `corrected_x, corrected_y`.
        notes: What could not be computed or was left out, one sentence each.
    """

    control: str
    treatments: tuple[str, ...]
    num_top_doses: int
    num_draws: int
    wells: WellProfiles
    corrected: np.ndarray
    why_uncorrected: np.ndarray
    correction: Correction | None
    activity: pd.DataFrame
    batch_effect: pd.DataFrame
    similarity: Similarity | None
    layout: pd.DataFrame
    notes: tuple[str, ...]

    @property
    def is_corrected(self) -> np.ndarray:
        """True for the wells whose profiles are corrected, `(num_wells,)`."""
        return self.why_uncorrected == ""

    @property
    def is_fitted_on_training(self) -> bool:
        """Whether the correction's shared part rests on controls of the training role alone."""
        if self.correction is None:
            return False
        corrected = self.wells.take(self.is_corrected)
        rows = training_rows(corrected, self.correction.batch)
        return bool((corrected.wells["role"].iloc[rows] == "train").all())

    @property
    def headline(self) -> str:
        """The findings in two sentences."""
        judged = self.activity["q_value"].notna()
        num_active = int(self.activity["is_active"].sum())
        if judged.any():
            text = (
                f"{num_active} of {int(judged.sum())} treatments and doses are active "
                "(mAP against same-plate controls, q < 0.05)."
            )
        elif self.is_corrected.any():
            text = f"Profiles of {wells_text(len(self.wells))}; whether a treatment does something cannot be told."
        else:
            text = f"Raw profiles of {wells_text(len(self.wells))}; none could be corrected for what its plate does."
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
            "num_corrected_wells": int(self.is_corrected.sum()),
            "num_top_doses": self.num_top_doses,
            "num_draws": self.num_draws,
            "correction": None if self.correction is None else correction_settings(self.correction),
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
    `MIN_CONTROLS` controls keep raw profiles only, and a note says so.

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
        ValueError: If the inputs do not fit each other.
    """
    wells = well_profiles(sites, embeddings, roles, control)
    correction, why_uncorrected = _fitted(wells, batch, max_components)
    is_corrected = (why_uncorrected == "") & (correction is not None)
    corrected = np.full((len(wells), 0 if correction is None else correction.num_components), np.nan)
    present = natural_order(wells.wells["treatment"][~wells.is_control])
    judged = tuple(name for name in (treatments or present) if name != control and name in set(present))
    effect, similarity = pd.DataFrame([], columns=list(BATCH_EFFECT_COLUMNS)), None
    if correction is not None:
        some = wells.take(is_corrected)
        corrected[is_corrected] = correction.apply(some)
        effect = batch_predictability(some, batch, max_components=max_components, seed=seed)
        similarity = treatment_similarity(
            some,
            correction,
            corrected[is_corrected],
            judged,
            num_top_doses=num_top_doses,
            num_draws=num_draws,
            seed=seed,
        )
    activity = phenotypic_activity(wells, correction, corrected, judged, num_draws=num_draws, seed=seed)
    notes = notes_on_correction(wells, control, batch, why_uncorrected, correction)
    if correction is not None:
        notes += notes_on_activity(activity, num_draws)
        if "corrected" not in set(effect["profiles"]):
            notes.append(
                "How well the batch is told from corrected profiles needs more batches, or more controls in each."
            )
    return ProfileFindings(
        control=control,
        treatments=judged,
        num_top_doses=num_top_doses,
        num_draws=num_draws,
        wells=wells,
        corrected=corrected,
        why_uncorrected=why_uncorrected,
        correction=correction,
        activity=activity,
        batch_effect=effect,
        similarity=similarity,
        layout=_layout(wells, corrected, is_corrected, judged, seed) if with_umap else pd.DataFrame(),
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


def _fitted(
    wells: WellProfiles, batch: Batch, max_components: int | None
) -> tuple[Correction | None, np.ndarray]:
    """Fit the correction on the wells that it can correct; say of all others why not, `(num_wells,)`."""
    counts = num_controls(wells, batch)
    few = np.array(
        [f"{count} control wells on its {batch}, {MIN_CONTROLS} needed" for count in counts], dtype=object
    )
    reasons = np.where(counts < MIN_CONTROLS, few, "")
    if (reasons != "").all():
        return None, reasons
    try:
        return fit_correction(wells.take(reasons == ""), batch, max_components=max_components), reasons
    except ProfileError as error:
        return None, np.where(reasons == "", str(error).partition(".")[0].lower(), reasons)


def _layout(
    wells: WellProfiles, corrected: np.ndarray, is_corrected: np.ndarray, judged: Sequence[str], seed: int
) -> pd.DataFrame:
    shown = wells.is_control | wells.wells["treatment"].isin(list(judged)).to_numpy(dtype=bool)
    if is_corrected.any():
        shown &= is_corrected
    candidates = np.flatnonzero(shown)
    rows = candidates[drawn_rows(len(candidates), seed=seed)]
    spaces = {"raw": wells.profiles, **({"corrected": corrected} if is_corrected.any() else {})}
    placed = {space: umap_layout(profiles[rows], seed=seed) for space, profiles in spaces.items()}
    columns = {
        f"{space}_{axis}": found[:, number]
        for space, found in placed.items()
        if found is not None
        for number, axis in enumerate("xy")
    }
    return pd.DataFrame({"row": rows, **columns}) if columns else pd.DataFrame()


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {
            str(key): None if isinstance(value, float) and math.isnan(value) else value
            for key, value in row.items()
        }
        for row in table.to_dict(orient="records")
    ]
