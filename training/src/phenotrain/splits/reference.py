"""The reference project's split, kept to show what it does: sites of one well lie on both sides."""

from typing import Any, Final

import numpy as np
from sklearn.model_selection import train_test_split

from phenotrain.errors import SplitError
from phenotrain.splits.dealing import UNUSED
from phenotrain.splits.request import Request
from phenotrain.splits.screen import Screen

SITES_PER_CLASS: Final = 287
_HELD_OUT: Final = 0.4
_FEWEST_SITES: Final = 10


def reference(screen: Screen, request: Request) -> tuple[np.ndarray, dict[str, Any]]:
    """Draw the same number of sites of a treatment and of the control, and deal sites out at random.

    As the reference project's notebooks do it: 287 sites a class (fewer where the smaller class has fewer),
    60 % to train, 20 % to validate and 20 % to test on, stratified by class, whatever the well, plate or dose.

    Returns:
        The roles, `unused` for the sites that were not drawn, and a description that says `leaks`.

    Raises:
        SplitError: If there is not exactly one treatment, or a class has too few sites to deal out.
    """
    if len(screen.treated) != 1:
        raise SplitError(
            f"it takes one treatment at a time, and these are {len(screen.treated)}: {', '.join(screen.treated)}. "
            "`phenotrain evaluate --protocol reference` takes one after the other, `--treatment` names one"
        )
    by_site = np.argsort(screen.sites, kind="stable")
    members = [by_site[screen.labels[by_site] == name] for name in (screen.control, screen.treated[0])]
    num_sites = min(SITES_PER_CLASS, *(len(rows) for rows in members))
    if num_sites < _FEWEST_SITES:
        raise SplitError(
            f"it takes {_FEWEST_SITES} sites or more of a class, and {screen.treated[0]} and {screen.control} have "
            f"{len(members[1])} and {len(members[0])}"
        )
    rng, random_state = request.rng(), request.seed + request.deal
    drawn = np.concatenate([rng.choice(rows, num_sites, replace=False) for rows in members])
    train, held_out = train_test_split(
        drawn, test_size=_HELD_OUT, stratify=screen.labels[drawn], random_state=random_state
    )
    validation, test = train_test_split(
        held_out, test_size=0.5, stratify=screen.labels[held_out], random_state=random_state
    )
    roles = np.full(len(screen.sites), UNUSED, dtype="<U10")
    for role, rows in (("train", train), ("validation", validation), ("test", test)):
        roles[rows] = role
    num_leaking = int(np.isin(screen.wells[test], screen.wells[train]).sum())
    return roles, {
        "rule": f"{num_sites} sites a class, drawn and dealt out 60/20/20 at random, site by site, as the "
        "reference project did.",
        "leaks": True,
        "why_it_leaks": f"{num_leaking} of {len(test)} test sites show a well that training has seen too, and all "
        "plates are on every side: what is recognised may be the well or the plate instead of the treatment.",
        "sites_per_class": num_sites,
        "num_test_sites_of_training_wells": num_leaking,
    }
