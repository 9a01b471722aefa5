"""UMAP of well profiles: a picture, not a measurement."""

import sys
import warnings
from importlib import import_module
from types import ModuleType
from typing import Any, Final, cast

import numpy as np

NUM_NEIGHBOURS: Final = 15
MIN_WELLS: Final = 8
"""Fewest wells that are worth a picture, and that UMAP's start can work with."""
MAX_WELLS: Final = 10_000


def umap_layout(profiles: np.ndarray, *, seed: int) -> np.ndarray | None:
    """Lay profiles out in the plane (McInnes et al. 2018), by cosine distance from the mean profile.

    Args:
        profiles: `(num_wells, component)`.
        seed: Seed of the layout; equal seeds give equal pictures on equal machines.

    Returns:
        `(num_wells, 2)`; None with fewer than `MIN_WELLS` wells.
    """
    if len(profiles) < MIN_WELLS:
        return None
    reducer = _umap()(
        n_neighbors=min(NUM_NEIGHBOURS, len(profiles) - 1),
        min_dist=0.3,
        metric="cosine",
        random_state=seed,
        n_jobs=1,
    )
    return np.asarray(reducer.fit_transform(profiles - profiles.mean(axis=0)), dtype=np.float64)


def _umap() -> type[Any]:
    """Import umap-learn, which compiles with Numba: seconds."""
    # It would import TensorFlow too, for a part that is not used here: ten seconds more, and TensorFlow's chatter.
    is_hidden = sys.modules.setdefault("tensorflow", cast("ModuleType", None)) is None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ImportWarning)  # says that the part is missing
            return import_module("umap").UMAP
    finally:
        if is_hidden:
            del sys.modules["tensorflow"]


def drawn_rows(num_wells: int, *, seed: int) -> np.ndarray:
    """Choose the wells to draw: all of them, or `MAX_WELLS` at random.

    Args:
        num_wells: How many there are.
        seed: Seed of the choice.

    Returns:
        Row numbers, ascending.
    """
    return np.sort(np.random.default_rng(seed).permutation(num_wells)[:MAX_WELLS])
