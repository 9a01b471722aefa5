"""Concentrations as they were meant, not as floating-point noise left them."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from phenotrain.plates.errors import TableError

_BLANK = frozenset({"", "nan", "na", "n/a", "none", "null"})
_SIGNIFICANT_DECIMALS = 5


def snap_concentration(value: float) -> float:
    """Round a concentration to the decimal number it was meant to be.

    Tables carry `0.0009999999999999` for 1e-3 and `9.999999999999998` for 10, so equal doses would fall into
    different groups. A dose is a short mantissa times a power of ten; it is rounded to six significant
    digits, which undoes double and single precision noise and leaves every real ladder (1, 2.5, 5; 0.98,
    15.63) alone.

    Args:
        value: Concentration in any unit, positive and finite.

    Returns:
        The nearest float with six significant decimal digits.
    """
    return float(f"{value:.{_SIGNIFICANT_DECIMALS}e}")


def read_concentrations(
    cells: Sequence[str], *, is_control: npt.NDArray[np.bool_], names: Sequence[str]
) -> npt.NDArray[np.float64]:
    """Turn the cells of the concentration column into doses.

    Args:
        cells: Text of one row each; blank, `NaN`, `NA`, `None` and `null` mean that it is not known.
        is_control: Whether the row is a control. A control has no dose, whatever is recorded (blank, zero,
            -1).
        names: What to call each row in a message.

    Returns:
        Snapped doses (`snap_concentration`), NaN for controls and where not known.

    Raises:
        TableError: If the cell of a treated row is no number, infinite, zero or negative.
    """
    snapped: dict[str, float] = {}
    doses = np.full(len(cells), np.nan)
    for row, cell in enumerate(cells):
        if is_control[row] or cell.casefold() in _BLANK:
            continue
        if cell not in snapped:
            try:
                value = float(cell)
            except ValueError:
                value = math.nan
            if not (math.isfinite(value) and value > 0):
                raise TableError(
                    f"{names[row]}: the concentration of a treated site is {cell!r}; expected a positive"
                    " number, or a"
                    " blank where it is not known. An untreated site must carry the control's label"
                )
            snapped[cell] = snap_concentration(value)
        doses[row] = snapped[cell]
    return doses
