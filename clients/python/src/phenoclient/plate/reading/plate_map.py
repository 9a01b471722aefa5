"""A table of what was put into which well."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from phenoclient.errors import PlateError
from phenoclient.plate.columns import CONTROL, METADATA, ROLE, TREATED, is_reserved
from phenoclient.plate.reading.delimited import alike, read_delimited
from phenoclient.plate.reading.doses import DoseError, read_doses
from phenoclient.plate.reading.sites import Site, natural, well_name, well_of

_TREATMENT, _DOSE, _UNIT = "treatment", "treatment_conc", "treatment_conc_unit"
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
    _UNIT: (_UNIT, "concentration_unit", "dose_unit", "unit"),
}
"""For each of our words, what a plate map may call it"""

_POSITION = ("experiment", "plate", "well", "row", "col", "site", "site_id")
_RECORDED = "recorded_"
_WITH_UNIT = re.compile(
    r"(?P<name>.*?)[\s_]*[\s_(\[](?P<unit>[munpµμ]?M|[munpµμ]?g/mL|%)[)\]]?", re.IGNORECASE
)
"""A column of doses that has their unit in its name, such as `dose_uM` and `concentration (ng/mL)`"""
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
        has_treatments: Whether a column tells treatments.
        experiments: By well, the one experiment that the file tells of it, where `wells` do without.
    """

    path: Path
    columns: tuple[str, ...]
    wells: Mapping[_Place, Mapping[str, Any]]
    control: str
    left_out: tuple[str, ...] = ()
    has_treatments: bool = True
    experiments: Mapping[_Place, str] = field(default_factory=dict[_Place, str])

    def row(self, site: Site) -> dict[str, Any]:
        """The site's `Metadata_` columns; blank (None) where the map does not hold its well."""
        known = self.wells.get(self.place(site), {})
        return {column: known.get(column) for column in self.columns}

    def fitted(self, sites: Iterable[Site]) -> "PlateMap":
        """The map as it is joined to these sites: without its experiments where the names of images tell none.

        Raises:
            PlateError: If it holds the well of none of them, or two experiments have a plate and well of one name and
                the images do not tell which is theirs.
        """
        sites = list(sites)
        fitting = self if any(site.experiment for site in sites) else self._without_experiments(sites)
        places = {fitting.place(site) for site in sites}
        if places.isdisjoint(fitting.wells):
            are_wells_there = not {place[-1] for place in places}.isdisjoint(
                place[-1] for place in self.wells
            )
            advice = (
                "Expected plates and experiments of one name: rename them in the map, or say with --pattern where the "
                "paths of images tell {plate} and {experiment}."
                if are_wells_there
                else "Expected the map of this plate."
            )
            raise PlateError(
                f"{self.path}: holds none of the wells with images; it holds {_told(self.wells)}, and there are images "
                f"of {_told(places)}. {advice}"
            )
        return fitting

    def remarks(self, sites: Iterable[Site]) -> list[str]:
        """What is to be said of the map beside these sites, a sentence each."""
        places = dict.fromkeys(self.place(site) for site in sites)
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
        if not self.has_treatments:
            said.append(
                f"no column of the plate map tells treatments ({', '.join(_NAMES[_TREATMENT])}); --map-columns "
                "treatment=NAME says which does"
            )
        elif not any(values[ROLE] == CONTROL for values in self.wells.values()):
            said.append(
                f"no well of the plate map holds the control {self.control!r}; --control says what the map calls it"
            )
        recorded = [
            name.removeprefix(METADATA) for name in self.columns if name.startswith(f"{METADATA}{_RECORDED}")
        ]
        if recorded:
            said.append(
                f"joined under another name, as the results have a column of theirs: {', '.join(recorded)}"
            )
        if self.left_out:
            said.append(f"not joined, as they are of sites and not of wells: {', '.join(self.left_out)}")
        return said

    def named(self, site: Site) -> Site:
        """The site with the experiment that the map tells of its well, where the images tell none."""
        return replace(site, experiment=site.experiment or self.experiments.get(self.place(site)))

    def place(self, site: Site) -> _Place:
        """Where the map would hold a site's well."""
        experiment, plate, _ = next(iter(self.wells))
        return (
            None if experiment is None else site.experiment or "",
            None if plate is None else site.plate,
            site.well,
        )

    def _without_experiments(self, sites: Iterable[Site]) -> "PlateMap":
        wells, experiments = dict[_Place, Mapping[str, Any]](), dict[_Place, set[str]]()
        for (experiment, plate, well), values in self.wells.items():
            wells.setdefault((None, plate, well), values)
            experiments.setdefault((None, plate, well), set()).add(experiment or "")
        only = {place: next(iter(named)) for place, named in experiments.items() if named != {""}}
        fitting = replace(self, wells=wells, experiments={**self.experiments, **only})
        for place in map(fitting.place, sites):
            if len(named := experiments.get(place, set())) > 1:
                raise PlateError(
                    f"{self.path}: holds {_told([place])} of the experiments {', '.join(sorted(named))}, and the names "
                    "of images tell no experiment. Expected to know which: pass the folder above that of the "
                    "experiment, say with --pattern where paths tell {experiment}, or give a map of one experiment."
                )
        return fitting


