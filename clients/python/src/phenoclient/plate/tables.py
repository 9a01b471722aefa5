"""Tables of rows as CSV or Parquet, told by the ending of the file's name."""

import csv
import io
from collections.abc import Mapping, Sequence
from importlib import import_module  # pyarrow has no types
from pathlib import Path
from typing import Any

from phenoclient.errors import PlateError
from phenoclient.plate.extra import require
from phenoclient.plate.files import write_atomically

CSV, PARQUET = ".csv", ".parquet"
_BOOLEANS = {True: "True", False: "False"}


def check_writable(path: Path) -> None:
    """Makes sure, before any work is done, that a table can be written to a path.

    Raises:
        PlateError: If the ending is neither, the folder is not there, or Parquet is asked for without pyarrow.
    """
    _format_of(path)
    if not path.absolute().parent.is_dir():
        raise PlateError(f"{path}: its folder is not there. Expected a file in an existing folder.")


def write_table(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Writes rows; a reader sees the old file or the whole new one. The same rows give the same bytes.

    Args:
        path: Ends in `.csv` or `.parquet`.
        rows: A mapping from column to text, number, boolean or None (blank) each.
        columns: The columns in their order.

    Raises:
        PlateError: As `check_writable`, or if the file cannot be written.
    """
    content = _parquet(rows, columns) if _format_of(path) == PARQUET else _csv(rows, columns)
    write_atomically(path, content)


def read_table(path: Path) -> list[dict[str, Any]]:
    """Reads the rows of a table that `write_table` wrote: numbers as numbers, None where blank.

    Raises:
        PlateError: If the file cannot be read.
    """
    try:
        return _read_parquet(path) if _format_of(path) == PARQUET else _read_csv(path)
    except (OSError, ValueError, csv.Error) as error:
        if isinstance(error, PlateError):
            raise
        raise PlateError(
            f"{path}: cannot be read ({error}). Expected the results of `phenoclient plate`."
        ) from error


def _format_of(path: Path) -> str:
    ending = path.suffix.lower()
    if ending not in {CSV, PARQUET}:
        raise PlateError(f"{path}: ends in {ending or 'nothing'}. Expected {CSV} or {PARQUET}.")
    if ending == PARQUET:
        require("Parquet", "pyarrow")
    return ending


def _csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _read_csv(path: Path) -> list[dict[str, Any]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [{name: _value(name, text) for name, text in row.items()} for row in csv.DictReader(file)]


def _value(name: str, text: str | None) -> Any:
    if not text:
        return None
    if name.startswith("Metadata_") and name != "Metadata_treatment_conc":
        return text  # a plate called 007 keeps its zeros
    if text in _BOOLEANS.values():
        return text == _BOOLEANS[True]
    try:
        return float(text)
    except ValueError:
        return text


def _parquet(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> bytes:
    arrow: Any = import_module("pyarrow")
    parquet: Any = import_module("pyarrow.parquet")
    arrays = {name: arrow.array([row.get(name) for row in rows]) for name in columns}
    # A column that is blank throughout is text: readers have trouble with a type of nothing.
    arrays = {
        name: array.cast(arrow.string()) if arrow.types.is_null(array.type) else array
        for name, array in arrays.items()
    }
    buffer = io.BytesIO()
    parquet.write_table(arrow.table(arrays), buffer)
    return buffer.getvalue()


def _read_parquet(path: Path) -> list[dict[str, Any]]:
    parquet: Any = import_module("pyarrow.parquet")
    return parquet.read_table(path).to_pylist()
