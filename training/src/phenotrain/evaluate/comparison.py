"""Area under the ROC curve of a treatment against controls, from pairs on the same plate only."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from phenotrain.evaluate.metrics import Interval

NUM_RESAMPLES: Final = 999


@dataclass(frozen=True)
class SamePlateAuroc:
    """An AUROC of treated units against controls of their own plates, and what it rests on."""

    auroc: float | None
    interval: Interval | None
    num_units: int
    num_unmatched: int
    num_controls: int


def same_plate_auroc(
    scores: np.ndarray,
    is_treated: np.ndarray,
    wells: np.ndarray,
    plates: np.ndarray,
    rng: np.random.Generator,
) -> SamePlateAuroc:
    """Say how often a treated unit ranks above a control of its own plate.

    Every treated unit counts alike: the result is the mean of the plates' AUROCs weighted by their numbers
    of treated units, which is also the AUROC under the plate-matched weights restricted to same-plate pairs.
    An offset that a whole plate shares cannot raise or lower it.

    Args:
        scores: Larger means more like the treatment, `(num_units,)`.
        is_treated: True for treated units, False for controls, `(num_units,)`.
        wells: Well index of every unit; wells are what the bootstrap draws, controls within their plate.
        plates: Plate index of every unit.
        rng: Source of the bootstrap.

    Returns:
        The AUROC with its 95 % percentile interval, both None where no treated unit has a control.
    """
    matched = np.intersect1d(plates[is_treated], plates[~is_treated])
    is_matched = np.isin(plates, matched)
    treated = np.flatnonzero(is_treated & is_matched)
    num_unmatched = int((is_treated & ~is_matched).sum())
    if not len(treated):
        return SamePlateAuroc(None, None, 0, num_unmatched, 0)
    treated_weights = _well_draws(wells[treated], rng)
    above = np.zeros(NUM_RESAMPLES + 1)
    num_controls = 0
    for plate in matched:
        columns = np.flatnonzero(plates[treated] == plate)
        controls = np.flatnonzero(~is_treated & (plates == plate))
        num_controls += len(controls)
        control_weights = _well_draws(wells[controls], rng)
        difference = scores[treated[columns], None] - scores[controls]
        wins = (difference > 0) + 0.5 * (difference == 0)
        share_below = (control_weights @ wins.T) / control_weights.sum(axis=1, keepdims=True)
        above += (treated_weights[:, columns] * share_below).sum(axis=1)
    values = above / treated_weights.sum(axis=1)
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return SamePlateAuroc(
        float(values[0]), Interval(float(low), float(high)), len(treated), num_unmatched, num_controls
    )


def _well_draws(wells: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Count how often each unit's well is drawn: `(1 + resamples, num_units)`, the first row all ones."""
    names, well = np.unique(wells, return_inverse=True)
    draws = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=NUM_RESAMPLES)
    return np.vstack([np.ones(len(wells)), draws[:, well]])
