"""The rules that hold out experiments, plates or wells, and the leaking one of the reference project."""

from collections.abc import Callable
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from phenotrain.errors import SplitError
from phenotrain.splits.dealing import Role, fitted, interleaved, shares
from phenotrain.splits.reference import reference
from phenotrain.splits.request import Request
from phenotrain.splits.screen import Screen

Protocol = Literal[
    "leave-experiment-out", "leave-plate-out", "leave-one-plate-out", "leave-well-out", "reference"
]

DEFAULT_ORDER: Final[tuple[Protocol, ...]] = (
    "leave-experiment-out",
    "leave-plate-out",
    "leave-one-plate-out",
    "leave-well-out",
)
"""Which protocol is taken where none is asked for: the first that is possible."""

MIN_PLATES_TO_LEAVE_OUT: Final = 7
"""Plates with treated wells from which on `leave-plate-out` is taken unasked.

Of six it would train on three and test two, once; with a plate a fold, four train and every plate is tested.
"""

_MAX_NAMED: Final = 3


def leave_experiment_out(screen: Screen, request: Request) -> tuple[np.ndarray, dict[str, Any]]:
    """Test on one experiment; validate on another, or on plates of the only other one.

    With three or more experiments the one before the test experiment validates (before the first comes the
    last), so that in the folds of all experiments each validates once. With two, holding the other one out as
    well would leave nothing to train on: then every second plate of the same doses in it validates. The deals after
    the first validate on each other experiment, then on plates drawn from all that are not tested on.
    """
    if len(screen.experiments) < 2:
        raise SplitError(f"there is one experiment, {screen.experiments[0]}")
    _require_groups(screen, screen.experiment_of, "in", "experiments", 2)
    test = str(request.tested_on)
    _require_classes(screen, screen.experiment_of == test, test)
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
    """Hold out whole plates; of plates with the same doses the first drawn stays in training.

    Plates without a treatment to learn have nothing to be tested on: they stay in training too.
    """
    _require_groups(screen, screen.plates, "on", "plates", 3)
    rng = request.rng()
    treated = set(screen.treated_plates)
    groups = [
        [str(plate) for plate in rng.permutation(group)]
        for group in screen.same_dose_plates(screen.experiments)
        if group[0] in treated
    ]
    kept = [group[0] for group in groups if len(group) > 1]
    dealt = [plate for group in groups for plate in (group[1:] if len(group) > 1 else group)]
    if request.deal > 0:
        dealt = [str(plate) for plate in rng.permutation(dealt)]
    wanted = shares(len(kept) + len(dealt), request.test_fraction, request.validation_fraction)
    share_of = fitted(wanted["test"], wanted["validation"], len(dealt), min_train=0)
    role_of = dict(zip(dealt, interleaved(share_of), strict=True))
    roles = np.array([role_of.get(plate, "train") for plate in screen.plates])
    rule = "Whole plates held out; of the plates with the same doses at least one stays in training."
    return roles, {"rule": rule, **_fractions(request)}


def leave_one_plate_out(screen: Screen, request: Request) -> tuple[np.ndarray, dict[str, Any]]:
    """Test on one plate; validate on another, or on wells of the others where none can be spared.

    The plate before the test plate validates (before the first comes the last), first of all one whose doses another
    plate carries into training. The deals after those of every such plate draw wells of all plates that are not
    tested on.
    """
    test = str(request.tested_on)
    plates = screen.treated_plates
    if len(plates) < 2:
        raise SplitError(f"treated wells lie on one plate only, {plates[0]}")
    is_test = screen.plates == test
    _require_classes(screen, is_test, test)
    _require_groups(screen, screen.plates, "on", "plates", 2)
    candidates = _validation_plates(screen, plates, test)
    details = {"test_plate": test, **_fractions(request)}
    if request.deal < len(candidates):
        validated = candidates[request.deal]
        roles = np.where(is_test, "test", np.where(screen.plates == validated, "validation", "train"))
        return roles, {"rule": f"Tested on {test}; validated on {validated}.", **details}
    roles = np.full(len(screen.sites), "test", dtype="<U10")
    rest = screen.taken(~is_test)

    def validated_share(num_wells: int) -> dict[Role, int]:
        held = min(max(1, round(num_wells * request.validation_fraction)), num_wells - 1)
        return {"test": 0, "train": num_wells - held, "validation": held}

    roles[~is_test] = _dealt_wells(rest, request, validated_share)
    whose = "the other plate" if len(plates) == 2 else "the other plates"
    rule = (
        f"Tested on {test}; validated on wells of {whose}, since no whole plate beside it can be spared: what is "
        "tuned on them is tuned on plates that training knows."
    )
    return roles, {"rule": rule, **details}


