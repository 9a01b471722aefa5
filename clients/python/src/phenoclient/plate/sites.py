"""A site as it lies in a folder, and why one cannot be asked about."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WHOLE_STACK = ""
"""Channel of a file whose name tells none: the file holds the whole stack"""


@dataclass(frozen=True)
class Site:
    """One field of view of a plate.

    Attributes:
        experiment: Name of the experiment; None where the file names tell none.
        plate: Name of the plate.
        well: Letters of the row and at least two digits of the column, such as `A01` or `AF48`.
        site: Number or name of the field of view within the well.
        files: Path of the file of every channel, relative to the plate's folder; the key is the channel as the
            file names write it, or `WHOLE_STACK`.
    """

    experiment: str | None
    plate: str
    well: str
    site: str
    files: Mapping[str, Path]

    @property
    def site_id(self) -> str:
        """`{experiment}_{plate}_{well}_{site}`, without the experiment where there is none."""
        return "_".join(part for part in (self.experiment, self.plate, self.well, self.site) if part)

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells the site from every other of the folder."""
        return (self.experiment or "", self.plate, self.well, self.site)

    @property
    def order(self) -> tuple[Any, ...]:
        """What sites are sorted by: experiment, plate, row, column, site, numbers as numbers."""
        letters, column = split_well(self.well)
        return (
            natural(self.experiment or ""),
            natural(self.plate),
            (len(letters), letters),
            column,
            natural(self.site),
        )


@dataclass(frozen=True)
class Failure:
    """Why there is no answer for a site.

    Attributes:
        code: `incomplete` (a channel has no file, or several), `file` (a file cannot be used), `transport` (no answer
            came), or the code of the service's error.
        reason: What was found, what was expected and how to fix it.
    """

    code: str
    reason: str


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts text with numbers in it by their values: `w2` before `w10`."""
    parts = re.findall(r"\d+|\D+", text)
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts)


def well_of(row: str, column: str) -> str:
    """The well at a row (letters, or a number from 1 on) and a column: `("1", "3")` and `("A", "3")` are `A03`."""
    letters = row.upper() if row.isalpha() else row_letters(int(row))
    return f"{letters}{int(column):02d}"


def split_well(well: str) -> tuple[str, int]:
    """Row letters and column of a well: `AF48` is `("AF", 48)`.

    Raises:
        ValueError: If the text is no well.
    """
    found = re.fullmatch(r"\s*([A-Za-z]{1,2})0*([1-9]\d?)\s*", well)
    if found is None:
        raise ValueError(
            f"{well!r} is no well. Expected one or two letters and a column from 1 on, such as A01."
        )
    return found[1].upper(), int(found[2])


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
