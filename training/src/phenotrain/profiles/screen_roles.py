"""Which sites a bundle was trained on, as far as its manifest tells."""

import json
from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from phenoserve.bundle import Bundle
from phenotrain.grouping import plate_names
from phenotrain.splits import NOTED, Protocol, split_sites

_DRAWING: Final[dict[str, Protocol]] = {
    "leave-well-out": "leave-well-out",
    "leave-one-plate-out": "leave-one-plate-out",
}
"""Protocols that may draw wells."""


def roles_of(bundle: Bundle, sites: pd.DataFrame) -> tuple[np.ndarray, str]:
    """Give every site its role in the split that a bundle's manifest records.

    A manifest names plates. Where wells were held out, the split is drawn anew from its seed, and believed only if it
    is described as the manifest describes its own.

    Args:
        bundle: The bundle.
        sites: Sites table.

    Returns:
        Roles, `(num_sites,)`, and a sentence on where they come from. All sites are `train` where the manifest does not
        tell: it names no plates, a plate lies on two sides, or a plate or well is not among those it was made from.
    """
    recorded = bundle.manifest.provenance.split
    plates, named = plate_names(sites), recorded.get("plates")
    role_of: dict[str, str] = {}
    if isinstance(named, Mapping):
        lists = [(str(role), names) for role, names in named.items() if isinstance(names, list)]
        pairs = [(str(plate), role) for role, names in lists for plate in names]
        role_of = dict(pairs)
        if len(role_of) == len(pairs) and set(plates) <= set(role_of):
            roles = np.array([role_of[plate] for plate in plates])
            return roles, "The correction is fitted on the controls of the bundle's training plates."
    roles = _redrawn(bundle, sites)
    if roles is not None:
        return roles, "The correction is fitted on the controls of the bundle's training wells."
    why = (
        "holds out wells of plates it trained on"
        if set(plates) <= set(role_of)
        else "does not name these plates"
    )
    return (
        np.full(len(sites), "train"),
        f"The correction is fitted on the controls of all plates: the split in the bundle's manifest {why}.",
    )


def _redrawn(bundle: Bundle, sites: pd.DataFrame) -> np.ndarray | None:
    """The roles of a split that held out wells; None where the sites are not those that it was made from."""
    provenance = bundle.manifest.provenance
    recorded, heads = provenance.split, provenance.recipe.get("heads")
    test_plate = recorded.get("test_plate")
    tested_on = test_plate if isinstance(test_plate, str) else None
    try:
        drawn = split_sites(
            sites,
            control=bundle.manifest.control,
            treatments=bundle.manifest.treatments,
            seed=int(str(recorded["seed"])),
            test_fraction=float(str(recorded["test_fraction"])),
            validation_fraction=float(str(recorded["validation_fraction"])),
            protocol=_DRAWING[str(recorded["protocol"])],
            tested_on=tested_on,
            num_top_doses=int(str(heads.get("num_top_doses", 0))) if isinstance(heads, Mapping) else 0,
            left_out=_names(recorded.get("left_out_plates")),
        )
    except (KeyError, ValueError):  # the record is of another form, or the sites are those of another screen
        return None
    told = json.loads(
        json.dumps({key: drawn.description[key] for key in drawn.description if key not in NOTED})
    )
    return drawn.roles if all(recorded.get(key) == value for key, value in told.items()) else None


def _names(recorded: object) -> list[str]:
    return [str(name) for name in recorded] if isinstance(recorded, list) else []
