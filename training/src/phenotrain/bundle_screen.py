"""The screen that a finished bundle is asked about: whether both fit, its sites, and their raw stacks."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from phenoserve.bundle import Bundle
from phenotrain.datasets import Description
from phenotrain.plates import FieldForm, IncompleteSitesError, read_site, read_sites, site_files

ReadStack = Callable[[int], np.ndarray]
"""Gives the raw stack of a row, `(channel, y, x)`."""


class ScreenMismatchError(ValueError):
    """Raised when a screen has other stains than a bundle takes."""


def require_fit(description: Description, bundle: Bundle) -> None:
    """Refuse a screen whose stains are not the bundle's, in its order.

    Raises:
        ScreenMismatchError: If they are not.
    """
    channels = bundle.manifest.input.channels
    if tuple(description.stains) != tuple(channels):
        raise ScreenMismatchError(
            f"The bundle takes the stains {', '.join(channels)}; the dataset {description.name!r} has "
            f"{', '.join(description.stains)}. Describe the channels in the bundle's order, or take another bundle."
        )


def open_screen(description: Description, data: Path, advice: str) -> tuple[pd.DataFrame, ReadStack]:
    """Read a screen's table, and its images as they are asked for.

    Args:
        description: The dataset's description.
        data: Its root folder.
        advice: How to go on when a site cannot be read, one sentence.

    Returns:
        Sites table, and what reads a site; it raises `phenotrain.plates.IncompleteSitesError`.
    """
    sites = read_sites(description, data)
    files = site_files(description, sites)
    form: FieldForm | None = None

    def read_stack(row: int) -> np.ndarray:
        nonlocal form
        site_id = str(sites["site_id"].iloc[row])
        read = read_site(data, site_id, files[row], form, stack_stains=description.stack_stains)
        if read.stack is None:
            raise IncompleteSitesError(read.faults, advice)
        form = FieldForm.of(read.stack)
        return read.stack

    return sites, read_stack