def leave_well_out(screen: Screen, request: Request) -> tuple[np.ndarray, dict[str, Any]]:
    """Hold out whole wells, dealt within each treatment over plates, series and doses."""
    _require_groups(screen, screen.wells, "in", "wells", 3)

    def share_of(num_wells: int) -> dict[Role, int]:
        return shares(num_wells, request.test_fraction, request.validation_fraction)

    rule = "Whole wells held out, dealt within each treatment over plates and doses."
    return _dealt_wells(screen, request, share_of), {"rule": rule, **_fractions(request)}


Rule = Callable[[Screen, Request], tuple[np.ndarray, dict[str, Any]]]

PROTOCOLS: Final[dict[Protocol, Rule]] = {
    "leave-experiment-out": leave_experiment_out,
    "leave-plate-out": leave_plate_out,
    "leave-one-plate-out": leave_one_plate_out,
    "leave-well-out": leave_well_out,
    "reference": reference,
}


def tested_groups(screen: Screen, protocol: Protocol) -> list[str | None]:
    """List what a protocol could test on, in natural order: experiments, plates, or None where it draws."""
    if protocol == "leave-experiment-out":
        return list(screen.experiments)
    if protocol == "leave-one-plate-out":
        return list(screen.treated_plates)
    return [None]


def _validation_plates(screen: Screen, plates: list[str], test: str) -> list[str]:
    """Plates with every class, those that leave their doses in training first, backwards round the circle."""
    position = plates.index(test)
    others = [plates[position - step] for step in range(1, len(plates))]
    if len(others) < 2:
        return []
    whole = [plate for plate in others if not screen.lacking(screen.plates == plate)]
    left = {
        plate: sum(other != test for other in group)
        for group in screen.same_dose_plates(screen.experiments)
        for plate in group
    }
    return sorted(whole, key=lambda plate: left[plate] < 2)


def _dealt_wells(screen: Screen, request: Request, share_of: Callable[[int], dict[Role, int]]) -> np.ndarray:
    """Deal the wells of each treatment out, those of the control plate by plate."""
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
    # Controls are dealt plate by plate, so that every role has some on every plate that has enough.
    stratum = np.where(wells["treatment"] == screen.control, wells["plate"], "")
    role_of: dict[str, str] = {}
    for _, members in wells.groupby(["treatment", stratum], sort=False):
        role_of |= dict(zip(members["well_id"], interleaved(share_of(len(members))), strict=True))
    return np.array([role_of[well] for well in screen.wells])


def _require_classes(screen: Screen, is_test: np.ndarray, name: str) -> None:
    lacking = screen.lacking(is_test)
    if lacking:
        raise SplitError(f"{name} has no {some_names(lacking, 'or')}")


def _require_groups(screen: Screen, groups: np.ndarray, place: str, kind: str, least: int) -> None:
    few = [name for name in screen.classes if len(np.unique(groups[screen.labels == name])) < least]
    if few:
        raise SplitError(
            f"{some_names(few, 'and')} {'is' if len(few) == 1 else 'are each'} {place} fewer than {least} {kind}"
        )


def some_names(names: list[str], last: str) -> str:
    """Join a few names with commas and a last word; more than three are counted."""
    shown = names if len(names) <= _MAX_NAMED else [*names[: _MAX_NAMED - 1], f"{len(names) - 2} more"]
    return f" {last} ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))


def _fractions(request: Request) -> dict[str, float]:
    return {"test_fraction": request.test_fraction, "validation_fraction": request.validation_fraction}
