"""A table of what was put into which well."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from phenoclient.errors import PlateError
from phenoclient.plate.delimited import alike, read_delimited
from phenoclient.plate.doses import DoseError, read_doses
from phenoclient.plate.rows import CONTROL, METADATA, ROLE, TREATED, is_reserved
from phenoclient.plate.sites import Site, natural, well_name, well_of

_TREATMENT, _DOSE = "treatment", "treatment_conc"
_NAMES = {
    "experiment": ("experiment", "experiment_name"),
    "plate": ("plate",),
    "well": ("well", "address", "well_position"),
    "row": ("row",),
    "col": ("col", "column"),
    "site": ("site",),
    "site_id": ("site_id",),
    _TREATMENT: (_TREATMENT, "compound", "drug"),
    _DOSE: (_DOSE, "concentration", "dose"),
}
"""For each of our words, what a plate map may call it"""

_POSITION = ("experiment", "plate", "well", "row", "col", "site", "site_id")
_NUM_TOLD = 5
_Place: TypeAlias = tuple[str | None, str | None, str]
_Row: TypeAlias = Mapping[str, str]


@dataclass(frozen=True)
class PlateMap:
    """Treatments, doses and whatever else is known of wells.

    Attributes:
        path: The file that it was read from.
        columns: Names of the `Metadata_` columns that it gives, in order.
        wells: Their values, by experiment and plate (None where the map does not tell them) and well.
        control: What untreated wells are called.
        left_out: Columns of the file that are of sites, not of wells, and are not joined.
    """

    path: Path
    columns: tuple[str, ...]
    wells: Mapping[_Place, Mapping[str, Any]]
    control: str
    left_out: tuple[str, ...] = ()

    def row(self, site: Site) -> dict[str, Any]:
        """The site's `Metadata_` columns; blank (None) where the map does not hold its well."""
        known = self.wells.get(self._place(site), {})
        return {column: known.get(column) for column in self.columns}

    def check(self, sites: Iterable[Site]) -> None:
        """Makes sure that the map is one of these sites.

        Raises:
            PlateError: If it holds the well of none of them.
        """
        places = {self._place(site) for site in sites}
        if places.isdisjoint(self.wells):
            raise PlateError(
                f"{self.path}: holds none of the wells with images; it holds {_told(self.wells)}, and there are images "
                f"of {_told(places)}. Expected the map of this plate."
            )

    def remarks(self, sites: Iterable[Site]) -> list[str]:
        """What is to be said of the map beside these sites, a sentence each."""
        places = dict.fromkeys(self._place(site) for site in sites)
        lacking = [place for place in places if place not in self.wells]
        unused = [place for place in self.wells if place not in places]
        said = list[str]()
        if lacking:
            said.append(
                f"the plate map does not hold {_number(lacking)} with images: {_told(lacking)}; what they hold is "
                "unknown"
            )
        if unused:
            said.append(f"there are no images of {_number(unused)} of the plate map: {_told(unused)}")
        if not any(values[ROLE] == CONTROL for values in self.wells.values()):
            said.append(
                f"no well of the plate map holds the control {self.control!r}; --control says what the map calls it"
            )
        if self.left_out:
            said.append(f"not joined, as they are of sites and not of wells: {', '.join(self.left_out)}")
        return said

    def _place(self, site: Site) -> _Place:
        experiment, plate, _ = next(iter(self.wells))
        return (
            None if experiment is None else site.experiment or "",
            None if plate is None else site.plate,
            site.well,
        )


def read_plate_map(path: Path, bundle_control: str, control: str | None = None) -> PlateMap:
    """Reads a table with a row a well, or a row a site whose rows of one well agree.

    `well` (or `row` and `col`) says where, `plate` and `experiment` too where they are there. `treatment`, `compound`
    or `drug` becomes `Metadata_treatment`; `treatment_conc`, `concentration` or `dose` becomes
    `Metadata_treatment_conc`, a number (`phenoclient.plate.doses`); every other column becomes `Metadata_<name>`, as
    text. A leading `Metadata_` and upper case in names do not count. `Metadata_role` says whether a well is `control`
    or `treated`, and is blank where no treatment is told. A control has no dose, whatever its cell holds.

    Args:
        path: Delimited text, see `phenoclient.plate.delimited.read_delimited`.
        bundle_control: What the bundle calls the control.
        control: What the map calls it; None where that is the same.

    Raises:
        PlateError: If the file cannot be read, has no wells, tells two things of one well, has a dose that is none, two
            columns for one thing, a column that the results have already, treatments that differ in case or blanks
            alone, or no row of the `control` given.
    """
    table = read_delimited(path)
    found = _found(path, table.columns)
    if "well" not in found and not {"row", "col"} <= set(found):
        raise PlateError(
            f"{path}: has the columns {', '.join(table.columns)}. Expected `well`, or `row` and `col`, beside "
            "`treatment` and `treatment_conc`."
        )
    if not table.rows:
        raise PlateError(f"{path}: has no rows. Expected one for each well.")
    rows = [(line, dict(zip(table.columns, cells, strict=True))) for line, cells in table.rows]
    joined = _joined(path, table.columns, found)
    roles = _roles(path, rows, found.get(_TREATMENT), control or bundle_control)
    if control is not None and CONTROL not in roles:
        raise PlateError(
            f"{path}: no well holds the control {control!r}. Expected --control to name one of its treatments."
        )
    doses = _doses(path, rows, roles, found, control or bundle_control)
    wells, lines = dict[_Place, dict[str, Any]](), dict[_Place, int]()
    for (line, row), role, dose in zip(rows, roles, doses, strict=True):
        place = _place(f"{path}, line {line}", row, found)
        values: dict[str, Any] = {column: row[name] or None for name, column in joined.items()}
        if _DOSE in found:
            values[joined[found[_DOSE]]] = dose
        values[ROLE] = role
        if place in wells and "site" not in found and "site_id" not in found:
            raise PlateError(f"{path}, line {line}: names well {place[-1]} again. Expected each well once.")
        if (known := wells.setdefault(place, values)) != values:
            differing = [
                column.removeprefix(METADATA) for column in values if values[column] != known[column]
            ]
            raise PlateError(
                f"{path}, line {line}: tells another {', '.join(differing)} of well {place[-1]} than line "
                f"{lines[place]}. Expected sites of one well to agree."
            )
        lines.setdefault(place, line)
    left_out = tuple(found[word] for word in ("site", "site_id") if word in found)
    return PlateMap(path, (*joined.values(), ROLE), wells, control or bundle_control, left_out)


