import gzip
import json
import re
from pathlib import Path

import pytest

from phenotrain.plates import TableError
from phenotrain.plates.delimited import read_delimited

CASES = json.loads((Path(__file__).parents[2] / "cases" / "tables.json").read_text("utf-8"))["cases"]


@pytest.fixture
def read(tmp_path):
    """Read a table given as bytes: columns, and rows with their lines."""

    def read_bytes(content, name="table.csv"):
        (tmp_path / name).write_bytes(content)
        table = read_delimited(tmp_path / name)
        return list(table.columns), [[line, cells] for line, cells in table.rows]

    return read_bytes


@pytest.mark.parametrize("case", [case for case in CASES if "rows" in case], ids=lambda case: case["text"])
def test_tables_are_read_as_the_client_reads_them(read, case):
    """What spreadsheets write has the columns, rows and lines that the common cases give."""
    assert read(case["text"].encode()) == (case["columns"], case["rows"])


@pytest.mark.parametrize("case", [case for case in CASES if "refused" in case], ids=lambda case: case["text"])
def test_tables_are_refused_as_the_client_refuses_them(read, case):
    """What may mean two things is refused with the line and the words that the common cases give."""
    with pytest.raises(TableError) as caught:
        read(case["text"].encode())
    message = str(caught.value).partition("table.csv")[2]
    assert message.startswith(f", line {case['refused']}: ")
    assert all(word in message for word in case["says"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_unicode_is_told_by_its_mark(read, encoding, compress):
    """UTF-8 with and without a mark and UTF-16 with one are the same table, compressed or not."""
    content = compress("well;dose (µM)\nA01;0,5\n".encode(encoding))
    assert read(content) == (["well", "dose (µM)"], [[2, ["A01", "0,5"]]])


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16-le", "utf-32"])
def test_other_encodings_are_refused_with_advice(read, encoding):
    """A table in another encoding is refused, and the message says how to save it."""
    with pytest.raises(TableError, match="UTF-8"):
        read("well,dose (µM)\nA01,1\n".encode(encoding))


def test_a_workbook_is_refused_as_one(read):
    """A workbook under the name of a table is refused with the way to export it."""
    with pytest.raises(TableError, match="Export the sheet as CSV"):
        read(b"PK\x03\x04\x14\x00")


def test_a_declared_delimiter_settles_the_header(read):
    """A line `sep=;` parts a header that holds two delimiters, and another one is refused."""
    assert read(b"sep=;\nwell;dose, nominal\nA01;1\n") == (["well", "dose, nominal"], [[3, ["A01", "1"]]])
    with pytest.raises(TableError, match=re.escape("line 1: the delimiter is '|'")):
        read(b"sep=|\nwell|dose\n")


def test_lines_are_counted_in_the_file(read):
    """A cell over two lines and blank rows before it do not shift the line that a message names."""
    with pytest.raises(TableError, match="line 6: the row has 1 cells"):
        read(b'\nwell,note\nA01,"two\nlines"\n,\nA02\n')


def test_columns_without_name_and_text_go(read):
    """A spacer column is dropped wherever it stands, and no cell moves."""
    assert read(b"well,,treatment\nA01,,x\n") == (["well", "treatment"], [[2, ["A01", "x"]]])


def test_columns_of_one_look_are_refused(read):
    """Two columns that differ in the Unicode form of a letter alone are refused, told apart by escapes."""
    with pytest.raises(TableError, match=r"line 1: .*\\xb5M.*\\u03bcM"):
        read("µM,μM\n1,2\n".encode())
