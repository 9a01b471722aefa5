"""Well profiles: the mean of a well's site embeddings, with what the screen says about the well."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from phenotrain.doses import dose_rank, rounded_doses
from phenotrain.grouping import plate_names

_WELL_COLUMNS: Final = ("cell_type", "experiment", "plate", "well", "treatment")


@dataclass(frozen=True)
class WellProfiles:
    """Well profiles and their wells, row i for row i.

    Attributes:
        wells: One row a well, sorted by `well_id`: `well_id, cell_type, experiment, plate, well, treatment, series,
            treatment_conc, dose_rank, plate_name, role, num_sites, is_control`. Concentrations are rounded to six
            digits; `series` is empty where the screen has none; `plate_name` tells plates of two experiments apart.
        profiles: Mean embeddings, `(num_wells, embedding)`, float64.
    """

    wells: pd.DataFrame
    profiles: np.ndarray

    def __len__(self) -> int:
        return len(self.wells)

    @property
    def is_control(self) -> np.ndarray:
        """True for the wells of the control, `(num_wells,)`."""
        return self.wells["is_control"].to_numpy(dtype=bool)

    def batches(self, batch: str) -> np.ndarray:
        """Return the batch of every well: its plate's name or its experiment, `(num_wells,)`.

        Args:
            batch: `plate` or `experiment`.
        """
        return self.wells["plate_name" if batch == "plate" else "experiment"].to_numpy(dtype=str)

    def take(self, chosen: np.ndarray) -> "WellProfiles":
        """Return some of the wells.

        Args:
            chosen: Mask or row numbers.
        """
        rows = np.flatnonzero(chosen) if chosen.dtype == bool else chosen
        return WellProfiles(self.wells.iloc[rows].reset_index(drop=True), self.profiles[rows])


def well_profiles(
    sites: pd.DataFrame, embeddings: np.ndarray, roles: np.ndarray, control: str
) -> WellProfiles:
    """Average the sites of every well.

    Args:
        sites: Sites table.
        embeddings: `(num_sites, embedding)`, row i for row i of the table.
        roles: Role of every site in the split, such as `train`; `(num_sites,)`.
        control: Name of the control in `treatment`.

    Returns:
        One profile a well.

    Raises:
        ValueError: If the lengths differ, an embedding is not finite, or the sites of a well disagree about its
            plate, treatment, concentration or role; the well is named.
    """
    if not len(sites) == len(embeddings) == len(roles):
        raise ValueError(
            f"Expected one embedding and one role a site. Received: {len(sites)} sites, {len(embeddings)} "
            f"embeddings, {len(roles)} roles."
        )
    if not np.isfinite(embeddings).all():
        bad = np.flatnonzero(~np.isfinite(embeddings).all(axis=1))
        raise ValueError(
            f"Expected finite embeddings. {len(bad)} are not, the first of {sites['site_id'].iloc[bad[0]]}. "
            "Embed these sites again, or leave them out."
        )
    table = pd.DataFrame({name: sites[name].astype(str).to_numpy(dtype=object) for name in _WELL_COLUMNS})
    table.insert(0, "well_id", sites["well_id"].astype(str).to_numpy(dtype=object))
    table["series"] = sites["series"].astype(str).to_numpy(dtype=object) if "series" in sites else ""
    table["treatment_conc"] = rounded_doses(sites["treatment_conc"].to_numpy(dtype=float))
    table["dose_rank"] = dose_rank(sites, control)
    table["plate_name"] = plate_names(sites).astype(object)
    table["role"] = np.asarray(roles).astype(str).astype(object)
    distinct = table.drop_duplicates()
    repeated = distinct["well_id"].duplicated()
    if repeated.any():
        raise ValueError(
            f"Expected the sites of a well to agree; those of {distinct.loc[repeated, 'well_id'].iloc[0]!r} differ in "
            "plate, treatment, concentration or role. Build well_id from experiment, plate and well, and split by well."
        )
    names, well_of, num_sites = np.unique(
        table["well_id"].to_numpy(dtype=str), return_inverse=True, return_counts=True
    )
    sums = np.zeros((len(names), embeddings.shape[1]))
    np.add.at(sums, well_of, embeddings)
    wells = distinct.sort_values("well_id", ignore_index=True)
    wells["num_sites"] = num_sites
    wells["is_control"] = wells["treatment"] == control
    return WellProfiles(wells, sums / num_sites[:, None])
