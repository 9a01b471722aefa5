"""Which sites a bundle was trained on, as far as its manifest tells."""

import json
from collections.abc import Mapping

import numpy as np
import pandas as pd

from phenoserve.bundle import Bundle
from phenotrain.grouping import plate_names
from phenotrain.splits import split_sites


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
    if recorded.get("protocol") == "leave-well-out":
        roles = _redrawn(bundle, sites)
        if roles is not None:
            return roles, "The correction is fitted on the controls of the bundle's training wells."
    plates, named = plate_names(sites), recorded.get("plates")
    role_of: dict[str, str] = {}
    if isinstance(named, Mapping):
        pairs = [
            (str(plate), role) for role, names in named.items() if isinstance(names, list) for plate in names
        ]
        role_of = dict(pairs)
        if len(role_of) == len(pairs) and set(plates) <= set(role_of):
            roles = np.array([role_of[plate] for plate in plates])
            return roles, "The correction is fitted on the controls of the bundle's training plates."
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
    try:
        drawn = split_sites(
            sites,
            control=bundle.manifest.control,
            treatments=bundle.manifest.treatments,
            seed=int(str(recorded["seed"])),
            test_fraction=float(str(recorded["test_fraction"])),
            validation_fraction=float(str(recorded["validation_fraction"])),
            protocol="leave-well-out",
            num_top_doses=int(str(heads.get("num_top_doses", 0))) if isinstance(heads, Mapping) else 0,
        )
    except (KeyError, ValueError):  # the record is of another form, or the sites are those of another screen
        return None
    is_the_same = json.loads(json.dumps(drawn.description)) == json.loads(json.dumps(recorded))
    return drawn.roles if is_the_same else None
