"""Responses of wells beside the controls of the same plates: what every statement about doses rests on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from scipy.special import expit

from phenotrain.doses import rounded_doses
from phenotrain.grouping import natural_order, plate_names

_SMALLEST_PROBABILITY: Final = 1e-12
"""Below it a probability counts as this, so that log odds are finite."""
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


def treated_log_odds(probabilities: np.ndarray, control: int) -> np.ndarray:
    """Return the log odds of not being the control: the scale on which a classifier adds up, where P saturates.

    Args:
        probabilities: Of every class, `(num_sites, num_classes)`.
        control: Column of the control.

    Returns:
        `log(1 - P(control)) - log P(control)`, `(num_sites,)`; the former from the sum of the other classes, so that it
        stays exact where that is tiny.
    """
    of_control = probabilities[:, control].astype(float)
    of_others = np.delete(probabilities, control, axis=1).astype(float).sum(axis=1)
    smallest = _SMALLEST_PROBABILITY
    return np.log(np.maximum(of_others, smallest)) - np.log(np.maximum(of_control, smallest))


def well_responses(sites: pd.DataFrame, rows: np.ndarray, control: str, values: np.ndarray) -> pd.DataFrame:
    """Average the sites of wells and subtract the controls of the same plates.

    A plate moves all its wells, and doses may lie on plates of their own, so wells of two plates are compared only
    after the mean of their plates' controls is subtracted.

    Args:
        sites: Sites table; an optional column `series` (the drug behind the doses) is kept apart.
        rows: Integer positions of the sites to use, `(num_rows,)`.
        control: Name of the control.
        values: Response of every site of the table on the scale where effects add up, `(num_sites,)`: log odds, not
            probabilities.

    Returns:
        One row a well: `well_id, plate, treatment, series, treatment_conc, response, effect, is_control`. `response` is
        the mean over the well's sites; `effect` is it minus the mean of the plate's control wells, NaN on a plate
        without any.
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
    wells["is_control"] = wells["treatment"] == control
    of_controls = wells[wells["is_control"]].groupby("plate")["response"].mean()
    wells["effect"] = wells["response"] - wells["plate"].map(of_controls)
    return wells


def dose_probability(sites: pd.DataFrame, rows: np.ndarray, control: str, log_odds: np.ndarray) -> DoseTable:
    """Average "treated", as log odds and as a probability, over the wells of every treatment and dose.

    Treatments that were not learned are included: they show what the model makes of them. Wells on plates without
    controls are left out.

    Args:
        sites: Sites table; an optional column `series` (the drug behind the doses) is kept apart.
        rows: Integer positions of the sites to use, `(num_rows,)`.
        control: Name of the control.
        log_odds: Log odds of not being the control, `(num_sites,)`, as `treated_log_odds` gives them.

    Returns:
        One row a treatment, series and dose, doses ascending, with the columns `treatment, series, treatment_conc,
        num_wells, probability, log_odds, num_control_wells, control_probability, control_log_odds, effect`. The
        control's are means over the treated wells of the mean of their plates' control wells; `effect` is `log_odds`
        minus `control_log_odds`.
    """
    wells = well_responses(sites, rows, control, log_odds)
    wells["probability"] = well_responses(sites, rows, control, expit(log_odds))["response"]
    is_control, is_compared = wells["is_control"], wells["effect"].notna()
    by_plate = wells[is_control].groupby("plate")
    num_controls, of_controls = by_plate.size(), by_plate[["probability", "response"]].mean()
    rows_out: list[dict[str, object]] = []
    keys = ["treatment", "series", "treatment_conc"]
    for key, group in wells[~is_control & is_compared].groupby(keys, dropna=False, sort=True):
        beside = of_controls.loc[group["plate"]]
        rows_out.append(
            {
                **dict(zip(keys, key, strict=True)),
                "num_wells": len(group),
                "probability": group["probability"].mean(),
                "log_odds": group["response"].mean(),
                "num_control_wells": int(num_controls[group["plate"].unique()].sum()),
                "control_probability": beside["probability"].mean(),
                "control_log_odds": beside["response"].mean(),
                "effect": group["effect"].mean(),
            }
        )
    columns = [
        *(*keys, "num_wells", "probability", "log_odds"),
        *("num_control_wells", "control_probability", "control_log_odds", "effect"),
    ]
    left_out = natural_order(wells["plate"][~is_compared])
    return DoseTable(pd.DataFrame(rows_out, columns=columns), tuple(left_out))


def left_out_text(plates: Sequence[str]) -> str:
    """Say which plates take no part for lack of controls; empty when all do."""
    if not plates:
        return ""
    named = ", ".join(plates[:_MAX_NAMED])
    more = f" and {len(plates) - _MAX_NAMED} more" if len(plates) > _MAX_NAMED else ""
    return f"Left out, for no control well among the wells used here is on the plate: {named}{more}."
