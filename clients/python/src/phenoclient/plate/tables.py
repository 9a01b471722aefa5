"""Tables of rows as CSV or Parquet, by the ending of the file's name."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module  # pyarrow has no types
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from phenoclient.errors import PlateError
from phenoclient.plate.columns import column_type
from phenoclient.plate.extra import require
from phenoclient.plate.files import replacing

CSV, PARQUET = ".csv", ".parquet"
_BOOLEANS = {"True": True, "False": False}
_GROUP_ROWS = 128


def check_writable(path: Path) -> None:
    """Makes sure, before any work is done, that a table can be written to a path.

    Raises:
        PlateError: If the ending is neither, the folder is not there, or Parquet is asked for without pyarrow.
    """
    _format_of(path)
    if not path.absolute().parent.is_dir():
        raise PlateError(f"{path}: its folder is not there. Expected a file in an existing folder.")


def write_table(path: Path, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Writes rows; a reader sees the old file or the whole new one. The same rows give the same bytes.

    Rows are taken one after the other, so a table may be larger than the memory. Text that is no Unicode, as names of
    files may hold, is written with its bytes escaped.

    Args:
        path: Ends in `.csv` or `.parquet`.
        rows: A mapping from column to a value of its `column_type` or None (blank) each.
        columns: The columns in their order.

    Raises:
        PlateError: As `check_writable`, or if the file cannot be written.
    """
    write = _write_parquet if _format_of(path) == PARQUET else _write_csv
    with replacing(path) as file:
        write(file, rows, columns)


def read_table(path: Path, *, wanted: Callable[[str], bool] = lambda _column: True) -> list[dict[str, Any]]:
    """Reads the rows of a table that `write_table` wrote: each value of its `column_type`, None where blank.

    Args:
        path: Ends in `.csv` or `.parquet`.
        wanted: Says of a column whether it is read.

    Raises:
        PlateError: If the file cannot be read, or holds a value of another type.
    """
    try:
        return _read_parquet(path, wanted) if _format_of(path) == PARQUET else _read_csv(path, wanted)
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


def _written(value: Any) -> Any:
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value


def _write_csv(file: BinaryIO, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", errors="backslashreplace", newline="", write_through=True)
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    text.detach()


def _read_csv(path: Path, wanted: Callable[[str], bool]) -> list[dict[str, Any]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, strict=True)
        columns = next(reader, list[str]())
        if len(set(columns)) != len(columns):
            raise ValueError("two columns have one name")
        rows = list[dict[str, Any]]()
        for cells in reader:
            if not any(cells):
                continue
            if len(cells) != len(columns):
                raise ValueError(
                    f"line {reader.line_num} has {len(cells)} cells, and the header {len(columns)}"
                )
            named = zip(columns, cells, strict=True)
            rows.append({name: _value(name, text) for name, text in named if wanted(name)})
        return rows


def _value(name: str, text: str) -> str | float | bool | None:
    if not text:
        return None
    kind = column_type(name)
    if kind is bool:
        if text not in _BOOLEANS:
            raise ValueError(f"{name} is {text!r}, and not one of {', '.join(_BOOLEANS)}")
        return _BOOLEANS[text]
    try:
        return kind(text)
    except ValueError as error:
        raise ValueError(f"{name} is {text!r}, and no number") from error


def _write_parquet(file: BinaryIO, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    arrow: Any = import_module("pyarrow")
    parquet: Any = import_module("pyarrow.parquet")
    types = {str: arrow.string(), bool: arrow.bool_(), float: arrow.float64()}
    schema = arrow.schema([(name, types[column_type(name)]) for name in columns])
    remaining = iter(rows)
    # Numbers hardly repeat: a dictionary of them would cost memory and space.
    repeating = [name for name in columns if column_type(name) is str]
    with parquet.ParquetWriter(file, schema, use_dictionary=repeating) as writer:
        while group := list(islice(remaining, _GROUP_ROWS)):
            arrays = [
                arrow.array([_written(row.get(field.name)) for row in group], field.type) for field in schema
            ]
            writer.write_table(arrow.Table.from_arrays(arrays, schema=schema))


def _read_parquet(path: Path, wanted: Callable[[str], bool]) -> list[dict[str, Any]]:
    parquet: Any = import_module("pyarrow.parquet")
    names: list[str] = parquet.read_schema(path).names
    rows: list[dict[str, Any]] = parquet.read_table(path, columns=list(filter(wanted, names))).to_pylist()
    # CSV knows no difference between blank text and none, so neither do readers of a table.
    return [{name: None if value == "" else value for name, value in row.items()} for row in rows]