def columns_of(text: str | None) -> dict[str, str]:
    """Reads `WORD=COLUMN,…`: which columns of a plate map tell what, where their names do not.

    Raises:
        PlateError: If it is written otherwise, or a word is none of a plate map's.
    """
    found = dict[str, str]()
    for pair in filter(None, (part.strip() for part in (text or "").split(","))):
        word, equals, name = (part.strip() for part in pair.partition("="))
        if not equals or not name or word not in _NAMES or word in found:
            raise PlateError(
                f"--map-columns {text}: {pair!r} cannot be read. Expected WORD=COLUMN,…, each word once, such as "
                f"treatment=cell_type; the words are {', '.join(_NAMES)}."
            )
        found[word] = name
    return found


def read_plate_map(
    path: Path, bundle_control: str, control: str | None = None, columns: Mapping[str, str] | None = None
) -> PlateMap:
    """Reads a table with a row a well, or a row a site as training reads it, whose rows of one well agree.

    `well` (or `row` and `col`) says where, `plate` and `experiment` too where they are there. `treatment`, `compound`
    or `drug` becomes `Metadata_treatment`; `treatment_conc`, `concentration` or `dose` becomes
    `Metadata_treatment_conc`, a number (`phenoclient.plate.reading.doses`), and a unit in its name, as in `dose_uM`,
    `Metadata_treatment_conc_unit`; every other column becomes `Metadata_<name>`, as
    text, or `Metadata_recorded_<name>` where the results have a column of that name. A leading `Metadata_` and upper
    case in names do not count. `Metadata_role` says whether a well is `control` or `treated`, and is blank where no
    treatment is known. A control has no dose, whatever its cell holds. Of a table with a row a site, what differs
    between sites of a well is of the sites and not joined.

    Args:
        path: Delimited text, see `phenoclient.plate.reading.delimited.read_delimited`.
        bundle_control: What the bundle calls the control.
        control: What the map calls it; None where that is the same.
        columns: Columns of the file by our word for them, where their names do not tell it; see `columns_of`.

    Raises:
        PlateError: If the file cannot be read, has no wells, tells two treatments or doses of one well, has a dose that
            is none, two columns for one thing, lacks a column of `columns`,
            treatments that differ in case or blanks alone, or no row of the `control` given.
    """
    table = read_delimited(path)
    found = _found(path, table.columns, columns or {})
    if "well" not in found and not {"row", "col"} <= set(found):
        raise PlateError(
            f"{path}: has the columns {', '.join(table.columns)}. Expected `well`, or `row` and `col`, beside "
            "`treatment` and `treatment_conc`; --map-columns well=NAME says which it is."
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
    unit = _unit(found)
    rows_of = dict[_Place, list[tuple[int, dict[str, Any]]]]()
    for (line, row), role, dose in zip(rows, roles, doses, strict=True):
        place = _place(f"{path}, line {line}", row, found)
        values: dict[str, Any] = {column: row[name] or None for name, column in joined.items()}
        if _DOSE in found:
            values[joined[found[_DOSE]]] = dose
        if unit is not None:
            values[f"{METADATA}{_UNIT}"] = unit
        rows_of.setdefault(place, []).append((line, values | {ROLE: role}))
    has_sites = "site" in found or "site_id" in found
    if not has_sites:
        _check_each_once(path, rows_of)
    of_wells = {joined[found[word]] for word in (_TREATMENT, _DOSE, _UNIT) if word in found}
    of_sites = _differing(rows_of.values()) - {ROLE}
    for column in [column for column in joined.values() if column in of_wells & of_sites]:
        _refuse_contradiction(path, column, rows_of)
    kept = {name: column for name, column in joined.items() if column not in of_sites}
    wells = {
        place: {column: value for column, value in of_well[0][1].items() if column not in of_sites}
        for place, of_well in rows_of.items()
    }
    left_out = [name for name in table.columns if name in joined and name not in kept]
    left_out += [found[word] for word in ("site", "site_id") if word in found]
    joined_columns = (*kept.values(), *([f"{METADATA}{_UNIT}"] if unit is not None else []), ROLE)
    return PlateMap(
        path, joined_columns, wells, control or bundle_control, tuple(left_out), _TREATMENT in found
    )


def _check_each_once(path: Path, rows_of: Mapping[_Place, Sequence[tuple[int, Any]]]) -> None:
    for place, of_well in rows_of.items():
        if len(of_well) > 1:
            raise PlateError(
                f"{path}, line {of_well[1][0]}: names well {place[-1]} again, after line {of_well[0][0]}. Expected "
                "each well once, or a column `site` where a row is a site."
            )


def _differing(wells: Iterable[Sequence[tuple[int, Mapping[str, Any]]]]) -> set[str]:
    """Columns that differ between rows of one well."""
    return {
        column
        for of_well in wells
        for _line, values in of_well[1:]
        for column, value in values.items()
        if value != of_well[0][1][column]
    }


def _refuse_contradiction(
    path: Path, column: str, rows_of: Mapping[_Place, Sequence[tuple[int, Mapping[str, Any]]]]
) -> None:
    for place, of_well in rows_of.items():
        first_line, first = of_well[0]
        for line, values in of_well[1:]:
            if values[column] != first[column]:
                raise PlateError(
                    f"{path}, line {line}: tells another {column.removeprefix(METADATA)} of well {place[-1]} than line "
                    f"{first_line} ({values[column]} and {first[column]}). Expected sites of one well to agree."
                )


def _bare(name: str) -> str:
    has_prefix = name.lower().startswith(METADATA.lower()) and len(name) > len(METADATA)
    return name[len(METADATA) :].strip() if has_prefix else name


def _found(path: Path, names: Sequence[str], given: Mapping[str, str]) -> dict[str, str]:
    """The column of the file for each of our words that it has."""
    found = dict[str, str]()
    for word, name in given.items():
        fitting = [column for column in names if alike(column) == alike(name)]
        if not fitting or fitting[0] in found.values():
            what = "is given for two words" if fitting else f"is none of the columns {', '.join(names)}"
            raise PlateError(
                f"{path}: --map-columns {word}={name}: {name} {what}. Expected a column of its own for each word."
            )
        found[word] = fitting[0]
    for word, aliases in _NAMES.items():
        fitting = [name for name in names if _word(name, word) in aliases and name not in found.values()]
        if word in given:
            continue
        if len(fitting) > 1:
            raise PlateError(
                f"{path}: has the columns {' and '.join(fitting)}, which both tell the {word}. Expected one of them: "
                f"remove or rename the other, or say --map-columns {word}={fitting[0]}."
            )
        if fitting:
            found[word] = fitting[0]
    return found


def _word(name: str, word: str) -> str:
    """A column's name as it is compared with a word's: of doses without their unit."""
    with_unit = _WITH_UNIT.fullmatch(_bare(name)) if word == _DOSE else None
    return alike(with_unit["name"] if with_unit else _bare(name))


def _unit(found: Mapping[str, str]) -> str | None:
    """The unit in the name of the column of doses; None where there is none, or a column of its own tells it."""
    with_unit = _WITH_UNIT.fullmatch(found.get(_DOSE, ""))
    return with_unit["unit"] if with_unit and _UNIT not in found else None


def _column(word: str | None, bare: str) -> str:
    """What a column is called among the results: as recorded where its name means something else there."""
    column = f"{METADATA}{word or bare}"
    is_taken = is_reserved(column) or (word is None and alike(bare) in _NAMES)
    return f"{METADATA}{_RECORDED}{bare}" if is_taken else column


def _joined(path: Path, names: Sequence[str], found: Mapping[str, str]) -> dict[str, str]:
    """For each column of the file that is joined, its name among the results."""
    words = {name: word for word, name in found.items()}
    joined, seen = dict[str, str](), dict[str, str]()
    for name in names:
        if words.get(name) in _POSITION:
            continue
        column = _column(words.get(name), _bare(name))
        other = seen.setdefault(alike(column), name)
        if other is not name:
            raise PlateError(
                f"{path}: its column {name} is one as {other} is. Expected another name: rename it."
            )
        joined[name] = column
    return joined


def _roles(path: Path, rows: Sequence[tuple[int, _Row]], name: str | None, control: str) -> list[str | None]:
    """Whether each row is of the control or treated; None where its treatment is not known."""
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
