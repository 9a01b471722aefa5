"""A table of what was put into which well."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phenoclient.errors import PlateError
from phenoclient.plate.rows import METADATA
from phenoclient.plate.sites import Site, natural, well_name, well_of

_NAMES = {
    "experiment": ("experiment", "experiment_name"),
    "plate": ("plate",),
    "well": ("well", "address", "well_position"),
    "row": ("row",),
    "col": ("col", "column"),
    "treatment": ("treatment", "compound", "drug"),
    "treatment_conc": ("treatment_conc", "concentration", "dose"),
}
"""For each of our words, what a plate map may call it; the first that is there counts"""

_POSITION = ("experiment", "plate", "well", "row", "col")
_NUM_WELLS = 5
_Place = tuple[str | None, str | None, str]


@dataclass(frozen=True)
class PlateMap:
    """Treatments, doses and whatever else is known of wells.

    Attributes:
        columns: Names of the `Metadata_` columns that it gives, in order.
        wells: Their values, by experiment and plate (None where the map does not tell them) and well.
    """

    columns: tuple[str, ...]
    wells: Mapping[_Place, Mapping[str, Any]]

    def row(self, site: Site) -> dict[str, Any]:
        """The site's `Metadata_` columns; blank (None) where the map does not hold its well."""
        known = self.wells.get(self._place(site), {})
        return {column: known.get(column) for column in self.columns}

    def lacking(self, sites: Iterable[Site]) -> str | None:
        """Which wells with images the map does not hold, in words; None if it holds them all."""
        wells = sorted({site.well for site in sites if self._place(site) not in self.wells}, key=natural)
        if not wells:
            return None
        more = f" and {len(wells) - _NUM_WELLS} more" if len(wells) > _NUM_WELLS else ""
        return (
            f"the plate map does not hold {', '.join(wells[:_NUM_WELLS])}{more}; their treatment stays blank"
        )

    def _place(self, site: Site) -> _Place:
        experiment, plate, _ = next(iter(self.wells))
        return (
            None if experiment is None else site.experiment or "",
            None if plate is None else site.plate,
            site.well,
        )


def read_plate_map(path: Path) -> PlateMap:
    """Reads a CSV with a row a well.

    `well` (or `row` and `col`) says where, `plate` and `experiment` too where they are there. `treatment`, `compound`
    or `drug` becomes `Metadata_treatment`; `treatment_conc`, `concentration` or `dose` becomes
    `Metadata_treatment_conc`, a number; every other column becomes `Metadata_<name>`, as text. A leading
    `Metadata_` and upper case in names do not count.

    Raises:
        PlateError: If the file cannot be read, has no wells, names one twice, or has a dose that is no number.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
            names = list(reader.fieldnames or ())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PlateError(
            f"{path}: cannot be read ({error}). Expected a CSV in UTF-8 with a row a well."
        ) from error
    found = _found(names)
    if "well" not in found and not {"row", "col"} <= set(found):
        raise PlateError(
            f"{path}: has the columns {', '.join(names) or 'none'}. Expected `well`, or `row` and `col`, beside "
            "`treatment` and `treatment_conc`."
        )
    columns = {
        name: f"{METADATA}{next((word for word, known in found.items() if known == name), _bare(name))}"
        for name in names
        if name not in {found.get(word) for word in _POSITION}
    }
    wells: dict[_Place, dict[str, Any]] = {}
    for number, row in enumerate(rows, start=2):
        where = f"{path}, line {number}"
        place = _place(where, row, found)
        if place in wells:
            raise PlateError(f"{where}: names well {place[-1]} again. Expected each well once.")
        wells[place] = {
            column: _value(where, name, row[name], is_number=name == found.get("treatment_conc"))
            for name, column in columns.items()
        }
    if not wells:
        raise PlateError(f"{path}: has no rows. Expected one for each well.")
    return PlateMap(tuple(columns.values()), wells)


def _bare(name: str) -> str:
    return name.strip().removeprefix(METADATA)


def _found(names: Sequence[str]) -> dict[str, str]:
    """The column of the file for each of our words that it has."""
    by_word = {_bare(name).lower(): name for name in names}
    return {
        word: by_word[next(known for known in aliases if known in by_word)]
        for word, aliases in _NAMES.items()
        if any(known in by_word for known in aliases)
    }


def _place(where: str, row: Mapping[str, str | None], found: Mapping[str, str]) -> _Place:
    def cell(word: str) -> str | None:
        return (row[found[word]] or "").strip() if word in found else None

    try:
        well = (
            well_name(cell("well") or "")
            if "well" in found
            else well_of(cell("row") or "", cell("col") or "")
        )
        return (cell("experiment"), cell("plate"), well)
    except ValueError as error:
        raise PlateError(f"{where}: {error}") from error


def _value(where: str, name: str, text: str | None, *, is_number: bool) -> str | float | None:
    text = (text or "").strip()
    if not text:
        return None
    if not is_number:
        return text
    try:
        return float(text)
    except ValueError as error:
        raise PlateError(
            f"{where}: {name} is {text!r}. Expected a number, in one unit for the whole map."
        ) from error
