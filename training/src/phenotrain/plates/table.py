"""The sites table: whatever a metadata table calls its columns, one form comes out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from phenotrain.datasets import COLUMNS, Column, Description, Template
from phenotrain.plates.checks import check_labels, check_sites
from phenotrain.plates.concentration import read_concentrations, read_numbers
from phenotrain.plates.delimited import read_delimited
from phenotrain.plates.errors import TableError
from phenotrain.plates.filling import fill_rows
from phenotrain.plates.wells import RECORDED_WELL, canonical_well

_IDS: tuple[Column, ...] = ("well_id", "site_id")
_NEEDED: tuple[Column, ...] = tuple(column for column in COLUMNS if column not in {*_IDS, "treatment_conc"})
_NUM_SHOWN = 5

Cells = dict[str, list[str]]


def read_sites(description: Description, data_root: Path) -> pd.DataFrame:
    """Read the metadata table of a screen.

    Every cell is text to begin with and is stripped of outer blanks, so that `HUVEC-01` keeps its zero and a
    gene called `NA` its name. Wells are brought to one form (`phenotrain.plates.wells`). `well_id` is derived
    as `{experiment}_{plate}_{well}` and `site_id` as `{well_id}_{site}` where the table lacks them; where two
    wells would get one id, `_` within a part becomes `%5F`.

    Args:
        description: What the columns are called and what stands in for missing ones.
        data_root: Folder that `[table] path` is relative to.

    Returns:
        One row a site, sorted by `site_id`, with a RangeIndex. First the columns
        `site_id, well_id, cell_type, experiment, plate, well` (text), `site` (int64), `treatment` (text),
        `treatment_conc` (float64, NaN for the control and where not known), then every other column of the
        table as recorded (text); one whose name is among the nine but which means something else is called
        `recorded_...`, and `recorded_well` holds the wells as written where a well is written otherwise.

    Raises:
        TableError: If the table cannot be read, lacks a column, has blanks where a value is needed, or
            contradicts itself (`phenotrain.plates.checks`).
    """
    path = find_table(description, data_root)
    recorded, lines = _read_cells(path)
    cells: Cells = {}
    for column in COLUMNS:
        found = _find_column(column, description, recorded, path)
        if found is not None:
            cells[column] = found
    # Nothing is computed from it, so a table of one cell line need not say which.
    cells.setdefault("cell_type", ["unknown"] * len(lines))
    _require_complete(_NEEDED, cells, lines, description, path)
    written_wells = cells["well"]
    cells["well"] = _canonical_wells(written_wells)
    sites = _read_site_numbers(cells["site"], lines, path)
    cells["site"] = list(map(str, sites))
    _derive_ids(cells)
    _require_complete(_IDS, cells, lines, description, path)

    extra = _extra_columns(description, recorded, path)
    if cells["well"] != written_wells:
        _add_column(extra, RECORDED_WELL, written_wells, path)
    _read_measurement(description, extra, cells["site_id"], path)
    frame = pd.DataFrame({column: cells[column] for column in COLUMNS if column in cells}, dtype="str")
    frame["site"] = sites
    frame["treatment_conc"] = read_concentrations(
        cells.get("treatment_conc", [""] * len(frame)),
        is_control=np.array(cells["treatment"], dtype=object) == description.task.control,
        names=cells["site_id"],
    )
    table = pd.concat([frame[list(COLUMNS)], pd.DataFrame(extra, dtype="str")], axis="columns")
    table = table.sort_values("site_id", kind="stable", ignore_index=True)
    check_labels(table, description.task, str(path))
    check_sites(table, str(path))
    return table


def find_table(description: Description, data_root: Path) -> Path:
    """Find the metadata table.

    Args:
        description: Its `[table] path` names one file or several alternatives.
        data_root: Folder that the path is relative to.

    Returns:
        The first alternative that exists.

    Raises:
        TableError: If none does.
    """
    for name in description.table.path:
        if (data_root / name).is_file():
            return data_root / name
    raise TableError(
        f"the data root {data_root} holds no {' or '.join(description.table.path)}; expected the metadata table"
        f" of {description.name!r} there. Pass the folder that contains it"
    )


def _read_cells(path: Path) -> tuple[Cells, list[int]]:
    """Give the columns, and the line of every row."""
    table = read_delimited(path)
    lines, rows = [], []
    for line, row in table.rows:
        lines.append(line)
        rows.append(row)
    if not rows:
        raise TableError(f"{path} has no rows below its header; expected one row a site")
    return dict(zip(table.columns, map(list, zip(*rows, strict=True)), strict=True)), lines


def _find_column(column: Column, description: Description, recorded: Cells, path: Path) -> list[str] | None:
    names = description.table.names(column)
    present = [name for name in names if name in recorded]
    templates = [Template(text) for text in description.table.defaults.get(column, ())]
    if not present and column in description.table.columns:
        raise TableError(
            f"{path} has no column {' or '.join(map(repr, names))}, which [table.columns] of {description.name!r}"
            f" gives for {column}; it has {', '.join(recorded)}"
        )
    if not present and not templates:
        return None
    if column not in description.table.columns:
        for other in present[1:]:
            if recorded[other] != recorded[present[0]]:
                raise TableError(
                    f"{path} has the columns {present[0]!r} and {other!r}, which differ and either of which may be"
                    f" {column}; expected one. Name it under [table.columns] of the dataset description"
                )
    num_rows = len(next(iter(recorded.values())))
    cells = list(recorded[present[0]]) if present else [""] * num_rows
    for template in templates:
        if all(cells):
            break
        filled = fill_rows(template, recorded, num_rows, f"[table.defaults] {column}")
        cells = [cell or other.strip() for cell, other in zip(cells, filled, strict=True)]
    return cells


def _name_of(column: Column, description: Description, recorded: Cells) -> str | None:
    return next((name for name in description.table.names(column) if name in recorded), None)


def _extra_columns(description: Description, recorded: Cells, path: Path) -> Cells:
    """Give everything the nine columns do not hold, a column whose name is taken as `recorded_...`."""
    taken = {column: _name_of(column, description, recorded) for column in COLUMNS}
    extra: Cells = {}
    for name, cells in recorded.items():
        if taken.get(name, "") != name:
            _add_column(extra, f"recorded_{name}" if name in COLUMNS else name, cells, path)
    return extra


def _add_column(extra: Cells, name: str, cells: list[str], path: Path) -> None:
    if name in extra:
        raise TableError(
            f"{path} has a column {name!r}, which is what {name.removeprefix('recorded_')!r} is kept under as recorded;"
            " give it another name"
        )
    extra[name] = cells


def _canonical_wells(wells: Sequence[str]) -> list[str]:
    canonical = {well: canonical_well(well) or well for well in set(wells)}
    return [canonical[well] for well in wells]


def _derive_ids(cells: Cells) -> None:
    if "well_id" not in cells:
        cells["well_id"] = _joined(list(zip(cells["experiment"], cells["plate"], cells["well"], strict=True)))
    if "site_id" not in cells:
        # A site is digits alone, so the last `_` parts it from any well_id.
        cells["site_id"] = ["_".join(row) for row in zip(cells["well_id"], cells["site"], strict=True)]


def _joined(rows: list[tuple[str, ...]]) -> list[str]:
    plain = ["_".join(row) for row in rows]
    if len(set(plain)) == len(set(rows)):
        return plain
    return ["_".join(part.replace("%", "%25").replace("_", "%5F") for part in row) for row in rows]


def _require_complete(
    columns: Sequence[Column], cells: Cells, lines: list[int], description: Description, path: Path
) -> None:
    for column in columns:
        if column not in cells:
            names = ", ".join(map(repr, description.table.names(column)))
            raise TableError(
                f"{path} has no column for {column} (looked for {names}); name it under [table.columns] or give its"
                " value under [table.defaults] of the dataset description"
            )
        blanks = [line for line, cell in zip(lines, cells[column], strict=True) if not cell]
        if blanks:
            raise TableError(
                f"{path} has {len(blanks)} blank cell(s) for {column}, first in line(s)"
                f" {', '.join(map(str, blanks[:_NUM_SHOWN]))}; fill them in, or give a value under"
                " [table.defaults]"
            )


def _read_site_numbers(cells: list[str], lines: list[int], path: Path) -> list[int]:
    for line, cell in zip(lines, cells, strict=True):
        if not (cell.isascii() and cell.isdigit()):
            raise TableError(f"{path}, line {line}: the site is {cell!r}; expected a whole number such as 1")
    return [int(cell) for cell in cells]


def _read_measurement(description: Description, extra: Cells, names: list[str], path: Path) -> None:
    """Require the measurement to be numbers, and write them with a decimal point."""
    column = description.task.measurement
    if column is None:
        return
    if column not in extra:
        raise TableError(
            f"{path} has no column {column!r}, which [task] measurement of {description.name!r} names; it has"
            f" {', '.join(extra)} beside the sites'"
        )
    numbers = read_numbers(extra[column], names=names, what=f"the measurement {column!r}")
    extra[column] = [
        "" if unknown else cell.replace(",", ".")
        for cell, unknown in zip(extra[column], np.isnan(numbers).tolist(), strict=True)
    ]
