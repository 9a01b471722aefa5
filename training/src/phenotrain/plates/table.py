"""The sites table: whatever a metadata table calls its columns, one form comes out."""

from pathlib import Path

import numpy as np
import pandas as pd

from phenotrain.datasets import COLUMNS, Column, Description, Template
from phenotrain.plates.checks import check_sites
from phenotrain.plates.concentration import read_concentrations
from phenotrain.plates.errors import TableError
from phenotrain.plates.filling import fill_rows

_NUM_SHOWN = 5

Cells = dict[str, list[str]]


def read_sites(description: Description, data_root: Path) -> pd.DataFrame:
    """Read the metadata table of a screen.

    Every cell is text to begin with and is stripped of outer blanks, so that `HUVEC-01` keeps its zero and a
    gene called `NA` its name. `well_id` is derived as `{experiment}_{plate}_{well}` and `site_id` as
    `{well_id}_{site}` where the table lacks them.

    Args:
        description: What the columns are called and what stands in for missing ones.
        data_root: Folder that `[table] path` is relative to.

    Returns:
        One row a site, sorted by `site_id`, with a RangeIndex. First the columns
        `site_id, well_id, cell_type, experiment, plate, well` (text), `site` (int64), `treatment` (text),
        `treatment_conc` (float64, NaN for the control and where not known), then every other column of the
        table as recorded (text); one whose name is among the nine but which means something else is called
        `recorded_...`.

    Raises:
        TableError: If the table cannot be read, lacks a column, has blanks where a value is needed, or
            contradicts itself (`phenotrain.plates.checks`).
    """
    path = find_table(description, data_root)
    recorded = _read_cells(path)
    if not next(iter(recorded.values()), []):
        raise TableError(f"{path} has no rows below its header; expected one row a site")
    cells: Cells = {}
    for column in COLUMNS:
        found = _find_column(column, description, recorded)
        if found is not None:
            cells[column] = found
    _derive_ids(cells)
    _require_complete(cells, description, path)

    treatments = np.array(cells["treatment"], dtype=object)
    frame = pd.DataFrame({column: cells[column] for column in COLUMNS if column in cells}, dtype="str")
    frame["site"] = _read_site_numbers(cells["site"], cells["site_id"])
    frame["treatment_conc"] = read_concentrations(
        cells.get("treatment_conc", [""] * len(frame)),
        is_control=treatments == description.task.control,
        names=cells["site_id"],
    )
    extra = pd.DataFrame(_extra_columns(description, recorded), dtype="str")
    sites = pd.concat([frame[list(COLUMNS)], extra], axis="columns")
    sites = sites.sort_values("site_id", kind="stable", ignore_index=True)
    check_sites(sites, str(path))
    return sites


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
        f"the data root {data_root} holds no {' or '.join(description.table.path)}; expected the metadata"
        " table of"
        f" {description.name!r} there. Pass the folder that contains it"
    )


def _read_cells(path: Path) -> Cells:
    try:
        frame = pd.read_csv(
            path,
            sep="\t" if ".tsv" in path.suffixes else ",",
            dtype=str,
            keep_default_na=False,
            encoding="utf-8-sig",
        )
    except (OSError, EOFError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise TableError(f"the table {path} cannot be read: {error}") from error
    if not isinstance(frame.index, pd.RangeIndex):
        raise TableError(f"the rows of {path} have more cells than its header; give every column a name")
    return {str(name).strip(): frame[name].fillna("").str.strip().tolist() for name in frame.columns}


def _find_column(column: Column, description: Description, recorded: Cells) -> list[str] | None:
    names = description.table.names(column)
    name = _name_of(column, description, recorded)
    templates = [Template(text) for text in description.table.defaults.get(column, ())]
    if name is None and column in description.table.columns:
        raise TableError(
            f"the table has no column {' or '.join(map(repr, names))}, which [table.columns] of"
            f" {description.name!r}"
            f" gives for {column}; it has {', '.join(recorded)}"
        )
    if name is None and not templates:
        return None
    num_rows = len(next(iter(recorded.values())))
    cells = list(recorded[name]) if name is not None else [""] * num_rows
    for template in templates:
        if all(cells):
            break
        filled = fill_rows(template, recorded, num_rows, f"[table.defaults] {column}")
        cells = [cell or other for cell, other in zip(cells, filled, strict=True)]
    return cells


def _name_of(column: Column, description: Description, recorded: Cells) -> str | None:
    return next((name for name in description.table.names(column) if name in recorded), None)


def _extra_columns(description: Description, recorded: Cells) -> Cells:
    """Give everything the nine columns do not hold, a column whose name is taken as `recorded_...`."""
    taken = {column: _name_of(column, description, recorded) for column in COLUMNS}
    return {
        f"recorded_{name}" if name in COLUMNS else name: cells
        for name, cells in recorded.items()
        if taken.get(name, "") != name
    }


def _derive_ids(cells: Cells) -> None:
    for column, parts in (("well_id", ("experiment", "plate", "well")), ("site_id", ("well_id", "site"))):
        if column not in cells and all(part in cells for part in parts):
            cells[column] = ["_".join(row) for row in zip(*(cells[part] for part in parts), strict=True)]


def _require_complete(cells: Cells, description: Description, path: Path) -> None:
    for column in COLUMNS:
        if column == "treatment_conc":
            continue
        if column not in cells:
            names = ", ".join(map(repr, description.table.names(column)))
            raise TableError(
                f"{path} has no column for {column} (looked for {names}); name it under [table.columns] or"
                " give its"
                " value under [table.defaults] of the dataset description"
            )
        blanks = [row + 2 for row, cell in enumerate(cells[column]) if not cell]
        if blanks:
            raise TableError(
                f"{path} has {len(blanks)} blank cell(s) for {column}, first in line(s)"
                f" {', '.join(map(str, blanks[:_NUM_SHOWN]))}; fill them in, or give a value under"
                " [table.defaults]"
            )


def _read_site_numbers(cells: list[str], site_ids: list[str]) -> list[int]:
    for cell, site_id in zip(cells, site_ids, strict=True):
        if not (cell.isascii() and cell.isdigit()):
            raise TableError(f"{site_id}: the site is {cell!r}; expected a whole number such as 1")
    return [int(cell) for cell in cells]
