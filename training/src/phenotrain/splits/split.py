"""The split itself: a role for every site, checked, with what the manifest says about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from phenotrain.grouping import natural_order
from phenotrain.splits.dealing import ROLES
from phenotrain.splits.protocols import PROTOCOLS, Protocol, Request, fitting_protocol
from phenotrain.splits.screen import Screen, look_at


@dataclass(frozen=True)
class Split:
    """Which side every site is on, and why.

    Attributes:
        roles: `train`, `validation` or `test` of every row of the sites table, `(num_sites,)`.
        protocol: Name of the rule that made the split.
        description: What the manifest and the report say about it; JSON-able.
    """

    roles: np.ndarray
    protocol: Protocol
    description: dict[str, Any]


def split_sites(
    sites: pd.DataFrame,
    *,
    control: str,
    treatments: Sequence[str],
    seed: int,
    test_fraction: float,
    validation_fraction: float,
    test_experiment: str | None = None,
    protocol: Protocol | None = None,
) -> Split:
    """Give every site a role, the held-out sites as foreign to the training ones as the screen allows.

    * `leave-experiment-out` (two or more experiments): the test set is one experiment. Of the others,
      every second plate within the plates that carry the same doses is the validation set (in RxRx2, the
      even plates); the fractions are not used.
    * `leave-plate-out` (one experiment, four plates or more): whole plates are held out. Of the plates
      that carry the same doses, the first drawn stays in training, so a dose on two plates or more is
      never only held out.
    * `leave-well-out` (otherwise): whole wells, dealt within each treatment in turn over plates, doses
      and the optional column `series`; controls are dealt on each plate by themselves.

    Sites of other treatments follow the same rule; they may be used without their labels.

    Args:
        sites: Sites table; the order of its rows does not matter.
        control: Name of the control in `treatment`.
        treatments: Treatments to learn, with or without the control.
        seed: Seed of every draw.
        test_fraction: Share of plates or wells to test on, between 0 and 1.
        validation_fraction: Share of plates or wells to validate on; with `test_fraction` it stays below 1.
        test_experiment: Experiment to test on; by default the last by name.
        protocol: Rule to use instead of the one the screen's size suggests.

    Returns:
        The split. Every role holds every treatment and the control.

    Raises:
        ValueError: If a fraction is out of range, the experiment is unknown, a well is on two plates or
            has two treatments, the protocol does not fit the screen, or a role would miss a treatment or
            the control.
    """
    if not (
        0 < test_fraction < 1 and 0 < validation_fraction < 1 and test_fraction + validation_fraction < 1
    ):
        raise ValueError(
            "Expected test_fraction and validation_fraction between 0 and 1 with a sum below 1. "
            f"Received: {test_fraction} and {validation_fraction}."
        )
    screen = look_at(sites, tuple(treatments), control)
    chosen = protocol or fitting_protocol(screen)
    request = Request(seed, test_fraction, validation_fraction, test_experiment)
    if test_experiment is not None and chosen != "leave-experiment-out":
        raise ValueError(
            f"Expected no test_experiment with the protocol {chosen}. Received: {test_experiment!r}. "
            "Leave it out, or give a screen of two experiments or more."
        )
    roles, details = PROTOCOLS[chosen](screen, request)
    _require_every_class(screen, roles, chosen)
    return Split(roles, chosen, {"protocol": chosen, "seed": seed, **details, **_counts(screen, roles)})


def _require_every_class(screen: Screen, roles: np.ndarray, protocol: Protocol) -> None:
    missing = [
        f"{name} in {role}"
        for role in ROLES
        for name in screen.classes
        if not ((roles == role) & (screen.labels == name)).any()
    ]
    if missing:
        raise ValueError(
            f"Expected every role to hold every treatment and the control; under {protocol} there is no "
            f"{', no '.join(missing)}. Leave the treatment out, add plates or wells that carry it, "
            "or split more finely (leave-plate-out, leave-well-out)."
        )


def _counts(screen: Screen, roles: np.ndarray) -> dict[str, Any]:
    counted = pd.DataFrame(
        {"role": roles, "well": screen.wells, "plate": screen.plates, "label": screen.labels}
    )
    by_role = {role: counted[counted["role"] == role] for role in ROLES}
    return {
        "plates": {role: natural_order(part["plate"]) for role, part in by_role.items()},
        "num_sites": {role: len(part) for role, part in by_role.items()},
        "num_wells": {
            name: {
                role: int(part.loc[part["label"] == name, "well"].nunique()) for role, part in by_role.items()
            }
            for name in screen.classes
        },
        "num_unlabelled_sites": {
            role: int((~part["label"].isin(screen.classes)).sum()) for role, part in by_role.items()
        },
    }
