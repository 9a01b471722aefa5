"""The split itself: a role for every site, checked, with what the manifest says about it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd

from phenotrain.errors import ScreenError, SplitError
from phenotrain.splits.controls import controls_only_plates
from phenotrain.splits.counts import split_counts
from phenotrain.splits.dealing import UNUSED, Role
from phenotrain.splits.learnable import at_top_doses, missing_classes
from phenotrain.splits.nesting import controls_by_plate, dose_nesting
from phenotrain.splits.protocols import (
    DEFAULT_ORDER,
    MIN_PLATES_TO_LEAVE_OUT,
    PROTOCOLS,
    Protocol,
    some_names,
    tested_groups,
)
from phenotrain.splits.request import Request
from phenotrain.splits.screen import look_at
from phenotrain.task import Task

MAX_DEALS: Final = 100
"""Deals of a rule that are tried before a screen is refused."""

Check = Callable[[np.ndarray], None]
"""Called with the roles of a split; a `ScreenError` says why it cannot be used."""


NOTED: Final = ("passed_over", "not_tested", "left_out_plates", "controls_only_plates")
"""Keys of a split's description that are there only where there is something to say, and that no role rests on."""


@dataclass(frozen=True)
class Split:
    """Which side every site is on, and why.

    Attributes:
        roles: `train`, `validation` or `test` of every row of the sites table, `(num_sites,)`; `unused` for the
            sites of plates that were left out, and under the protocol `reference` for those not drawn.
        protocol: Name of the rule that made the split.
        description: What the manifest and the report say about it; JSON-able.
    """

    roles: np.ndarray
    protocol: Protocol
    description: dict[str, Any]

    @property
    def tested_on(self) -> str | None:
        """The experiment or the plate that is tested on; None under a protocol that draws what it holds out."""
        return self.description.get("test_experiment", self.description.get("test_plate"))


def split_sites(
    sites: pd.DataFrame,
    *,
    control: str,
    treatments: Sequence[str],
    seed: int,
    test_fraction: float,
    validation_fraction: float,
    tested_on: str | None = None,
    protocol: Protocol | None = None,
    num_top_doses: int = 0,
    left_out: Sequence[str] = (),
    check: Check = lambda _: None,
) -> Split:
    """Give every site a role, the held-out sites as foreign to the training ones as the screen allows.

    Without a protocol asked for it is the first that is possible:

    * `leave-experiment-out` (two or more experiments): the test set is one experiment, the validation set
      the one before it; the fractions are not used. With two experiments, every second plate within the
      plates that carry the same doses validates (in RxRx2, the even plates).
    * `leave-plate-out` (`MIN_PLATES_TO_LEAVE_OUT` plates or more; three when asked for): whole plates are held out.
      Of the plates that carry the same doses, the first drawn stays in training, so a dose on two plates or more is
      never only held out.
    * `leave-one-plate-out` (two plates or more): one plate tests, one validates, the others train; where none can be
      spared to validate on, as with two plates, wells of the others do.
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
        tested_on: Experiment (`leave-experiment-out`) or plate (`leave-one-plate-out`) to test on, the plate as
            `phenotrain.grouping.plate_names` has it; by default the last by name that is possible.
        protocol: Rule to use instead of the first that is possible.
        num_top_doses: Doses of each treatment that are learned from; 0 for all.
        left_out: Plates whose sites get no role.
        check: Refuses splits for reasons of the caller's.

    Returns:
        The split. Every role holds every treatment and the control; training and validation hold each treatment at
        the doses that are learned from, beside a control of its plate. The description says under `passed_over` why
        the protocols before the chosen one are not possible.

    Raises:
        SplitError: If the protocol asked for is not possible, or none is; it names what is.
        ScreenError: If a fraction is out of range, the experiment or plate is unknown, or a well is on two plates or
            has two treatments.
    """
    maker = _Maker(
        sites, control, treatments, seed, test_fraction, validation_fraction, num_top_doses, left_out, check
    )
    found, passed_over = maker.chosen(protocol, lambda name: [maker.one(name, tested_on)])
    return maker.described(found[0], passed_over)


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
    left_out: Sequence[str] = (),
    check: Check = lambda _: None,
) -> list[Split]:
    """Give every fold of a protocol: one for each experiment or, under `leave-one-plate-out`, plate to test on.

    The other protocols give one fold, their own split. Their held-out plates or wells are drawn so that every
    dose stays in training, which a rotation through all plates could not promise; another seed gives another
    fold. An experiment or plate that cannot be tested on, such as one without a class, has no fold; the description
    says so under `not_tested`. It takes part in the training of the others.

    Args:
        sites: Sites table.
        control: Name of the control in `treatment`.
        treatments: Treatments to learn, with or without the control.
        seed: Seed of every draw.
        test_fraction: Share of plates or wells to test on.
        validation_fraction: Share of plates or wells to validate on.
        protocol: Rule to use instead of the first that is possible.
        num_top_doses: Doses of each treatment that are learned from; 0 for all.
        left_out: Plates whose sites get no role.
        check: Refuses splits for reasons of the caller's.

    Returns:
        The folds, experiments or plates in natural order. No site is in the test set of two.

    Raises:
        ScreenError: As `split_sites`.
    """
    maker = _Maker(
        sites, control, treatments, seed, test_fraction, validation_fraction, num_top_doses, left_out, check
    )
    found, passed_over = maker.chosen(protocol, maker.every)
    return [maker.described(split, passed_over) for split in found]


