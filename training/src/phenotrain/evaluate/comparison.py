"""Each treatment against the controls of its own plates, with interval and chance."""

from dataclasses import dataclass

import numpy as np

from phenotrain.evaluate.draws import NUM_PERMUTATIONS_FOR_CHANCE, Draws
from phenotrain.evaluate.estimates import Estimate, estimate
from phenotrain.evaluate.metrics import Comparison
from phenotrain.evaluate.ranking import same_plate_ranking
from phenotrain.evaluate.units import Level, Wells


@dataclass(frozen=True)
class Ranked:
    """A comparison, and the replicates behind it.

    Attributes:
        comparison: What the report shows.
        replicates: AUROC and average precision of every bootstrap draw, `(2, 1 + NUM_DRAWS)`; None without a
            matched unit.
        chance: Average precision under every permutation of the labels; None as well.
        fewest: Matched wells of the treatment or of the control, whichever are fewer.
    """

    comparison: Comparison
    replicates: np.ndarray | None
    chance: np.ndarray | None
    fewest: int


def compare(
    model: str,
    level: Level,
    scores: np.ndarray,
    wells: Wells,
    draws: Draws,
    treatment: str,
    codes: tuple[int, int],
    dose: float | None = None,
) -> Ranked:
    """Rank a treatment's units among the controls of their plates.

    Args:
        model: Where the scores come from.
        level: Whether a unit is a site or a well.
        scores: Larger means more like the treatment, `(num_units,)`.
        wells: The wells that units belong to.
        draws: Resampling of those wells.
        treatment: Name of the treatment.
        codes: Class of the treatment and of the control.
        dose: Use the treated wells of this dose only.

    Returns:
        The comparison. Its chance level is exactly 0.5 for the AUROC, since exchanging the labels of a
        plate's wells makes every order of a treated and a control well as likely as its opposite.
    """
    code, control = codes
    well_of = wells.unit_wells(level)
    is_treated = wells.codes == code
    if dose is not None:
        is_treated &= wells.doses == dose
    is_control = wells.codes == control
    is_matched = np.isin(wells.plates, np.intersect1d(wells.plates[is_treated], wells.plates[is_control]))
    num_units, num_unmatched, num_controls = (
        int(chosen[well_of].sum())
        for chosen in (is_treated & is_matched, is_treated & ~is_matched, is_control & is_matched)
    )
    if not num_units:
        return Ranked(
            Comparison(model, level, treatment, dose, num_units, num_unmatched, num_controls, None, None),
            None,
            None,
            0,
        )
    fewest = int(min((is_treated & is_matched).sum(), (is_control & is_matched).sum()))
    permuted = draws.permuted[:NUM_PERMUTATIONS_FOR_CHANCE]
    matched = is_matched[well_of]
    auroc, precision = same_plate_ranking(
        scores[matched],
        wells.plates[well_of][matched],
        well_of[matched],
        np.vstack([draws.counts * is_treated, is_treated[permuted]]),
        np.vstack([draws.counts * is_control, is_control[permuted]]),
    )
    num_draws = len(draws.counts)
    # A draw may miss all matched wells where most are unmatched; it then says nothing.
    drawn = np.isfinite(auroc[:num_draws])
    replicates = np.stack([auroc[:num_draws], precision[:num_draws]])
    chance = precision[num_draws:]
    return Ranked(
        Comparison(
            model,
            level,
            treatment,
            dose,
            num_units,
            num_unmatched,
            num_controls,
            estimate("auroc", replicates[0, drawn], 0.5, fewest),
            estimate("average_precision", replicates[1, drawn], chance, fewest),
        ),
        replicates,
        chance,
        fewest,
    )


def macro(ranked: list[Ranked]) -> tuple[Estimate | None, Estimate | None]:
    """Average AUROC and average precision over the treatments that have a matched unit.

    Returns:
        Both estimates; None where no treatment has one.
    """
    replicates = [found.replicates for found in ranked if found.replicates is not None]
    chance = [found.chance for found in ranked if found.chance is not None]
    if not replicates:
        return None, None
    fewest = min(found.fewest for found in ranked if found.replicates is not None)
    auroc, precision = np.mean(replicates, axis=0)
    drawn = np.isfinite(auroc)
    return (
        estimate("auroc", auroc[drawn], 0.5, fewest),
        estimate("average_precision", precision[drawn], np.mean(chance, axis=0), fewest),
    )
