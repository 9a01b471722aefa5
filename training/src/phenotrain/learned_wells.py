"""The wells that a bundle has learned from, short enough for its manifest."""

import re
from collections.abc import Iterable
from typing import Final

import numpy as np
import pandas as pd

from phenotrain.grouping import natural_order

_LEARNED_ROLES: Final = ("train", "validation")
_WELL: Final = re.compile(r"([A-Z]{1,2})([0-9]{2})")

LearnedWells = dict[str, dict[str, list[str]]]


def learned_wells(sites: pd.DataFrame, roles: np.ndarray) -> LearnedWells:
    """List the wells of the sites that are learned from or validate, which decides when learning ends.

    Args:
        sites: Sites table with the columns `experiment`, `plate` and `well`.
        roles: Role of every site, `(num_sites,)`.

    Returns:
        By experiment and plate: wells such as `B02`, and `B02-B11` for a run of wells in one row.
    """
    used = sites[np.isin(roles, _LEARNED_ROLES)].astype({"experiment": "str", "plate": "str", "well": "str"})
    return {
        experiment: {
            plate: well_runs(of_experiment.loc[of_experiment["plate"] == plate, "well"])
            for plate in natural_order(of_experiment["plate"])
        }
        for experiment in natural_order(used["experiment"])
        for of_experiment in (used[used["experiment"] == experiment],)
    }


def well_runs(wells: Iterable[str]) -> list[str]:
    """Write wells in the fewest words: `["B02", "B03", "B04", "C05"]` is `["B02-B04", "C05"]`.

    Args:
        wells: In any order, repeated or not; what is not of the form `B02` stands for itself.
    """
    runs: list[list[str]] = []
    for well in natural_order(wells):
        if runs and _follows(runs[-1][-1], well):
            runs[-1].append(well)
        else:
            runs.append([well])
    return [run[0] if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]


def _follows(before: str, well: str) -> bool:
    one, other = _WELL.fullmatch(before), _WELL.fullmatch(well)
    return one is not None and other is not None and one[1] == other[1] and int(other[2]) == int(one[2]) + 1
