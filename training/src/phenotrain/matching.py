"""Controls matched by plate: a treated site is only ever compared with controls of its own plate.

Plates differ in staining, density and illumination, and doses are nested in plates, so controls from
elsewhere let a model learn the plate instead of the treatment.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from phenotrain.errors import ScreenError
from phenotrain.grouping import class_names, plate_names, treated_names


def plate_matched_weights(
    sites: pd.DataFrame, rows: np.ndarray, treated: Sequence[str], control: str
) -> np.ndarray:
    """Weigh controls so that, on every plate, they count as much as each treatment's sites there.

    Args:
        sites: Sites table.
        rows: Integer positions of the sites to weigh, `(num_rows,)`.
        treated: Treatments, one column each; the control among them is left out.
        control: Name of the control in `treatment`.

    Returns:
        Float `(num_rows, num_treated)`. In a treatment's column: 1 for each of its sites; for a control
        site on plate p the number of the treatment's sites on p divided by the number of controls on p; 0
        for every other site.

    Raises:
        ValueError: If a plate carries treated sites but no control; the plate is named.
    """
    treated = treated_names(treated, control)
    names, num_plates, plates, labels = _plates_and_labels(sites, rows)
    controls_of_plate = np.bincount(plates[labels == control], minlength=num_plates)
    weights = np.zeros((len(rows), len(treated)))
    for column, treatment in enumerate(treated):
        treated_of_plate = np.bincount(plates[labels == treatment], minlength=num_plates)
        _require_controls(names, treated_of_plate > 0, controls_of_plate, control)
        share = treated_of_plate / np.maximum(controls_of_plate, 1)
        weights[:, column] = np.where(labels == control, share[plates], labels == treatment)
    return weights


def class_weights(
    sites: pd.DataFrame, rows: np.ndarray, treatments: Sequence[str], control: str
) -> np.ndarray:
    """Weigh sites so that all classes count alike and the controls lie on plates as the treated do.

    Within a treatment all sites weigh the same. The controls' weight on a plate follows the mean, over
    treatments, of the treatment's share of sites on that plate, so the plate alone says nothing about
    control or treated.

    Args:
        sites: Sites table.
        rows: Integer positions of the sites to weigh, `(num_rows,)`.
        treatments: Classes; the control belongs to them whether it is listed or not.
        control: Name of the control in `treatment`.

    Returns:
        Float `(num_rows,)`. Each class sums to the number of labelled rows divided by the number of
        classes; sites of other treatments, and controls on plates without a treated site, weigh 0.

    Raises:
        ValueError: If a class has no site among the rows, or a plate carries treated sites but no control.
    """
    treated = treated_names(treatments, control)
    _, _, _, labels = _plates_and_labels(sites, rows)
    _require_classes(labels, class_names(treatments, control))
    matched = plate_matched_weights(sites, rows, treated, control)
    # Each column is scaled to one per treatment; the control collects its part of every column.
    weights = (matched / np.array([(labels == treatment).sum() for treatment in treated])).sum(axis=1)
    weights[labels == control] /= len(treated)
    num_labelled = np.isin(labels, class_names(treatments, control)).sum()
    return weights * num_labelled / (len(treated) + 1)


def balanced_rows(
    sites: pd.DataFrame,
    rows: np.ndarray,
    treatments: Sequence[str],
    control: str,
    sites_per_class: int,
    seed: int,
) -> np.ndarray:
    """Draw the same number of sites of every class, the controls from the plates of the treated sites.

    Sites are drawn without replacement and spread over wells: a well gives a second site only after every
    well of its class (for controls: of its plate) has given one. Controls are drawn from each plate in
    proportion to the drawn treated sites there, but at least one; a plate with too few passes the rest on to the
    others.

    Args:
        sites: Sites table.
        rows: Integer positions to draw from, `(num_rows,)`.
        treatments: Classes; the control belongs to them whether it is listed or not.
        control: Name of the control in `treatment`.
        sites_per_class: Most sites of one class; 0 takes all treated sites and every control on their plates.
        seed: Seed of the draw. The order of `rows` does not matter.

    Returns:
        Integer positions into `sites`, ascending, a subset of `rows`.

    Raises:
        ValueError: If `sites_per_class` is negative, a class has no site, or a plate with drawn treated
            sites has no control.
    """
    if sites_per_class < 0:
        raise ValueError(f"Expected sites_per_class >= 0 (0 takes all). Received: {sites_per_class}.")
    rows = np.sort(rows)
    names, num_plates, plates, labels = _plates_and_labels(sites, rows)
    wells = sites["well_id"].to_numpy(dtype=str)[rows]
    _require_classes(labels, class_names(treatments, control))
    rng = np.random.default_rng(seed)
    drawn: list[np.ndarray] = []
    wanted = np.zeros(num_plates)
    for treatment in treated_names(treatments, control):
        members = np.flatnonzero(labels == treatment)
        chosen = _spread_over_wells(members, wells, sites_per_class or len(members), rng)
        drawn.append(chosen)
        wanted += np.bincount(plates[chosen], minlength=num_plates) / len(chosen)
    controls = np.flatnonzero(labels == control)
    available = np.bincount(plates[controls], minlength=num_plates)
    _require_controls(names, wanted > 0, available, control)
    quota = np.where(wanted > 0, available, 0)
    if sites_per_class:
        quota = _quotas(wanted, available, sites_per_class)
    for plate in np.flatnonzero(quota):
        members = controls[plates[controls] == plate]
        drawn.append(_spread_over_wells(members, wells, int(quota[plate]), rng))
    return rows[np.sort(np.concatenate(drawn))]


def _plates_and_labels(
    sites: pd.DataFrame, rows: np.ndarray
) -> tuple[np.ndarray, int, np.ndarray, np.ndarray]:
    names, plates = np.unique(plate_names(sites)[rows], return_inverse=True)
    return names, len(names), plates, sites["treatment"].to_numpy(dtype=str)[rows]


def _require_classes(labels: np.ndarray, classes: Sequence[str]) -> None:
    absent = [name for name in classes if not (labels == name).any()]
    if absent:
        raise ScreenError(
            f"Expected sites of every class among the given rows; none of {', '.join(absent)}. "
            "Leave them out of the treatments, or choose rows (split, top doses) that hold them."
        )


def _require_controls(names: np.ndarray, is_needed: np.ndarray, available: np.ndarray, control: str) -> None:
    bare = names[is_needed & (available == 0)]
    if len(bare):
        raise ScreenError(
            f"Expected {control!r} sites on every plate with treated sites; none on {', '.join(bare)}. "
            "Add that plate's controls, or leave the plate out of the sites table."
        )


def _spread_over_wells(
    members: np.ndarray, wells: np.ndarray, num_sites: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw `num_sites` of `members`, first one of every well, then a second of every well, and so on."""
    shuffled = rng.permutation(members)
    turn = pd.Series(wells[shuffled]).groupby(wells[shuffled]).cumcount().to_numpy()
    return shuffled[np.argsort(turn, kind="stable")][:num_sites]


def _quotas(wanted: np.ndarray, available: np.ndarray, num_sites: int) -> np.ndarray:
    """Share `num_sites` out in proportion to `wanted`, never above `available`, by one site at a time.

    Every wanted plate has one, even if they are then more than `num_sites`: its treated sites need a control.
    """
    quota = ((wanted > 0) & (available > 0)).astype(int)
    is_open = (wanted > 0) & (quota < available)
    for _ in range(num_sites - int(quota.sum())):
        if not is_open.any():
            break
        # Highest-averages rule (Webster / Sainte-Lague): the plate furthest below its share gets the next
        # site.
        next_plate = int(np.argmax(np.where(is_open, wanted / (2 * quota + 1), -1.0)))
        quota[next_plate] += 1
        is_open[next_plate] = quota[next_plate] < available[next_plate]
    return quota
