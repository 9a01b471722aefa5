"""How rows of a sites table group: by plate of an experiment, and by treatment or control."""

import re
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd


def plate_names(sites: pd.DataFrame) -> np.ndarray:
    """Name the plate of every site so that equal plate numbers of two experiments differ.

    Args:
        sites: Sites table with the columns `experiment` and `plate`.

    Returns:
        Strings `(num_sites,)`, such as `HUVEC-1 plate 3`.
    """
    names = sites["experiment"].astype(str) + " plate " + sites["plate"].astype(str)
    return names.to_numpy(dtype=str)


def treated_names(treatments: Sequence[str], control: str) -> tuple[str, ...]:
    """Return `treatments` in their order, without the control.

    Raises:
        ValueError: If nothing but the control is left, or a name occurs twice.
    """
    treated = tuple(name for name in treatments if name != control)
    if not treated or len(set(treated)) != len(treated):
        raise ValueError(
            f"Expected at least one treatment beside the control {control!r}, each once. "
            f"Received: {list(treatments)}. "
            "Name the treatments to learn in the dataset description's [task]."
        )
    return treated


def class_names(treatments: Sequence[str], control: str) -> tuple[str, ...]:
    """Return the classes: `treatments` as given, with the control in front where it is missing."""
    return tuple(treatments) if control in treatments else (control, *treatments)


def natural_order(names: Iterable[str]) -> list[str]:
    """Sort names with the numbers in them by value, so that plate 10 follows plate 9."""

    def key(name: str) -> list[tuple[int, int, str]]:
        return [
            (0, int(part), "") if part.isdigit() else (1, 0, part)
            for part in re.split(r"(\d+)", name)
            if part
        ]

    return sorted(set(names), key=key)
