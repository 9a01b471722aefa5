"""Mean probability of having been treated, per dose, beside the controls of the same plates."""

import numpy as np
import pandas as pd

from phenotrain.doses import rounded_doses
from phenotrain.grouping import plate_names


def dose_probability(
    sites: pd.DataFrame, rows: np.ndarray, control: str, probability_treated: np.ndarray
) -> pd.DataFrame:
    """Average the probability of "treated" over the wells of every treatment and dose.

    Treatments that were not learned are included: they show what the model makes of them.

    Args:
        sites: Sites table; an optional column `series` (the drug behind the doses) is kept apart.
        rows: Integer positions of the sites to use, `(num_rows,)`.
        control: Name of the control.
        probability_treated: One minus the probability of the control, `(num_sites,)`.

    Returns:
        One row a treatment, series and dose, doses ascending, with the columns `treatment, series,
        treatment_conc, num_wells, probability, num_control_wells, control_probability`. The last is the mean
        over the treated wells of the mean of their plates' control wells, NaN where no plate has one.
    """
    used = sites.iloc[rows]
    frame = pd.DataFrame(
        {
            "well_id": used["well_id"].to_numpy(dtype=str),
            "plate": plate_names(used),
            "treatment": used["treatment"].to_numpy(dtype=str),
            "series": used["series"].astype(str).to_numpy() if "series" in used else "",
            "treatment_conc": rounded_doses(used["treatment_conc"].to_numpy(dtype=float)),
            "probability": np.asarray(probability_treated, dtype=float)[rows],
        }
    )
    wells = frame.groupby("well_id", as_index=False).agg(
        plate=("plate", "first"),
        treatment=("treatment", "first"),
        series=("series", "first"),
        treatment_conc=("treatment_conc", "first"),
        probability=("probability", "mean"),
    )
    is_control = wells["treatment"] == control
    by_plate = wells[is_control].groupby("plate")["probability"]
    num_controls, control_mean = by_plate.size(), by_plate.mean()
    rows_out: list[dict[str, object]] = []
    keys = ["treatment", "series", "treatment_conc"]
    for key, group in wells[~is_control].groupby(keys, dropna=False, sort=True):
        plates = group["plate"].unique()
        rows_out.append(
            {
                **dict(zip(keys, key, strict=True)),
                "num_wells": len(group),
                "probability": group["probability"].mean(),
                "num_control_wells": int(num_controls.reindex(plates).fillna(0).sum()),
                "control_probability": group["plate"].map(control_mean).mean(),
            }
        )
    columns = [*keys, "num_wells", "probability", "num_control_wells", "control_probability"]
    return pd.DataFrame(rows_out, columns=columns)
