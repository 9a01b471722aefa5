"""The wells that a side of the split is scored on, and their sites."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from phenotrain.doses import rounded_doses
from phenotrain.evaluate.predictions import ModelPredictions
from phenotrain.grouping import natural_order, plate_names, treated_names

Level = Literal["site", "well"]

_MAX_NAMED = 4


@dataclass(frozen=True)
class Wells:
    """Labelled wells and the sites in them.

    Attributes:
        rows: Row of every site in the sites table, `(num_sites,)`.
        well_of: Index of every site's well, `(num_sites,)`.
        codes: Class of every well, `(num_wells,)`.
        plates: Plate of every well, `(num_wells,)`.
        doses: Dose of every well, NaN where it has none, `(num_wells,)`.
    """

    rows: np.ndarray
    well_of: np.ndarray
    codes: np.ndarray
    plates: np.ndarray
    doses: np.ndarray

    @classmethod
    def among(cls, sites: pd.DataFrame, chosen: np.ndarray, classes: Sequence[str]) -> "Wells":
        """Collect the wells of the chosen sites; all of them carry one of the classes.

        Args:
            sites: Sites table.
            chosen: True for the sites to collect, `(num_sites,)`.
            classes: In logit order.
        """
        rows = np.flatnonzero(chosen)
        of_rows = sites.iloc[rows]
        _, first, well_of = np.unique(
            of_rows["well_id"].to_numpy(dtype=str), return_index=True, return_inverse=True
        )
        wells = of_rows.iloc[first]
        code_of = {name: code for code, name in enumerate(classes)}
        _, plates = np.unique(plate_names(wells), return_inverse=True)
        return cls(
            rows,
            well_of,
            np.array([code_of[name] for name in wells["treatment"]]),
            plates,
            rounded_doses(wells["treatment_conc"].to_numpy(dtype=float)),
        )

    def __len__(self) -> int:
        return len(self.codes)

    def unit_wells(self, level: Level) -> np.ndarray:
        """Return the well of every unit: of every site, or each well itself."""
        return self.well_of if level == "site" else np.arange(len(self))

    def unit_predictions(self, found: ModelPredictions, model: str, level: Level) -> ModelPredictions:
        """Return the predictions of every unit, a well's being the mean over its sites.

        Raises:
            ValueError: If one of them is not finite; `model` is named.
        """
        binary = found.versus_control
        return ModelPredictions(
            self._of_units(found.probabilities, model, level),
            None if binary is None else self._of_units(binary, model, level),
        )

    def _of_units(self, values: np.ndarray, model: str, level: Level) -> np.ndarray:
        values = values[self.rows].astype(float)
        if not np.isfinite(values).all():
            raise ValueError(
                f"Expected finite predictions of {model!r} for every labelled test and validation site; "
                "some are NaN or infinite. Predict every site that is not in training."
            )
        if level == "site":
            return values
        sums = np.zeros((len(self), values.shape[1]))
        np.add.at(sums, self.well_of, values)
        return sums / np.bincount(self.well_of)[:, None]


def scored_sites(
    sites: pd.DataFrame,
    in_role: np.ndarray,
    classes: tuple[str, ...],
    control: str,
    ranks: np.ndarray,
    num_top_doses: int,
) -> tuple[np.ndarray, int]:
    """Choose the sites that the headline rests on, with as many top doses as the role has for every class.

    Args:
        sites: Sites table.
        in_role: True for the role's sites, `(num_sites,)`.
        classes: The control among them.
        control: Name of the control.
        ranks: Dose rank of every site (`phenotrain.doses.dose_rank`). They count over the whole screen: the
            top dose of a role that lacks the screen's top dose is not rank 1.
        num_top_doses: Doses of each treatment to score together; 0 for all.

    Returns:
        Which sites, and how many top doses they are: 0 where that would miss a class and all were taken.

    Raises:
        ValueError: If a class has no site in the role.
    """
    labels = sites["treatment"].to_numpy(dtype=str)
    is_treated = in_role & np.isin(labels, treated_names(classes, control))
    for chosen, num in ((is_treated & (ranks <= num_top_doses), num_top_doses), (is_treated, 0)):
        scored = with_controls(sites, chosen, in_role & (labels == control))
        if set(classes) <= set(labels[scored]):
            return scored, num
    is_labelled = is_treated | (in_role & (labels == control))
    missing = sorted(set(classes) - set(labels[is_labelled]))
    if missing:
        raise ValueError(
            f"Expected every class among the test and the validation sites; none of {', '.join(missing)}. "
            "Split the screen with phenotrain.splits.split_sites, which gives every role every class."
        )
    return is_labelled, 0


def with_controls(sites: pd.DataFrame, treated: np.ndarray, controls: np.ndarray) -> np.ndarray:
    """Add the controls on the plates of the treated sites, `(num_sites,)` each."""
    plates = plate_names(sites)
    return treated | (controls & np.isin(plates, plates[treated]))


def held_out(sites: pd.DataFrame, in_role: np.ndarray) -> str:
    """Say what the chosen sites are: whole experiments, whole plates, wells, or single sites of wells.

    Args:
        sites: Sites table.
        in_role: True for the chosen sites, `(num_sites,)`.
    """
    for kind, names in (
        ("experiment", sites["experiment"].to_numpy(dtype=str)),
        ("plate", plate_names(sites)),
        ("well", sites["well_id"].to_numpy(dtype=str)),
    ):
        chosen = natural_order(names[in_role])
        if not in_role[np.isin(names, chosen)].all():
            continue
        if kind == "well":
            return "Held-out wells"
        if len(chosen) > _MAX_NAMED:
            return f"{len(chosen)} held-out {kind}s"
        what = "" if kind == "plate" else f"{kind}s " if len(chosen) > 1 else f"{kind} "
        return f"Held-out {what}{', '.join(chosen)}"
    return "Single sites, not whole wells"
