"""Doses as tables write them; `phenotrain` reads them by the same rule."""

import math
import re
from collections.abc import Sequence

_BLANKS = frozenset({"", "na", "n/a", "nan", "none", "null"})
_EXPONENT = r"(?:[eE][+-]?[0-9]+)?"
_WITH_POINT = re.compile(rf"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+){_EXPONENT}")
_WITH_COMMA = re.compile(rf"[+-]?[0-9]+,[0-9]+{_EXPONENT}")
_MAY_BE_THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")
_SIGNIFICANT_DIGITS = 6


class DoseError(ValueError):
    """A cell that is no dose.

    Attributes:
        index: Which cell of the column.
    """

    def __init__(self, index: int, message: str) -> None:
        super().__init__(message)
        self.index = index


def read_doses(cells: Sequence[str]) -> list[float | None]:
    """Reads the cells of one column of doses, of treated wells and in one unit.

    A dose is positive and finite, and rounded to six significant digits, so that 0.0009999999999999 and 0.001 are one.
    A cell that is blank or says `NA`, `NaN`, `None` or `null` is an unknown dose. Decimals have a point or, in the
    whole column, a comma.

    Returns:
        The doses; None where unknown.

    Raises:
        DoseError: If a cell is anything else.
    """
    doses, marks = list[float | None](), dict[str, str]()
    for index, cell in enumerate(cells):
        text = cell.strip()
        if text.casefold() in _BLANKS:
            doses.append(None)
            continue
        if _MAY_BE_THOUSANDS.fullmatch(text):
            raise DoseError(
                index, f"{text!r}, which may be thousands or decimals. Expected decimals with a point"
            )
        has_comma = _WITH_COMMA.fullmatch(text) is not None
        if not has_comma and _WITH_POINT.fullmatch(text) is None:
            raise DoseError(index, f"{text!r}. Expected a number, in one unit for the whole column")
        for mark in ",.":
            if mark in text:
                marks.setdefault(mark, text)
        if len(marks) > 1:
            raise DoseError(
                index,
                f"{text!r}, while others of the column are written as {marks['.' if has_comma else ',']!r}. Expected "
                "one decimal mark",
            )
        dose = float(text.replace(",", "."))
        if not 0 < dose < math.inf:
            raise DoseError(index, f"{text!r}. Expected a dose above 0 and finite, or none at all")
        doses.append(float(f"{dose:.{_SIGNIFICANT_DIGITS - 1}e}"))
    return doses
