"""Numbers and doses of a table's column, as they were meant."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from phenotrain.plates.errors import TableError

_BLANK = frozenset({"", "nan", "na", "n/a", "none", "null"})
_SIGNIFICANT_DECIMALS = 5
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:(\.)[0-9]*|(,)[0-9]+)?|(\.)[0-9]+)(?:[eE][+-]?[0-9]+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")


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


def read_numbers(cells: Sequence[str], *, names: Sequence[str], what: str) -> npt.NDArray[np.float64]:
    """Turn the cells of a column into numbers; its decimal mark is one for all.

    Args:
        cells: Text of one row each; blank, `NaN`, `NA`, `None` and `null` mean that it is not known.
        names: What to call each row in a message.
        what: What the column holds, for a message.

    Returns:
        The numbers, NaN where not known.

    Raises:
        TableError: If a cell is no finite number, has another decimal mark than one before it, or a comma
            that may part thousands (`1,000`).
    """
    numbers = np.full(len(cells), np.nan)
    known: dict[str, _Number] = {}
    first_marked: int | None = None
    for row, cell in enumerate(cells):
        number = known.get(cell) or known.setdefault(cell, _Number.of(cell))
        if number.mark:
            first_marked = row if first_marked is None else first_marked
            if number.mark not in cells[first_marked]:
                raise TableError(
                    f"{names[row]}: {what} is {cell!r}, but {cells[first_marked]!r} for"
                    f" {names[first_marked]}; expected one decimal mark in the whole column"
                )
            if number.may_be_thousands:
                raise TableError(
                    f"{names[row]}: {what} is {cell!r}, which may be thousands or decimals; expected a number without"
                    " parted thousands. Write it with a decimal point or without the comma"
                )
        if number.is_blank:
            continue
        if not math.isfinite(number.value):
            raise TableError(
                f"{names[row]}: {what} is {cell!r}; expected a finite number without a unit, or a blank where it is not"
                " known"
            )
        numbers[row] = number.value
    return numbers


def read_concentrations(
    cells: Sequence[str], *, is_control: npt.NDArray[np.bool_], names: Sequence[str]
) -> npt.NDArray[np.float64]:
    """Turn the cells of the concentration column into doses.

    Args:
        cells: Text of one row each, as for `read_numbers`.
        is_control: Whether the row is a control. A control has no dose, whatever is recorded (blank, zero,
            -1).
        names: What to call each row in a message.

    Returns:
        Snapped doses (`snap_concentration`), NaN for controls and where not known.

    Raises:
        TableError: As `read_numbers`, or if the dose of a treated row is zero or negative.
    """
    treated: list[int] = np.flatnonzero(~is_control).tolist()
    treated_names = [names[row] for row in treated]
    what = "the concentration of a treated site"
    numbers = read_numbers([cells[row] for row in treated], names=treated_names, what=what)
    impossible = np.flatnonzero(numbers <= 0)
    if len(impossible):
        row = int(impossible[0])
        raise TableError(
            f"{treated_names[row]}: {what} is {cells[treated[row]]!r}; expected a positive number, or a blank where it"
            " is not known. An untreated site must carry the control's label"
        )
    distinct, inverse = np.unique(numbers, return_inverse=True)
    doses = np.full(len(cells), np.nan)
    doses[treated] = np.array([snap_concentration(value) for value in distinct])[inverse]
    return doses


@dataclass(frozen=True)
class _Number:
    """One cell: its value (NaN where it is blank or no number) and its decimal mark."""

    value: float
    mark: str
    is_blank: bool
    may_be_thousands: bool

    @classmethod
    def of(cls, cell: str) -> "_Number":
        text = cell.strip()
        found = _NUMBER.fullmatch(text)
        if found is None:
            return cls(math.nan, "", text.casefold() in _BLANK, may_be_thousands=False)
        return cls(
            float(text.replace(",", ".")),
            found[1] or found[2] or found[3] or "",
            is_blank=False,
            may_be_thousands=_THOUSANDS.fullmatch(text) is not None,
        )
