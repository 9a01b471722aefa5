"""Delimited text as spreadsheets and programs write it: the one reader of every table that training takes."""

import csv
import gzip
import io
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NoReturn

from phenotrain.datasets import two_spellings
from phenotrain.plates.errors import TableError

_DELIMITERS = {",": "','", ";": "';'", "\t": "tab"}
_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
_QUOTED = re.compile(r'"[^"]*"')


@dataclass(frozen=True)
class Delimited:
    """A table whose header has been read.

    Args:
        columns: Names of its columns, each once.
        rows: Number of the line in the file, counted from 1, and a stripped cell a column; rows without any
            text are left out. Raises `TableError` where a row is not of the header's length.
    """

    columns: tuple[str, ...]
    rows: Iterator[tuple[int, list[str]]]


def read_delimited(path: Path) -> Delimited:
    """Read a table of delimited text, its rows as they are asked for.

    The delimiter is the one that the header holds outside of quotes: comma, semicolon or tab; a line `sep=;`
    before it says so too. Columns without a name are dropped where they are empty throughout. The text is
    UTF-8, with or without a byte order mark, or UTF-16 with one, and may be compressed by gzip.

    Args:
        path: The file.

    Returns:
        Its columns and rows.

    Raises:
        TableError: If it cannot be read, has no header, a delimiter that is not clear, columns whose names
            are one but for case and blanks, or, while rows are read, one of another length than the header,
            text in a column without a name, an open quote, or another encoding.
    """
    rows = _checked_rows(path)
    _, columns = next(rows)
    return Delimited(tuple(columns), rows)


def _checked_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Give the header's names, then the rows."""
    records = _records(path)
    header_line, header = next(records, (1, []))
    named = [index for index, name in enumerate(header) if name]
    if not named:
        _refuse(path, 1, "there is no header; expected the names of the columns")
    names = [header[index] for index in named]
    _require_distinct(path, header_line, names)
    yield header_line, names
    width, is_whole = named[-1] + 1, len(named) == named[-1] + 1
    for line, cells in records:
        if len(cells) == width and is_whole:
            yield line, cells
        else:
            _require_length(path, line, cells, header_line, header, width)
            yield line, [cells[index] for index in named]


def _require_distinct(path: Path, line: int, names: list[str]) -> None:
    if len(set(names)) == len(names):
        pair = two_spellings(names)
        if pair is None:
            return
        found = f"the columns {pair[0]!a} and {pair[1]!a} are one but for case, blanks or Unicode form"
    else:
        found = f"the column {next(name for name in names if names.count(name) > 1)!r} occurs more than once"
    _refuse(path, line, f"{found}; expected a name of its own for every column")


def _require_length(
    path: Path, line: int, cells: list[str], header_line: int, header: list[str], width: int
) -> None:
    if len(cells) < width or any(cells[len(header) :]):
        _refuse(
            path,
            line,
            f"the row has {len(cells)} cells and the header {width}; expected as many. Fill in what is missing, or"
            " put quotes around a cell that holds the delimiter (a decimal comma in a table with commas)",
        )
    for index, cell in enumerate(cells[: len(header)]):
        if cell and not header[index]:
            _refuse(
                path,
                header_line,
                f"column {index + 1} has no name, but holds {cell!r} in line {line}; name the column, or empty it",
            )


def _records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Give every record that holds text, its cells stripped, with the line that it begins in."""
    line = 1
    try:
        with _open(path) as stream:
            header, delimiter, line = _find_header(path, stream)
            before = line - 1
            reader = csv.reader(chain((header,), stream), delimiter=delimiter, strict=True)
            for cells in reader:
                stripped = [cell.strip() for cell in cells]
                if any(stripped):
                    yield line, stripped
                line = before + reader.line_num + 1
    except UnicodeError:
        _refuse_encoding(path)
    except csv.Error as error:
        _refuse(path, line, f"{error}; expected every quote that is opened to be closed in its cell")
    except (OSError, EOFError) as error:
        raise TableError(f"the table {path} cannot be read: {error}") from error


def _find_header(path: Path, stream: io.TextIOWrapper) -> tuple[str, str, int]:
    """Find the first line with text, its delimiter and its number."""
    declared = None
    for line, text in enumerate(stream, start=1):
        if "\0" in text:
            _refuse_encoding(path)
        separator = _SEPARATOR_LINE.fullmatch(text.rstrip("\r\n"))
        if separator is not None and declared is None:
            declared = separator[1]
            if declared not in _DELIMITERS:
                _refuse(path, line, f"the delimiter is {declared!r}; expected ',', ';' or tab")
        elif text.strip(" \r\n,;\t"):
            return text, declared or _delimiter_of(path, line, text), line
    return "", ",", 1


def _delimiter_of(path: Path, line: int, header: str) -> str:
    bare = _QUOTED.sub("", header)
    found = [delimiter for delimiter in _DELIMITERS if delimiter in bare]
    if len(found) > 1:
        names = " and ".join(_DELIMITERS[delimiter] for delimiter in found)
        _refuse(
            path,
            line,
            f"the header holds {names}, each of which may part the columns; put quotes around a name that holds"
            " one, or write a line such as sep=; before the header",
        )
    return found[0] if found else ","


@contextmanager
def _open(path: Path) -> Iterator[io.TextIOWrapper]:
    with ExitStack() as files:
        raw = files.enter_context(path.open("rb"))
        is_gzip = raw.peek(2).startswith(_GZIP)
        binary = files.enter_context(gzip.GzipFile(fileobj=raw)) if is_gzip else raw
        start = binary.peek(4)[:4]
        if start == _ZIP:
            raise TableError(
                f"{path} is a zip archive, as workbooks of spreadsheets are; expected delimited text. Export the sheet"
                " as CSV (UTF-8)"
            )
        encoding = "utf-16" if start.startswith(_UTF16_MARKS) else "utf-8-sig"
        yield files.enter_context(io.TextIOWrapper(binary, encoding=encoding, newline=""))


def _refuse_encoding(path: Path) -> NoReturn:
    raise TableError(
        f"the table {path} is neither UTF-8 nor UTF-16 with a byte order mark; expected one of them. Save it again,"
        " in a spreadsheet as `CSV UTF-8`"
    )


def _refuse(path: Path, line: int, reason: str) -> NoReturn:
    raise TableError(f"{path}, line {line}: {reason}")
