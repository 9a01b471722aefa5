"""Which sites a bundle was trained and tested on, wells held out among them."""

import json

import numpy as np
import pandas as pd

from phenoserve.bundle import Bundle
from phenotrain.profiles.screen_roles import roles_of
from phenotrain.splits import split_sites


def trained_and_tested(bundle: Bundle, sites: pd.DataFrame, control: str) -> np.ndarray:
    """Give every site its role in the split that a bundle's manifest records.

    A manifest names plates. Where wells were held out, the split is drawn anew from its seed, and believed only if it
    is described as the manifest describes its own.

    Args:
        bundle: The bundle.
        sites: Sites table.
        control: Name of the control in `treatment`.

    Returns:
        Roles, `(num_sites,)`; all `train` where the manifest does not tell.
    """
    recorded = bundle.manifest.provenance.split
    if recorded.get("protocol") != "leave-well-out":
        return roles_of(recorded, sites)[0]
    try:
        drawn = split_sites(
            sites,
            control=control,
            treatments=bundle.manifest.treatments,
            seed=int(str(recorded["seed"])),
            test_fraction=float(str(recorded["test_fraction"])),
            validation_fraction=float(str(recorded["validation_fraction"])),
            protocol="leave-well-out",
        )
    except (KeyError, ValueError):  # the record is of another form, or the sites are those of another screen
        return np.full(len(sites), "train")
    is_the_same = json.loads(json.dumps(drawn.description)) == json.loads(json.dumps(recorded))
    return drawn.roles if is_the_same else np.full(len(sites), "train")