class _Maker:
    """Makes the splits of one screen; arguments as of `split_sites`."""

    def __init__(
        self,
        sites: pd.DataFrame,
        control: str,
        treatments: Sequence[str],
        seed: int,
        test_fraction: float,
        validation_fraction: float,
        num_top_doses: int,
        left_out: Sequence[str],
        check: Check,
    ) -> None:
        if not (
            0 < test_fraction < 1 and 0 < validation_fraction < 1 and test_fraction + validation_fraction < 1
        ):
            raise ScreenError(
                "Expected test_fraction and validation_fraction between 0 and 1 with a sum below 1. "
                f"Received: {test_fraction} and {validation_fraction}."
            )
        self._check = check
        self._whole = look_at(sites, tuple(treatments), control)
        self._nesting = dose_nesting(sites, self._whole.treated, control)
        self._controls_only = controls_only_plates(sites, Task(control, self._whole.classes))
        self._kept = ~np.isin(self._whole.plates, list(left_out))
        self._left_out = list(left_out)
        self._screen = self._whole.taken(self._kept)
        self._is_top = at_top_doses(sites, self._whole.treated, control, num_top_doses)[self._kept]
        self._num_top_doses = num_top_doses
        self._request = Request(seed, test_fraction, validation_fraction)

    def chosen(
        self, asked: Protocol | None, make: Callable[[Protocol], list[Split]]
    ) -> tuple[list[Split], dict[Protocol, str]]:
        """What `make` gives for the protocol asked for, or for the first that is possible, and why not for others."""
        passed_over: dict[Protocol, str] = {}
        order: tuple[Protocol, ...] = DEFAULT_ORDER if asked is None else (asked,)
        for protocol in order:
            too_few = None if asked else self._too_few_plates(protocol)
            if too_few:
                passed_over[protocol] = too_few
                continue
            try:
                return make(protocol), passed_over
            except SplitError as error:
                passed_over[protocol] = error.reason
        if asked is None:
            told = "\n".join(f"  {name}: {reason}." for name, reason in passed_over.items())
            raise SplitError(told, f"No protocol is possible on this screen. {self._way_out()}\n{told}")
        reason = passed_over[asked]
        possible = [name for name in DEFAULT_ORDER if name != asked and self._is_possible(name)]
        way_out = f"Possible are: {', '.join(possible)}." if possible else self._way_out()
        raise SplitError(reason, f"{asked} is not possible on this screen: {reason}. {way_out}")

    def one(self, protocol: Protocol, tested_on: str | None) -> Split:
        """The split that tests on what was asked for, or on the last by name that is possible."""
        groups = tested_groups(self._screen, protocol)
        if tested_on is not None:
            return self._asked_for(protocol, tested_on, groups)
        reasons: list[str] = []
        for group in reversed(groups):
            try:
                return self._split(protocol, group)
            except SplitError as error:
                reasons.append(error.reason)
        raise SplitError(_shortest(reasons))

    def every(self, protocol: Protocol) -> list[Split]:
        """The folds that are possible; each description names what is not tested on, and why."""
        found: list[Split] = []
        not_tested: dict[str, str] = {}
        for group in tested_groups(self._screen, protocol):
            try:
                found.append(self._split(protocol, group))
            except SplitError as error:
                not_tested[str(group)] = error.reason
        if not found:
            raise SplitError(_shortest(list(not_tested.values())))
        if not not_tested:
            return found
        return [
            replace(split, description={**split.description, "not_tested": not_tested}) for split in found
        ]

    def described(self, split: Split, passed_over: dict[Protocol, str]) -> Split:
        """The same split, saying what it was chosen instead of."""
        if not passed_over:
            return split
        return replace(split, description={**split.description, "passed_over": dict(passed_over)})

    def _split(self, protocol: Protocol, tested_on: str | None) -> Split:
        dealt, details = self._dealt(protocol, replace(self._request, tested_on=tested_on))
        screen = self._whole
        roles = np.full(len(screen.sites), UNUSED, dtype="<U10")
        roles[self._kept] = dealt
        try:
            self._check(roles)
        except SplitError:
            raise
        except ScreenError as error:
            raise SplitError(str(error)) from error
        controls = controls_by_plate(
            screen.wells, screen.plates, screen.labels, roles, screen.control, screen.treated
        )
        noted = {"left_out_plates": self._left_out, "controls_only_plates": self._controls_only}
        description = {
            "protocol": protocol,
            "seed": self._request.seed,
            "leaks": False,
            **details,
            **split_counts(screen, roles),
            "dose_nesting": self._nesting,
            "controls_by_plate": controls,
            **{name: plates for name, plates in noted.items() if plates},
        }
        return Split(roles, protocol, description)

    def _dealt(self, protocol: Protocol, request: Request) -> tuple[np.ndarray, dict[str, Any]]:
        """The first deal of the rule that can be learned from."""
        fewest: dict[Role, list[str]] = {}
        for deal in range(MAX_DEALS):
            roles, details = PROTOCOLS[protocol](self._screen, replace(request, deal=deal))
            lacking = missing_classes(self._screen, roles, self._is_top, self._num_top_doses)
            if not lacking:
                return roles, {**details, **({"deal": deal} if deal else {})}
            fewest = min(filter(None, (fewest, lacking)), key=lambda found: sum(map(len, found.values())))
        lacks = "; ".join(f"{role} lacks {some_names(names, 'and')}" for role, names in fewest.items())
        raise SplitError(f"however it is dealt, {lacks}")

    def _too_few_plates(self, protocol: Protocol) -> str | None:
        num_plates = len(self._screen.treated_plates)
        if protocol != "leave-plate-out" or num_plates >= MIN_PLATES_TO_LEAVE_OUT:
            return None
        carry = "plate carries" if num_plates == 1 else "plates carry"
        return (
            f"{num_plates} {carry} treated wells, and it is taken unasked from {MIN_PLATES_TO_LEAVE_OUT} on"
        )

    def _asked_for(self, protocol: Protocol, tested_on: str, groups: Sequence[str | None]) -> Split:
        if groups == [None]:
            raise ScreenError(
                f"Expected nothing to test on with the protocol {protocol}, which draws it. Received: {tested_on!r}. "
                "Leave it out, or ask for leave-experiment-out or leave-one-plate-out."
            )
        if tested_on not in groups:
            raise ScreenError(
                f"Expected one of {', '.join(map(str, groups))} to test on under {protocol}. Received: {tested_on!r}."
            )
        try:
            return self._split(protocol, tested_on)
        except SplitError as error:
            others = [group for group in groups if group != tested_on and self._is_possible(protocol, group)]
            if not others:
                raise
            raise ScreenError(
                f"{protocol} cannot test on {tested_on}: {error.reason}. It can test on {', '.join(map(str, others))}."
            ) from error

    def _is_possible(self, protocol: Protocol, tested_on: str | None = None) -> bool:
        try:
            if tested_on is None:
                self.one(protocol, None)
            else:
                self._split(protocol, tested_on)
        except SplitError:
            return False
        return True

    def _way_out(self) -> str:
        doses = " learn from more doses (`heads.num_top_doses`, 0 takes all)," if self._num_top_doses else ""
        return f"Add plates or wells that carry every class,{doses} or leave a treatment out (`--treatment`)."


def _shortest(reasons: list[str]) -> str:
    return min(reasons, key=len)
