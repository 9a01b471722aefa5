"""How many experiments, plates, wells and sites a split gives to each role."""

from typing import Any

import numpy as np
import pandas as pd

from phenotrain.grouping import natural_order
from phenotrain.splits.dealing import ROLES, UNUSED
from phenotrain.splits.screen import Screen


def split_counts(screen: Screen, roles: np.ndarray) -> dict[str, Any]:
    """Count what every role holds, the unused sites as a role of their own where there are some.

    Args:
        screen: What was split.
        roles: Role of every site, `(num_sites,)`.

    Returns:
        JSON-able: `experiments` and `plates` of each role by name, its `num_sites` and
        `num_unlabelled_sites`, and of each class `num_wells` and `num_sites_of_class` by role.
    """
    counted = pd.DataFrame(
        {
            "role": roles,
            "well": screen.wells,
            "plate": screen.plates,
            "experiment": screen.experiment_of,
            "label": screen.labels,
        }
    )
    given = [*ROLES, *([UNUSED] if (roles == UNUSED).any() else [])]
    by_role = {role: counted[counted["role"] == role] for role in given}
    return {
        "experiments": {role: natural_order(part["experiment"]) for role, part in by_role.items()},
        "plates": {role: natural_order(part["plate"]) for role, part in by_role.items()},
        "num_sites": {role: len(part) for role, part in by_role.items()},
        "num_wells": {
            name: {
                role: int(part.loc[part["label"] == name, "well"].nunique()) for role, part in by_role.items()
            }
            for name in screen.classes
        },
        "num_sites_of_class": {
            name: {role: int((part["label"] == name).sum()) for role, part in by_role.items()}
            for name in screen.classes
        },
        "num_unlabelled_sites": {
            role: int((~part["label"].isin(screen.classes)).sum()) for role, part in by_role.items()
        },
    }
