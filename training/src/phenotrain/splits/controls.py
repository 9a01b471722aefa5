"""Plates that lack one side of the comparison: treated wells without a control, or controls alone."""

from typing import Final, Literal

import numpy as np
import pandas as pd

from phenotrain.errors import ScreenError
from phenotrain.grouping import natural_order, plate_names
from phenotrain.task import Task

WithoutControls = Literal["refuse", "leave-out"]
"""What is done with plates that carry treated wells and no control."""

_MAX_NAMED: Final = 6


def plates_without_controls(sites: pd.DataFrame, task: Task) -> list[str]:
    """Name the plates that carry a treatment to learn and no control, in natural order."""
    plates, treated, controls = _plates(sites, task)
    return natural_order(plates[np.isin(plates, treated) & ~np.isin(plates, controls)])


def without_controls_text(sites: pd.DataFrame, task: Task) -> str | None:
    """Say which treated plates have no control, and what to do about it.

    Returns:
        A sentence; None where there are none.
    """
    bare = plates_without_controls(sites, task)
    if not bare:
        return None
    if not _has_a_shared_plate(sites, task):
        return (
            f"No plate carries both the control {task.control} and a treatment ({', '.join(task.treated)}), so "
            "nothing can tell a treatment from its plate: put control wells on every treated plate, or name another "
            "control under [task] control of the description."
        )
    those = "that plate" if len(bare) == 1 else "those plates"
    return (
        f"No {task.control} on {some_plates(bare)} beside treated wells, which cannot be compared with controls of "
        f"their plate: leave {those} out with `--without-controls leave-out`, or add the controls to the table."
    )


def controls_only_plates(sites: pd.DataFrame, task: Task) -> list[str]:
    """Name the plates that carry the control and no treatment to learn, in natural order."""
    plates, treated, controls = _plates(sites, task)
    return natural_order(plates[np.isin(plates, controls) & ~np.isin(plates, treated)])


def left_out_plates(sites: pd.DataFrame, task: Task, without_controls: WithoutControls) -> list[str]:
    """Name the plates to leave out for want of a control.

    Args:
        sites: Sites table.
        task: Treatments and control.
        without_controls: Whether to leave such plates out or to refuse the screen.

    Returns:
        The plates, in natural order.

    Raises:
        ScreenError: If there are some and they are refused, or no plate with treated wells would be left.
    """
    bare = plates_without_controls(sites, task)
    refusal = without_controls_text(sites, task)
    if refusal is not None and (without_controls == "refuse" or not _has_a_shared_plate(sites, task)):
        raise ScreenError(refusal)
    return bare


def some_plates(plates: list[str]) -> str:
    """Count plates and name the first few."""
    if len(plates) == 1:
        return plates[0]
    more = ", ..." if len(plates) > _MAX_NAMED else ""
    return f"{len(plates)} plates ({', '.join(plates[:_MAX_NAMED])}{more})"


def _has_a_shared_plate(sites: pd.DataFrame, task: Task) -> bool:
    _, treated, controls = _plates(sites, task)
    return bool(len(np.intersect1d(treated, controls)))


def _plates(sites: pd.DataFrame, task: Task) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every site's plate, and the plates with a treatment to learn and with a control."""
    plates = plate_names(sites)
    labels = sites["treatment"].to_numpy(dtype=str)
    return plates, np.unique(plates[np.isin(labels, task.treated)]), np.unique(plates[labels == task.control])
