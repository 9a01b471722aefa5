"""Which sites a bundle was trained on, as far as its manifest tells."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from phenotrain.grouping import plate_names


def roles_of(split: Mapping[str, Any], sites: pd.DataFrame) -> tuple[np.ndarray, str]:
    """Give every site its role in the split that a manifest records.

    Args:
        split: `provenance.split` of the manifest.
        sites: Sites table.

    Returns:
        Roles, `(num_sites,)`, and a sentence on where they come from. All sites are `train` where the manifest does not
        tell: it names no plates, a plate lies on two sides (wells were held out), or a plate is not among them.
    """
    plates = plate_names(sites)
    recorded = split.get("plates")
    role_of: dict[str, str] = {}
    if isinstance(recorded, Mapping):
        pairs = [(str(plate), str(role)) for role, names in recorded.items() for plate in names]
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
