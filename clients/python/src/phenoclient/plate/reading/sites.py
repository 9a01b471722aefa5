"""A site as it lies in a folder, and why one cannot be asked about."""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WHOLE_STACK = ""
"""Channel of a file whose name tells none: the file holds the whole stack"""

_ROWS, _COLUMNS = range(1, 49), range(1, 73)
_ROWS_384, _COLUMNS_384 = range(1, 17), range(1, 25)
_WELL = re.compile(
    r"(?:(?P<row>[A-Z]{1,2})[-_ :/]?0*(?P<col>[1-9][0-9]?)|"
    r"0*(?P<col_before>[1-9][0-9]?)[-_ :/]?(?P<row_behind>[A-Z]{1,2}))"
    r"(?:\.(?P<quadrant>[AB][12]))?",
    re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True)
class Site:
    """One field of view of a plate.

    Attributes:
        experiment: Name of the experiment; None where the file names tell none.
        plate: Name of the plate.
        well: Letters of the row and at least two digits of the column, such as `A01` or `AF48`; with the quadrant,
            such as `A01.a1`, where a 1536-well plate is counted as one of 384.
        site: Number or name of the field of view within the well.
        files: Path of the file of every channel, relative to the plate's folder; the key is the channel as the
            file names write it, or `WHOLE_STACK`.
        more_files: Paths of further files of its channels; there are none where the site can be asked about.
    """

    experiment: str | None
    plate: str
    well: str
    site: str
    files: Mapping[str, Path]
    more_files: tuple[Path, ...] = ()

    @property
    def site_id(self) -> str:
        """`{experiment}_{plate}_{well}_{site}`, without the experiment where there is none; no two sites share one.

        A plate without an experiment but with an underscore in its name begins with one more, or `a_b` would be plate
        `b` of experiment `a`. Underscores of an experiment are written `%5F`, as in addresses.
        """
        experiment, well, site = (
            part.replace("%", "%25").replace("_", "%5F")
            for part in (self.experiment or "", self.well, self.site)
        )
        begin = f"{experiment}_" if experiment or "_" in self.plate else ""
        return f"{begin}{self.plate}_{well}_{site}"

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells the site from every other of the folder."""
        return (self.experiment or "", self.plate, self.well, self.site)

    @property
    def order(self) -> tuple[Any, ...]:
        """What sites are sorted by: experiment, plate, row, column, site, numbers as numbers."""
        experiment, plate = natural(self.experiment or ""), natural(self.plate)
        return (experiment, plate, *well_position(self.well), natural(self.site))


@dataclass(frozen=True)
class Failure:
    """Why there is no answer for a site.

    Attributes:
        code: `incomplete` (a channel has no file, or several), `unmatched` (a file's name tells no site), `file`
            (a file or a folder cannot be used), `transport` (no answer came), or the code of the service's error.
        reason: What was found, what was expected and how to fix it.
    """

    code: str
    reason: str


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts text with numbers in it by their values: `w2` before `w10`."""
    parts = re.findall(r"\d+|\D+", text)
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts)


def as_utf8(text: str) -> str:
    """The text with every byte of a file's name that is no UTF-8 written out: a backslash, x, and two digits."""
    return text.encode("utf-8", sys.getfilesystemencodeerrors()).decode("utf-8", "backslashreplace")


def well_of(row: str, column: str | int, quadrant: str = "") -> str:
    """The well at a row (letters, or a number from 1 on) and a column: `("1", "3")` and `("A", "3")` are `A03`.

    Args:
        row: Letters or number of the row.
        column: Number of the column, from 1 on.
        quadrant: `a1`, `a2`, `b1` or `b2` of a 1536-well plate that is counted as one of 384; empty for none.

    Raises:
        ValueError: If no plate has such a well.
    """
    row, number = row.strip(), str(column).strip()
    letters = row_letters(int(row)) if _is_number(row) and int(row) in _ROWS else row
    if not _is_number(number):
        raise ValueError(_no_well(f"row {row}, column {number}"))
    letters, found, quadrant = split_well(f"{letters}{int(number)}{'.' if quadrant else ''}{quadrant}")
    return f"{letters}{found:02d}{'.' if quadrant else ''}{quadrant}"


def well_name(well: str) -> str:
    """The one name of a well, however it is written: `a1`, `A 1`, `01A` and `1-A` are `A01`, `A1.A1` is `A01.a1`.

    Raises:
        ValueError: If the text is no well.
    """
    return well_of(*split_well(well))


def split_well(well: str) -> tuple[str, int, str]:
    """Row letters, column and quadrant of a well: `AF48` is `("AF", 48, "")`, `A01.a1` is `("A", 1, "a1")`.

    Raises:
        ValueError: If the text is no well.
    """
    found = _WELL.fullmatch(well.strip())
    if found is None:
        raise ValueError(_no_well(repr(well)))
    letters = (found["row"] or found["row_behind"]).upper()
    column, quadrant = int(found["col"] or found["col_before"]), (found["quadrant"] or "").lower()
    rows, columns = (_ROWS_384, _COLUMNS_384) if quadrant else (_ROWS, _COLUMNS)
    if row_number(letters) not in rows or column not in columns:
        raise ValueError(_no_well(repr(well)))
    return letters, column, quadrant


def well_position(well: str) -> tuple[int, int]:
    """Row and column of a well, both counted from 1; those of the 1536-well plate where it has a quadrant.

    Raises:
        ValueError: If the text is no well.
    """
    letters, column, quadrant = split_well(well)
    row = row_number(letters)
    if not quadrant:
        return row, column
    return 2 * row - (quadrant[0] == "a"), 2 * column - (quadrant[1] == "1")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def _no_well(found: str) -> str:
    return (
        f"{found} is no well. Expected a row from A to {row_letters(_ROWS[-1])} and a column from 1 to {_COLUMNS[-1]}, "
        "such as A01; or A01.a1 to P24.b2."
    )


def row_letters(number: int) -> str:
    """Letters of a row counted from 1: A to Z, then AA.

    Raises:
        ValueError: If the number is below 1.
    """
    if number < 1:
        raise ValueError(f"row {number}. Expected rows to be counted from 1.")
    more, last = divmod(number - 1, 26)
    return (chr(ord("A") + more - 1) if more else "") + chr(ord("A") + last)


def row_number(letters: str) -> int:
    """Number of a row counted from 1: A is 1, AA is 27."""
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - ord("A") + 1
    return number
