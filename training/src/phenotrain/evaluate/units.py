"""The sites, or the wells with their sites' mean predictions, that a side of the split is scored on."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from phenotrain.doses import dose_rank, rounded_doses
from phenotrain.evaluate.metrics import Level
from phenotrain.evaluate.predictions import ModelPredictions, Predictions
from phenotrain.grouping import natural_order, plate_names, treated_names

_MAX_NAMED = 4


@dataclass(frozen=True)
class Units:
    """Sites, or wells with their sites' mean predictions, one entry each."""

    level: Level
    predictions: Predictions
    labels: np.ndarray
    doses: np.ndarray
    wells: np.ndarray
    plates: np.ndarray

    def scores(self, treatments: tuple[str, ...], control: str) -> Iterator[tuple[str, str, np.ndarray]]:
        """Give, for every model and treatment, how much more each unit looks treated than control."""
        for model, found in self.predictions.models.items():
            scores = found.treated_scores(treatments.index(control))
            for column, treatment in enumerate(treated_names(treatments, control)):
                yield model, treatment, scores[:, column]


def scored_sites(
    sites: pd.DataFrame, in_role: np.ndarray, classes: tuple[str, ...], control: str, num_top_doses: int
) -> tuple[np.ndarray, int]:
    """Choose the sites that the headline rests on, with as many top doses as the role has for every class."""
    labels = sites["treatment"].to_numpy(dtype=str)
    plates = plate_names(sites)
    is_control = in_role & (labels == control)
    is_treated = in_role & np.isin(labels, treated_names(classes, control))
    # Ranks count over the whole screen: the top dose of a role that lacks the screen's top dose is not
    # rank 1.
    is_top = is_treated & (dose_rank(sites, control) <= num_top_doses)
    for chosen, num in ((is_top, num_top_doses), (is_treated, 0)):
        scored = chosen | (is_control & np.isin(plates, plates[chosen]))
        if set(classes) <= set(labels[scored]):
            return scored, num
    missing = sorted(set(classes) - set(labels[is_treated | is_control]))
    if missing:
        raise ValueError(
            f"Expected every class among the test and the validation sites; none of {', '.join(missing)}. "
            "Split the screen with phenotrain.splits.split_sites, which gives every role every class."
        )
    return is_treated | is_control, 0


def collect(sites: pd.DataFrame, chosen: np.ndarray, predictions: Predictions, level: Level) -> Units:
    """Gather the chosen sites, averaged over each well's sites at well level.

    Raises:
        ValueError: If a prediction of a chosen site is not finite.
    """
    rows = np.flatnonzero(chosen)
    names, first, well_of = np.unique(
        sites["well_id"].to_numpy(dtype=str)[rows], return_index=True, return_inverse=True
    )
    well_of_row = well_of if level == "well" else np.arange(len(rows))
    models = {
        model: ModelPredictions(
            _mean_by(well_of_row, found.probabilities[rows], model),
            None
            if found.versus_control is None
            else _mean_by(well_of_row, found.versus_control[rows], model),
        )
        for model, found in predictions.models.items()
    }
    kept = rows[first] if level == "well" else rows
    _, plates = np.unique(plate_names(sites)[kept], return_inverse=True)
    return Units(
        level=level,
        predictions=Predictions(models),
        labels=sites["treatment"].to_numpy(dtype=str)[kept],
        doses=rounded_doses(sites["treatment_conc"].to_numpy(dtype=float)[kept]),
        wells=np.arange(len(names)) if level == "well" else well_of,
        plates=plates,
    )


def _mean_by(group: np.ndarray, values: np.ndarray, model: str) -> np.ndarray:
    if not np.isfinite(values).all():
        raise ValueError(
            f"Expected finite predictions of {model!r} for every labelled test and validation site; "
            "some are NaN or infinite. Predict every site that is not in training."
        )
    num_units = np.bincount(group)
    sums = np.zeros((len(num_units), values.shape[1]))
    np.add.at(sums, group, values)
    return sums / num_units[:, None]


def held_out(sites: pd.DataFrame, in_role: np.ndarray) -> str:
    """Say what the chosen sites are: whole experiments, whole plates, or wells.

    Args:
        sites: Sites table.
        in_role: True for the chosen sites, `(num_sites,)`.
    """
    for kind, names in (
        ("experiment", sites["experiment"].to_numpy(dtype=str)),
        ("plate", plate_names(sites)),
    ):
        chosen = natural_order(names[in_role])
        if in_role[np.isin(names, chosen)].all():
            if len(chosen) > _MAX_NAMED:
                return f"{len(chosen)} held-out {kind}s"
            what = "" if kind == "plate" else f"{kind}s " if len(chosen) > 1 else f"{kind} "
            return f"Held-out {what}{', '.join(chosen)}"
    return "Held-out wells"
