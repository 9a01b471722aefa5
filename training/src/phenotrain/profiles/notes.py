"""What profiles could not be given, why, and which option gives them, one sentence each."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from phenotrain.datasets.spelling import not_among
from phenotrain.grouping import natural_order
from phenotrain.profiles.activity import SAME_PLATE, SIGNIFICANCE
from phenotrain.profiles.correction import (
    CONTROLS_PER_COMPONENT,
    MIN_CONTROLS,
    Batch,
    Correction,
    num_controls,
)
from phenotrain.profiles.wells import WellProfiles

_MAX_NAMED = 4
_FEW_COMPONENTS = 4


def notes_on_correction(
    wells: WellProfiles,
    control: str,
    batch: Batch,
    why_uncorrected: np.ndarray,
    correction: Correction | None,
) -> list[str]:
    """Say which wells are uncorrected, what would correct them, and on what little a correction rests.

    Args:
        wells: All wells.
        control: Name of the control.
        batch: What the correction takes for a batch.
        why_uncorrected: Reason of every well, empty where it is corrected; `(num_wells,)`.
        correction: What was fitted, if anything.
    """
    notes: list[str] = []
    is_poor = why_uncorrected != ""
    if not wells.is_control.any():
        found = not_among("control", control, wells.wells["treatment"])
        return [
            f"{found} So no profile is corrected. Write the control as the table does, in the description's [task]."
        ]
    if is_poor.any():
        notes.append(_on_poor_batches(wells, control, batch, is_poor, why_uncorrected))
    if correction is None:
        return notes
    if correction.num_components < _FEW_COMPONENTS:
        notes.append(
            f"Corrected profiles rest on {wells_text(correction.num_training_controls)} of {control} and have "
            f"{dimensions_text(correction.num_components)}, one for every {CONTROLS_PER_COMPONENT} wells "
            "(`--components` sets another number): unlike treatments can look alike."
        )
    return notes


def notes_on_activity(activity: pd.DataFrame, num_draws: int) -> list[str]:
    """Say which treatments and doses have no p and why, and what comparisons on one plate leave open.

    Args:
        activity: `phenotypic_activity`'s table.
        num_draws: Pseudo-treatments behind each p.
    """
    notes: list[str] = []
    reasons = activity.loc[activity["p_value"].isna(), "why_no_p"].value_counts(sort=False)
    if len(reasons):
        told = "; ".join(f"{reason} ({count})" for reason, count in reasons.items())
        notes.append(
            f"{reasons.sum()} of {len(activity)} treatments and doses have no p for their activity: {told}."
        )
    num_same = int(((activity["compared_on"] == SAME_PLATE) & activity["p_value"].notna()).sum())
    if num_same:
        notes.append(
            f"{num_same} of {len(activity)} treatments and doses are on one plate, where their wells are compared with "
            "each other: an effect of their positions on the plate is not excluded."
        )
    return notes + notes_on_draws(activity, num_draws)


def notes_on_draws(activity: pd.DataFrame, num_draws: int) -> list[str]:
    """Say where the smallest p that the draws can give is too large to call one treatment and dose active.

    Args:
        activity: `phenotypic_activity`'s table; its columns `p_value` and `smallest_p` are used.
        num_draws: Pseudo-treatments behind each p.

    Returns:
        One sentence, or none where a single treatment and dose can be active.
    """
    judged = activity[activity["p_value"].notna()]
    if judged.empty:
        return []
    num_judged, smallest = len(judged), float(judged["smallest_p"].min())
    # Of m hypotheses, k at the smallest p have q = smallest * m / k.
    num_needed = int(smallest * num_judged // SIGNIFICANCE) + 1
    if num_needed < 2:
        return []
    what = (
        f"fewer than {num_needed} of the {num_judged} treatments and doses cannot be active, whatever they do"
    )
    if num_needed > num_judged:
        what = f"no q can fall below {SIGNIFICANCE}"
    if smallest <= 1 / (1 + num_draws):
        return [f"With {num_draws} pseudo-treatments {what}; draw more (`--draws`)."]
    few = f"With so few controls on these plates (smallest possible p {smallest:.3f}) {what}"
    return [f"{few}; judge fewer at a time (`--treatment`), or put more controls on a plate."]


def wells_text(num_wells: int) -> str:
    """Count wells."""
    return "1 well" if num_wells == 1 else f"{num_wells} wells"


def dimensions_text(num_dimensions: int) -> str:
    """Count dimensions."""
    return "one dimension" if num_dimensions == 1 else f"{num_dimensions} dimensions"


def _on_poor_batches(
    wells: WellProfiles, control: str, batch: Batch, is_poor: np.ndarray, why_uncorrected: np.ndarray
) -> str:
    if is_poor.all():
        text = "No profile is corrected; the raw ones are written."
    else:
        text = f"{wells_text(int(is_poor.sum()))} of {len(wells)} keep raw profiles only."
    counts = num_controls(wells, batch)
    names = wells.batches(batch)
    few = natural_order(names[is_poor & (counts < MIN_CONTROLS)])
    if not few:
        return f"{text} {why_uncorrected[is_poor][0].capitalize()}."
    count_of = dict(zip(names, counts, strict=True))
    text += f" A {batch} needs {MIN_CONTROLS} wells of {control}; too few have {_counted(few, count_of)}."
    num_wider = num_controls(wells, "experiment")
    gained = is_poor & (num_wider >= MIN_CONTROLS) & ~wells.is_control
    if batch == "plate" and gained.any():
        return (
            f"{text} `--batch experiment` corrects {wells_text(int(gained.sum()))} more with a treatment, and leaves "
            "what differs between plates of one experiment."
        )
    treated = is_poor & ~wells.is_control
    if treated.any() and not counts[treated].any():
        return (
            f"{text} No well there shares its {batch} with a control, so what is a treatment's and what is its "
            f"{batch}'s cannot be told apart."
        )
    return f"{text} No option corrects by fewer; put more controls on a {batch} next time."


def _counted(names: Sequence[str], count_of: dict[str, int]) -> str:
    some = [f"{name} ({count_of[name]})" for name in names if count_of[name]]
    bare = [name for name in names if not count_of[name]]
    return ", and ".join([_listed(some)] * bool(some) + [f"none at all {_listed(bare)}"] * bool(bare))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_MAX_NAMED]) + (
        f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    )
