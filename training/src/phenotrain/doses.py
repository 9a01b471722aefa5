"""Doses within a treatment, counted from the top.

In RxRx2 every dose has its own pair of plates, and the lowest doses may do nothing, so a result is stated
for the top doses and a dose is only ever compared with the controls of its own plates.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from phenotrain.grouping import plate_names

UnitOf = Callable[[str, str], str]
"""Gives the unit of the doses of a treatment and series; empty where none is stated."""

_SIGNIFICANT_DIGITS = 6


def as_recorded(*_names: str) -> str:
    """Return no unit, for any treatment and series."""
    return ""


def dose_rank(sites: pd.DataFrame, control: str) -> np.ndarray:
    """Rank every site's dose within its treatment.

    Concentrations that differ only beyond the sixth significant digit are one dose. A treatment for which no
    concentration is recorded at all has one dose, of rank 1. Where the table has a column `series` (the drug
    behind a treatment's doses), each series has its own ladder.

    Args:
        sites: Sites table with `treatment` and `treatment_conc` (any unit; only the order counts).
        control: Name of the control in `treatment`.

    Returns:
        Float `(num_sites,)`: 1 for the top dose of the treatment, 2 for the next, NaN for the control and
        for a site whose concentration is unknown although others of its treatment have one.
    """
    concentrations = sites["treatment_conc"].to_numpy(dtype=float)
    is_treated = sites["treatment"].to_numpy(dtype=str) != control
    keys = [name for name in ("treatment", "series") if name in sites]
    ladder_of = sites.groupby(keys, dropna=False, sort=False).ngroup().to_numpy()
    ranks = np.full(len(sites), np.nan)
    for group in np.unique(ladder_of[is_treated]):
        rows = np.flatnonzero(is_treated & (ladder_of == group))
        rounded = rounded_doses(concentrations[rows])
        is_known = np.isfinite(rounded)
        if not is_known.any():
            ranks[rows] = 1
            continue
        ladder = np.unique(rounded[is_known])
        ranks[rows[is_known]] = len(ladder) - np.searchsorted(ladder, rounded[is_known])
    return ranks


def top_doses(sites: pd.DataFrame, control: str, num_top_doses: int) -> np.ndarray:
    """Mark the sites of each treatment's highest doses and the controls on their plates.

    Args:
        sites: Sites table.
        control: Name of the control in `treatment`.
        num_top_doses: How many doses to keep of each treatment; 0 keeps all, known or not.

    Returns:
        Boolean `(num_sites,)`. A control is kept only if its plate carries a kept treated site.

    Raises:
        ValueError: If `num_top_doses` is negative.
    """
    if num_top_doses < 0:
        raise ValueError(f"Expected num_top_doses >= 0 (0 keeps all doses). Received: {num_top_doses}.")
    is_control = sites["treatment"].to_numpy(dtype=str) == control
    kept = ~is_control if num_top_doses == 0 else dose_rank(sites, control) <= num_top_doses
    plates = plate_names(sites)
    return kept | (is_control & np.isin(plates, plates[kept]))


def rounded_doses(concentrations: np.ndarray) -> np.ndarray:
    """Round to six significant digits, so that 0.0009999999999999 and 0.001 are one dose; NaN stays NaN."""
    distinct, inverse = np.unique(concentrations, return_inverse=True)
    # Parsing a short decimal gives equal floats for equal doses, which scaling by a power of ten does not.
    decimals = np.array([float(f"{value:.{_SIGNIFICANT_DIGITS - 1}e}") for value in distinct], dtype=float)
    return decimals[inverse]
