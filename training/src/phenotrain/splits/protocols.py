"""The rules that hold out experiments, plates or wells, and the leaking one of the reference project."""

from collections.abc import Callable
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from phenotrain.datasets.spelling import not_among
from phenotrain.errors import ScreenError
from phenotrain.splits.dealing import fitted, interleaved, shares
from phenotrain.splits.reference import reference
from phenotrain.splits.request import Request
from phenotrain.splits.screen import Screen

Protocol = Literal["leave-experiment-out", "leave-plate-out", "leave-well-out", "reference"]

MIN_PLATES_TO_LEAVE_OUT: Final = 4


def fitting_protocol(screen: Screen) -> Protocol:
    """Choose the rule whose held-out sites are as foreign as the screen's size allows."""
    if len(screen.experiments) >= 2:
        return "leave-experiment-out"
    if len(np.unique(screen.plates)) >= MIN_PLATES_TO_LEAVE_OUT:
        return "leave-plate-out"
    return "leave-well-out"


def leave_experiment_out(screen: Screen, request: Request) -> tuple[np.ndarray, dict[str, Any]]:
    """Test on one experiment; validate on another, or on plates of the only other one.

    With three or more experiments the one before the test experiment validates (before the first comes the
    last), so that in the folds of all experiments each validates once. With two, holding the other one out as
    well would leave nothing to train on: then every second plate of the same doses in it validates. The deals after
    the first validate on each other experiment, then on plates drawn from all that are not tested on.
    """
    test = request.test_experiment or screen.experiments[-1]
    if test not in screen.experiments:
        raise ScreenError(
            f"{not_among('experiment', test, screen.experiments)} Write it as the table does, with `--test-experiment`."
        )
    if len(screen.experiments) < 2:
        raise ScreenError(
            f"Expected two or more experiments. Received one: {test!r}. Hold out plates or wells instead."
        )
    position = screen.experiments.index(test)
    # Those before the test experiment first, going backwards round the circle.
    others = [screen.experiments[position - step] for step in range(1, len(screen.experiments))]
    if len(others) > 1 and request.deal < len(others):
        is_validation = screen.experiment_of == others[request.deal]
        validated = f"on experiment {others[request.deal]}"
    elif request.deal > 0:
        plates = request.rng().permutation(np.unique(screen.plates[screen.experiment_of != test]))
        num_plates = max(1, round(len(plates) * request.validation_fraction))
        is_validation = np.isin(screen.plates, plates[:num_plates])
        validated = "on plates drawn from the others"
    else:
        plates = [plate for group in screen.same_dose_plates(others) for plate in group][1::2]
        is_validation = np.isin(screen.plates, plates)
        validated = (
            "on every second plate of the same doses in the other, since with two experiments a whole one to "
            "validate on would leave none to train on"
        )
    roles = np.where(screen.experiment_of == test, "test", np.where(is_validation, "validation", "train"))
    return roles, {"rule": f"Tested on experiment {test}; validated {validated}.", "test_experiment": test}


def leave_plate_out(screen: Screen, request: Request) -> tuple[np.ndarray, dict[str, Any]]:
    """Hold out whole plates; of plates with the same doses the first drawn stays in training."""
    rng = request.rng()
    groups = [
        [str(plate) for plate in rng.permutation(g)] for g in screen.same_dose_plates(screen.experiments)
    ]
    kept = [group[0] for group in groups if len(group) > 1]
    dealt = [plate for group in groups for plate in (group[1:] if len(group) > 1 else group)]
    if request.deal > 0:
        dealt = [str(plate) for plate in rng.permutation(dealt)]
    wanted = shares(len(kept) + len(dealt), request.test_fraction, request.validation_fraction)
    share_of = fitted(wanted["test"], wanted["validation"], len(dealt), min_train=0)
    role_of = dict.fromkeys(kept, "train") | dict(zip(dealt, interleaved(share_of), strict=True))
    roles = np.array([role_of[plate] for plate in screen.plates])
    rule = "Whole plates held out; of the plates with the same doses at least one stays in training."
    return roles, {"rule": rule, **_fractions(request)}


def leave_well_out(screen: Screen, request: Request) -> tuple[np.ndarray, dict[str, Any]]:
    """Hold out whole wells, dealt within each treatment over plates, series and doses."""
    wells = pd.DataFrame(
        {
            "well_id": screen.wells,
            "treatment": screen.labels,
            "plate": screen.plates,
            "series": screen.series,
            "dose": screen.doses,
        }
    )
    wells = wells.drop_duplicates("well_id").sort_values("well_id", ignore_index=True)
    wells["draw"] = request.rng().random(len(wells))
    spread = [] if request.deal > 0 else ["plate", "series", "dose"]
    wells = wells.sort_values(["treatment", *spread, "draw"], ignore_index=True)
    # Controls are dealt plate by plate, so that every role has some on every plate that has three or more.
    stratum = np.where(wells["treatment"] == screen.control, wells["plate"], "")
    role_of: dict[str, str] = {}
    for _, members in wells.groupby(["treatment", stratum], sort=False):
        share_of = shares(len(members), request.test_fraction, request.validation_fraction)
        role_of |= dict(zip(members["well_id"], interleaved(share_of), strict=True))
    roles = np.array([role_of[well] for well in screen.wells])
    rule = "Whole wells held out, dealt within each treatment over plates and doses."
    return roles, {"rule": rule, **_fractions(request)}


PROTOCOLS: Final[dict[Protocol, Callable[[Screen, Request], tuple[np.ndarray, dict[str, Any]]]]] = {
    "leave-experiment-out": leave_experiment_out,
    "leave-plate-out": leave_plate_out,
    "leave-well-out": leave_well_out,
    "reference": reference,
}


def _fractions(request: Request) -> dict[str, float]:
    return {"test_fraction": request.test_fraction, "validation_fraction": request.validation_fraction}