def _bare(name: str) -> str:
    has_prefix = name.lower().startswith(METADATA.lower()) and len(name) > len(METADATA)
    return name[len(METADATA) :].strip() if has_prefix else name


def _found(path: Path, names: Sequence[str]) -> dict[str, str]:
    """The column of the file for each of our words that it has."""
    found = dict[str, str]()
    for word, aliases in _NAMES.items():
        fitting = [name for name in names if alike(_bare(name)) in aliases]
        if len(fitting) > 1:
            raise PlateError(
                f"{path}: has the columns {' and '.join(fitting)}, which both tell the {word}. Expected one of them: "
                "remove or rename the other."
            )
        if fitting:
            found[word] = fitting[0]
    return found


def _joined(path: Path, names: Sequence[str], found: Mapping[str, str]) -> dict[str, str]:
    """For each column of the file that is joined, its name among the results."""
    words = {name: word for word, name in found.items()}
    joined, seen = dict[str, str](), dict[str, str]()
    for name in names:
        if words.get(name) in _POSITION:
            continue
        column = f"{METADATA}{words.get(name, _bare(name))}"
        other = seen.setdefault(alike(column), name)
        if other is not name or is_reserved(column):
            what = f"that the results have already ({column})" if other is name else f"as {other} is"
            raise PlateError(f"{path}: its column {name} is one {what}. Expected another name: rename it.")
        joined[name] = column
    return joined


def _roles(path: Path, rows: Sequence[tuple[int, _Row]], name: str | None, control: str) -> list[str | None]:
    """Whether each row is of the control or treated; None where its treatment is not told."""
    roles, seen = list[str | None](), dict[str, tuple[int, str]]()
    for line, row in rows:
        treatment = row[name] if name is not None else ""
        first, spelled = seen.setdefault(alike(treatment), (line, treatment))
        if spelled != treatment:
            raise PlateError(
                f"{path}, line {line}: {name} is {treatment!r}, and {spelled!r} in line {first}. Expected one "
                "spelling of one treatment."
            )
        is_control = alike(treatment) == alike(control)
        roles.append((CONTROL if is_control else TREATED) if treatment else None)
    return roles


def _doses(
    path: Path,
    rows: Sequence[tuple[int, _Row]],
    roles: Sequence[str | None],
    found: Mapping[str, str],
    control: str,
) -> list[float | None]:
    if _DOSE not in found:
        return [None] * len(rows)
    name = found[_DOSE]
    # A control's cell says nothing, not even which decimal mark the column has.
    cells = ["" if role == CONTROL else row[name] for (_line, row), role in zip(rows, roles, strict=True)]
    try:
        return read_doses(cells)
    except DoseError as error:
        raise PlateError(
            f"{path}, line {rows[error.index][0]}: {name} is {error}. Only the control has no dose, which is "
            f"{control!r}: --control NAME says what else the map calls it."
        ) from error


def _place(where: str, row: _Row, found: Mapping[str, str]) -> _Place:
    def cell(word: str) -> str | None:
        return row[found[word]] if word in found else None

    wells = list[str]()
    try:
        if "well" in found:
            wells.append(well_name(cell("well") or ""))
        if {"row", "col"} <= set(found):
            wells.append(well_of(cell("row") or "", cell("col") or ""))
    except ValueError as error:
        raise PlateError(f"{where}: {error}") from error
    if len(set(wells)) > 1:
        raise PlateError(
            f"{where}: names well {wells[0]}, but row and column of {wells[1]}. Expected one well."
        )
    return (cell("experiment"), cell("plate"), wells[0])


def _number(places: Sequence[_Place]) -> str:
    return f"{len(places)} well{'' if len(places) == 1 else 's'}"


def _told(places: Iterable[_Place]) -> str:
    named = sorted((" ".join(filter(None, place)) for place in places), key=natural)
    more = f" and {len(named) - _NUM_TOLD} more" if len(named) > _NUM_TOLD else ""
    return f"{', '.join(named[:_NUM_TOLD])}{more}"
