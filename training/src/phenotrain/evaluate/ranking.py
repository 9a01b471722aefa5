"""How a treatment's units rank among the controls of their own plates: AUROC and average precision."""

import numpy as np


def same_plate_ranking(
    scores: np.ndarray,
    plates: np.ndarray,
    well_of: np.ndarray,
    treated: np.ndarray,
    control: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Rank units within each plate, for many weightings of the wells.

    Every treated unit counts alike: the results are the plates' AUROCs and average precisions, averaged with
    the plates' numbers of treated units. Units of two plates are never compared, so an offset that a whole
    plate shares changes nothing. For the average precision, the controls of a plate together weigh as much as
    its treated units (`phenotrain.matching.plate_matched_weights`): precision then does not depend on how many
    controls a plate carries, and two plates can be averaged.

    Args:
        scores: Larger means more like the treatment, `(num_units,)`.
        plates: Plate of every unit, `(num_units,)`.
        well_of: Index of every unit's well, `(num_units,)`.
        treated: How much every well counts as treated, `(num_rows, num_wells)`.
        control: How much it counts as control, same shape.

    Returns:
        AUROC (ties half) and average precision (ties together, as scikit-learn), `(num_rows,)` each; NaN in
        rows where no plate has both.
    """
    num_rows = len(treated)
    above, precise, total = np.zeros(num_rows), np.zeros(num_rows), np.zeros(num_rows)
    for plate in np.unique(plates):
        units = np.flatnonzero(plates == plate)
        units = units[np.argsort(-scores[units], kind="stable")]
        of_treated, of_control = treated[:, well_of[units]], control[:, well_of[units]]
        is_matched = of_control.any(axis=1) & of_treated.any(axis=1)
        if not is_matched.any():
            continue
        of_treated, of_control = of_treated[is_matched], of_control[is_matched]
        last = np.append(np.flatnonzero(np.diff(scores[units])), len(units) - 1)
        ahead_treated = of_treated.cumsum(axis=1)[:, last]
        ahead_control = of_control.cumsum(axis=1)[:, last]
        in_tie = np.diff(ahead_treated, prepend=0, axis=1)
        num_treated, num_control = ahead_treated[:, -1:], ahead_control[:, -1:]
        before = np.hstack([np.zeros_like(num_control), ahead_control[:, :-1]])
        share_below = 1 - (ahead_control + before) / (2 * num_control)
        matched = ahead_control * (num_treated / num_control)
        # Nothing is ahead of the first units where they are neither; they have no treated unit to count either.
        precision = ahead_treated / np.maximum(ahead_treated + matched, 1e-300)
        above[is_matched] += (in_tie * share_below).sum(axis=1)
        precise[is_matched] += (in_tie * precision).sum(axis=1)
        total[is_matched] += num_treated[:, 0]
    is_ranked = total > 0
    undefined = np.full(num_rows, np.nan)
    return (
        np.divide(above, total, out=undefined.copy(), where=is_ranked),
        np.divide(precise, total, out=undefined, where=is_ranked),
    )
