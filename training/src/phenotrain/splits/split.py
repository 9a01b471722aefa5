"""The split itself: a role for every site, checked, with what the manifest says about it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd

from phenotrain.errors import ScreenError
from phenotrain.splits.counts import split_counts
from phenotrain.splits.learnable import at_top_doses, missing_classes
from phenotrain.splits.nesting import controls_by_plate, dose_nesting
from phenotrain.splits.protocols import PROTOCOLS, Protocol, fitting_protocol
from phenotrain.splits.request import Request
from phenotrain.splits.screen import Screen, look_at

MAX_DEALS: Final = 100
"""Deals of a rule that are tried before a screen is refused."""


@dataclass(frozen=True)
class Split:
    """Which side every site is on, and why.

    Attributes:
        roles: `train`, `validation` or `test` of every row of the sites table, `(num_sites,)`; under the
            protocol `reference` also `unused`.
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
    num_top_doses: int = 0,
) -> Split:
    """Give every site a role, the held-out sites as foreign to the training ones as the screen allows.

    * `leave-experiment-out` (two or more experiments): the test set is one experiment, the validation set
      the one before it; the fractions are not used. With two experiments, every second plate within the
      plates that carry the same doses validates (in RxRx2, the even plates).
    * `leave-plate-out` (one experiment, four plates or more): whole plates are held out. Of the plates
      that carry the same doses, the first drawn stays in training, so a dose on two plates or more is
      never only held out.
    * `leave-well-out` (otherwise): whole wells, dealt within each treatment in turn over plates, doses
      and the optional column `series`; controls are dealt on each plate by themselves.
    * `reference` (only when asked for, one treatment at a time): the reference project's random deal of
      sites, which leaks; its description says so. Sites that it does not draw are `unused`.

    Sites of other treatments follow the same rule; they may be used without their labels.

    Where a deal leaves a role without a class to learn (each treatment at the doses that are learned from, beside a
    control of its plate), the next of the rule's deals is taken, up to `MAX_DEALS`; the description then says `deal`.

    Args:
        sites: Sites table; the order of its rows does not matter.
        control: Name of the control in `treatment`.
        treatments: Treatments to learn, with or without the control.
        seed: Seed of every draw.
        test_fraction: Share of plates or wells to test on, between 0 and 1.
        validation_fraction: Share of plates or wells to validate on; with `test_fraction` it stays below 1.
        test_experiment: Experiment to test on; by default the last by name.
        protocol: Rule to use instead of the one the screen's size suggests.
        num_top_doses: Doses of each treatment that are learned from; 0 for all.

    Returns:
        The split. Every role holds every treatment and the control; training and validation hold each treatment at
        the doses that are learned from, beside a control of its plate.

    Raises:
        ScreenError: If a fraction is out of range, the experiment is unknown, a well is on two plates or
            has two treatments, the protocol does not fit the screen, or a role would miss a treatment or
            the control at the doses that are learned from, however it is dealt.
    """
    if not (
        0 < test_fraction < 1 and 0 < validation_fraction < 1 and test_fraction + validation_fraction < 1
    ):
        raise ScreenError(
            "Expected test_fraction and validation_fraction between 0 and 1 with a sum below 1. "
            f"Received: {test_fraction} and {validation_fraction}."
        )
    screen = look_at(sites, tuple(treatments), control)
    chosen = protocol or fitting_protocol(screen)
    if test_experiment is not None and chosen != "leave-experiment-out":
        raise ScreenError(
            f"Expected no test_experiment with the protocol {chosen}. Received: {test_experiment!r}. "
            "Leave it out, or give a screen of two experiments or more."
        )
    request = Request(seed, test_fraction, validation_fraction, test_experiment)
    roles, details = _dealt(
        screen, chosen, request, at_top_doses(sites, screen.treated, control, num_top_doses), num_top_doses
    )
    description = {
        "protocol": chosen,
        "seed": seed,
        "leaks": False,
        **details,
        **split_counts(screen, roles),
        "dose_nesting": dose_nesting(sites, screen.treated, control),
        "controls_by_plate": controls_by_plate(
            screen.wells, screen.plates, screen.labels, roles, control, screen.treated
        ),
    }
    return Split(roles, chosen, description)


def fold_splits(
    sites: pd.DataFrame,
    *,
    control: str,
    treatments: Sequence[str],
    seed: int,
    test_fraction: float,
    validation_fraction: float,
    protocol: Protocol | None = None,
    num_top_doses: int = 0,
) -> list[Split]:
    """Give every fold of a protocol: under `leave-experiment-out` one for each experiment to test on.

    The other protocols give one fold, their own split. Their held-out plates or wells are drawn so that every
    dose stays in training, which a rotation through all plates could not promise; another seed gives another
    fold.

    Args:
        sites: Sites table.
        control: Name of the control in `treatment`.
        treatments: Treatments to learn, with or without the control.
        seed: Seed of every draw.
        test_fraction: Share of plates or wells to test on.
        validation_fraction: Share of plates or wells to validate on.
        protocol: Rule to use instead of the one the screen's size suggests.
        num_top_doses: Doses of each treatment that are learned from; 0 for all.

    Returns:
        The folds, experiments in natural order. No site is in the test set of two.

    Raises:
        ScreenError: As `split_sites`.
    """
    screen = look_at(sites, tuple(treatments), control)
    chosen = protocol or fitting_protocol(screen)
    tested = (
        screen.experiments if chosen == "leave-experiment-out" and len(screen.experiments) > 1 else [None]
    )
    return [
        split_sites(
            sites,
            control=control,
            treatments=treatments,
            seed=seed,
            test_fraction=test_fraction,
            validation_fraction=validation_fraction,
            test_experiment=experiment,
            protocol=chosen,
            num_top_doses=num_top_doses,
        )
        for experiment in tested
    ]


def _dealt(
    screen: Screen, protocol: Protocol, request: Request, is_top: np.ndarray, num_top_doses: int
) -> tuple[np.ndarray, dict[str, Any]]:
    """The first deal of the rule that can be learned from."""
    missing: list[str] = []
    for deal in range(MAX_DEALS):
        roles, details = PROTOCOLS[protocol](screen, replace(request, deal=deal))
        lacking = missing_classes(screen, roles, is_top, num_top_doses)
        if not lacking:
            return roles, {**details, **({"deal": deal} if deal else {})}
        missing = missing or lacking
    fewer = " learn from more doses (`heads.num_top_doses`, 0 takes all)," if num_top_doses else ""
    raise ScreenError(
        f"Expected every role to hold every treatment and the control; under {protocol} there is no "
        f"{', no '.join(missing)}. {MAX_DEALS} deals were tried. Leave the treatment out, add plates or wells that "
        f"carry it,{fewer} or split more finely (leave-plate-out, leave-well-out)."
    )
