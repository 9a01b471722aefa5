"""How doses, plates and controls lie to each other, which decides what may be compared with what."""

from collections import defaultdict
from typing import Any

import numpy as np
import pandas as pd

from phenotrain.doses import rounded_doses
from phenotrain.grouping import natural_order, plate_names, treated_names
from phenotrain.splits.dealing import UNUSED


def dose_nesting(sites: pd.DataFrame, treatments: tuple[str, ...], control: str) -> dict[str, Any]:
    """Find out whether every dose of the learned treatments lies on plates of its own.

    Args:
        sites: Sites table; an optional column `series` keeps the doses of two drugs behind a name apart.
        treatments: Treatments to learn, with or without the control.
        control: Name of the control.

    Returns:
        JSON-able: `is_nested` (some treatment has two doses or more, and no plate carries two of one
        treatment), `statement` (the same in a sentence) and `groups`, the plates that carry the same doses:
        `doses` and `plates` of each, highest doses first.
    """
    labels = sites["treatment"].to_numpy(dtype=str)
    doses = rounded_doses(sites["treatment_conc"].to_numpy(dtype=float))
    is_dosed = np.isin(labels, treated_names(treatments, control)) & np.isfinite(doses)
    plates = plate_names(sites)[is_dosed]
    names = labels[is_dosed]
    if "series" in sites:
        names = np.char.add(np.char.add(names, "/"), sites["series"].to_numpy(dtype=str)[is_dosed])
    pairs = pd.DataFrame({"name": names, "dose": doses[is_dosed], "plate": plates}).drop_duplicates()
    num_doses = pairs.groupby("name")["dose"].nunique()
    on_one_plate = pairs.groupby(["name", "plate"])["dose"].nunique()
    several = sorted(num_doses.index[num_doses > 1])
    is_nested = bool(several) and int(on_one_plate.max()) == 1
    groups: dict[tuple[float, ...], set[str]] = defaultdict(set)
    for plate, own in pairs.groupby("plate"):
        groups[tuple(sorted(own["dose"].unique(), reverse=True))].add(str(plate))
    return {
        "is_nested": is_nested,
        "statement": _statement(is_nested, several, on_one_plate),
        "groups": [
            {"doses": [float(dose) for dose in carried], "plates": natural_order(groups[carried])}
            for carried in sorted(groups, reverse=True)
        ],
    }


def controls_by_plate(
    wells: np.ndarray,
    plates: np.ndarray,
    labels: np.ndarray,
    roles: np.ndarray,
    control: str,
    treated: tuple[str, ...],
) -> list[dict[str, Any]]:
    """Count the wells of every plate and role: controls, and the learned treatments they are matched with.

    Args:
        wells: Well of every site, `(num_sites,)`.
        plates: Plate of every site.
        labels: Treatment of every site.
        roles: Role of every site.
        control: Name of the control.
        treated: Treatments to learn.

    Returns:
        One entry a plate and role, plates in natural order: `plate, role, num_control_wells,
        num_treated_wells, is_matched`; the last is False where treated wells that take part have no control to
        compare with.
    """
    table = pd.DataFrame({"well": wells, "plate": plates, "label": labels, "role": roles}).drop_duplicates()
    found: list[dict[str, Any]] = []
    order = {plate: position for position, plate in enumerate(natural_order(plates))}
    counted = {
        (str(plate), str(role)): own["label"] for (plate, role), own in table.groupby(["plate", "role"])
    }
    for (plate, role), names in sorted(counted.items(), key=lambda item: (order[item[0][0]], item[0][1])):
        num_controls, num_treated = int((names == control).sum()), int(names.isin(treated).sum())
        found.append(
            {
                "plate": plate,
                "role": role,
                "num_control_wells": num_controls,
                "num_treated_wells": num_treated,
                "is_matched": num_controls > 0 or num_treated == 0 or role == UNUSED,
            }
        )
    return found


def _statement(is_nested: bool, several: list[str], on_one_plate: "pd.Series[int]") -> str:
    if not several:
        return "No learned treatment has more than one recorded dose, so doses and plates cannot be confused."
    if is_nested:
        return (
            "Doses are nested in plates: no plate carries two doses of a learned treatment, so a dose cannot be told "
            "from its plates. Doses are therefore compared only with the controls of their own plates, and with each "
            "other only through them."
        )
    shared = int((on_one_plate > 1).groupby(level="plate").any().sum())
    some = "1 plate carries" if shared == 1 else f"{shared} plates carry"
    statement = f"{some} more than one dose of a learned treatment."
    most = on_one_plate.groupby(level="name").max()
    nested = [name for name in several if most[name] == 1]
    if nested:
        return f"Doses are nested in plates for {', '.join(nested)} alone: {statement}"
    return f"Doses are not nested in plates: {statement}"
