"""Delimited text as spreadsheets write it: read wholly, or refused by its line."""

import codecs
import csv
import io
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from phenoclient.errors import PlateError

_DELIMITERS = (",", ";", "\t")
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab"}
_SEPARATOR_LINE = "sep="
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_Cells = tuple[str, ...]


@dataclass(frozen=True)
class Delimited:
    """A table of text.

    Attributes:
        columns: Names of the columns, stripped; no two are alike but for case and blanks.
        rows: The line where each row begins, counted from 1, and its stripped cells, one for each column.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[int, _Cells], ...]


def read_delimited(path: Path) -> Delimited:
    """Reads a table with a header.

    The header tells the delimiter (comma, semicolon or tab), or a line `sep=;` before it does. Blank rows are left out,
    and so is a column without a name that is blank throughout. The text is UTF-8, or UTF-16 with its byte order mark.

    Raises:
        PlateError: If the file cannot be read, a row has not as many cells as the header, or columns have no name or
            one name; with the line.
    """
    text = _text(path)
    lines = _lines(path, text)
    number, header = next(lines, (1, ()))
    if not header:
        raise _refusal(path, 1, "is blank", "a header and a row a line")
    rows = list(lines)
    kept = [index for index, name in enumerate(header) if name]
    for line, cells in rows:
        beyond = [cell for index, cell in enumerate(cells) if index >= len(header) or index not in kept]
        last = kept[-1] + 1
        if len(cells) < last or any(cells[len(header) :]):
            raise _refusal(
                path,
                line,
                f"has {len(cells)} cells, and the header {last}",
                "as many: a cell that holds the delimiter, such as a decimal comma, stands in quotes",
            )
        if any(beyond):
            raise _refusal(
                path, number, "has a column without a name, with values below", "a name for every column"
            )
    columns = tuple(header[index] for index in kept)
    _check_names(path, number, columns)
    return Delimited(columns, tuple((line, tuple(cells[index] for index in kept)) for line, cells in rows))


def alike(name: str) -> str:
    """What two names have in common that differ only in case, blanks or Unicode form."""
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PlateError(f"{path}: cannot be read ({error.strerror}).") from error
    expected = "text in UTF-8: save the table as CSV in UTF-8"
    try:
        text = content.decode("utf-16" if content.startswith(_UTF_16) else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise _refusal(path, line, f"cannot be decoded ({error.reason})", expected) from error
    before, null, _ = text.partition("\0")
    if null:
        raise _refusal(path, before.count("\n") + 1, "holds bytes that are no text", expected)
    return text


def _lines(path: Path, text: str) -> Iterator[tuple[int, _Cells]]:
    """The rows that are not blank, the header first: where each begins, and its stripped cells."""
    num_before, delimiter, text = _delimiter(path, text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    begins = num_before + 1
    try:
        for cells in reader:
            stripped = tuple(cell.strip() for cell in cells)
            if any(stripped):
                yield begins, stripped
            begins = num_before + reader.line_num + 1
    except csv.Error as error:
        raise _refusal(path, begins, f"cannot be read ({error})", "quotes that are closed") from error


def _delimiter(path: Path, text: str) -> tuple[int, str, str]:
    """How many lines come before the header, the delimiter, and the text from the header on."""
    lines = text.splitlines(keepends=True)
    num_before = next((index for index, line in enumerate(lines) if line.strip()), 0)
    first = lines[num_before].strip() if lines else ""
    if first.strip('"').lower().startswith(_SEPARATOR_LINE):
        delimiter = lines[num_before].strip("\r\n").strip('"')[len(_SEPARATOR_LINE) :]
        if delimiter not in _DELIMITERS:
            raise _refusal(path, num_before + 1, f"is {first!r}", "a comma, a semicolon or a tab after it")
        return num_before + 1, delimiter, "".join(lines[num_before + 1 :])
    unquoted = "".join(first.split('"')[::2])
    found = [delimiter for delimiter in _DELIMITERS if delimiter in unquoted]
    if len(found) > 1:
        found_names = " and ".join(f"{_NAMES[delimiter]} ({delimiter!r})" for delimiter in found)
        raise _refusal(
            path,
            num_before + 1,
            f"holds {found_names}",
            "one delimiter, or a line such as sep=; before the header",
        )
    return num_before, found[0] if found else ",", "".join(lines[num_before:])


def _check_names(path: Path, number: int, columns: Sequence[str]) -> None:
    seen = dict[str, str]()
    for name in columns:
        other = seen.setdefault(alike(name), name)
        if other is not name:
            raise _refusal(
                path, number, f"names the columns {other!r} and {name!r}", "names that are not alike"
            )


def _refusal(path: Path, line: int, found: str, expected: str) -> PlateError:
    return PlateError(f"{path}, line {line}: {found}. Expected {expected}.")
