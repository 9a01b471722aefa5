"""Responses of wells beside the controls of the same plates: what every statement about doses rests on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from phenotrain.doses import rounded_doses
from phenotrain.grouping import natural_order, plate_names

_SMALLEST_PROBABILITY: Final = 1e-4
"""Probabilities are kept this far from 0 and 1, so that a very sure answer does not outweigh all others."""
_MAX_NAMED: Final = 12


@dataclass(frozen=True)
class DoseTable:
    """What `dose_probability` found.

    Attributes:
        table: A row a treatment, series and dose.
        left_out: Plates whose treated wells are in no row, for lack of controls.
    """

    table: pd.DataFrame
    left_out: tuple[str, ...] = ()


def well_responses(
    sites: pd.DataFrame, rows: np.ndarray, control: str, values: np.ndarray, *, is_probability: bool
) -> pd.DataFrame:
    """Average the sites of wells and subtract the controls of the same plates.

    A plate moves all its wells, and doses may lie on plates of their own, so wells of two plates are compared only
    after the mean of their plates' controls is subtracted.

    Args:
        sites: Sites table; an optional column `series` (the drug behind the doses) is kept apart.
        rows: Integer positions of the sites to use, `(num_rows,)`.
        control: Name of the control.
        values: Response of every site of the table, `(num_sites,)`.
        is_probability: Whether it lies between 0 and 1 and is compared by its logit.

    Returns:
        One row a well: `well_id, plate, treatment, series, treatment_conc, response, linear, effect, is_control`.
        `response` is the mean over the well's sites; `linear` is it, or its logit; `effect` is `linear` minus the mean
        of the plate's control wells, NaN on a plate without any.
    """
    used = sites.iloc[rows]
    wells = (
        pd.DataFrame(
            {
                "well_id": used["well_id"].to_numpy(dtype=str),
                "plate": plate_names(used),
                "treatment": used["treatment"].to_numpy(dtype=str),
                "series": used["series"].astype(str).to_numpy() if "series" in used else "",
                "treatment_conc": rounded_doses(used["treatment_conc"].to_numpy(dtype=float)),
                "response": np.asarray(values, dtype=float)[rows],
            }
        )
        .groupby("well_id", as_index=False)
        .agg(
            plate=("plate", "first"),
            treatment=("treatment", "first"),
            series=("series", "first"),
            treatment_conc=("treatment_conc", "first"),
            response=("response", "mean"),
        )
    )
    wells["linear"] = to_linear(wells["response"].to_numpy(dtype=float), is_probability)
    wells["is_control"] = wells["treatment"] == control
    of_controls = wells[wells["is_control"]].groupby("plate")["linear"].mean()
    wells["effect"] = wells["linear"] - wells["plate"].map(of_controls)
    return wells


def dose_probability(
    sites: pd.DataFrame, rows: np.ndarray, control: str, probability_treated: np.ndarray
) -> DoseTable:
    """Average the probability of "treated" over the wells of every treatment and dose.

    Treatments that were not learned are included: they show what the model makes of them. Wells on plates without
    controls are left out.

    Args:
        sites: Sites table; an optional column `series` (the drug behind the doses) is kept apart.
        rows: Integer positions of the sites to use, `(num_rows,)`.
        control: Name of the control.
        probability_treated: One minus the probability of the control, `(num_sites,)`.

    Returns:
        One row a treatment, series and dose, doses ascending, with the columns `treatment, series,
        treatment_conc, num_wells, probability, num_control_wells, control_probability, effect`. The last two are
        means over the treated wells: of the mean of their plates' control wells, and of the logit of their own
        probability minus the mean logit of those controls.
    """
    wells = well_responses(sites, rows, control, probability_treated, is_probability=True)
    is_control, is_compared = wells["is_control"], wells["effect"].notna()
    by_plate = wells[is_control].groupby("plate")["response"]
    num_controls, control_mean = by_plate.size(), by_plate.mean()
    rows_out: list[dict[str, object]] = []
    keys = ["treatment", "series", "treatment_conc"]
    for key, group in wells[~is_control & is_compared].groupby(keys, dropna=False, sort=True):
        rows_out.append(
            {
                **dict(zip(keys, key, strict=True)),
                "num_wells": len(group),
                "probability": group["response"].mean(),
                "num_control_wells": int(num_controls[group["plate"].unique()].sum()),
                "control_probability": group["plate"].map(control_mean).mean(),
                "effect": group["effect"].mean(),
            }
        )
    columns = [*keys, "num_wells", "probability", "num_control_wells", "control_probability", "effect"]
    left_out = natural_order(wells["plate"][~is_compared])
    return DoseTable(pd.DataFrame(rows_out, columns=columns), tuple(left_out))


def to_linear(values: np.ndarray, is_probability: bool) -> np.ndarray:
    """Return a probability's logit, any other response as it is."""
    if not is_probability:
        return values
    return logit(np.clip(values, _SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY))


def from_linear(values: np.ndarray, is_probability: bool) -> np.ndarray:
    """Undo `to_linear`."""
    return expit(values) if is_probability else values


def left_out_text(plates: Sequence[str]) -> str:
    """Say which plates take no part for lack of controls; empty when all do."""
    if not plates:
        return ""
    named = ", ".join(plates[:_MAX_NAMED])
    more = f" and {len(plates) - _MAX_NAMED} more" if len(plates) > _MAX_NAMED else ""
    return f"Left out, for no control well among the wells used here is on the plate: {named}{more}."
