"""Delimited text, doses and tables of results, as they are read and written."""

import json
from pathlib import Path

import pytest

from phenoclient import PlateError
from phenoclient.plate.delimited import read_delimited
from phenoclient.plate.doses import DoseError, read_doses

CASES = Path(__file__).parents[1] / "cases"


def cases(name: str) -> list[dict]:
    return json.loads((CASES / f"{name}.json").read_text())["cases"]


@pytest.mark.parametrize("case", cases("tables"), ids=lambda case: repr(case["text"]))
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_delimited_text_is_read_as_the_table_of_cases_has_it(tmp_path, case, encoding):
    """Every text gives its columns and rows, or is refused by its line, in each encoding."""
    path = tmp_path / "table.csv"
    path.write_bytes(case["text"].lstrip("\ufeff").encode(encoding))
    if "refused" in case:
        with pytest.raises(PlateError, match=rf"table\.csv, line {case['refused']}: ") as refusal:
            read_delimited(path)
        assert [word for word in case["says"] if word not in str(refusal.value)] == []
        return
    table = read_delimited(path)
    assert list(table.columns) == case["columns"]
    assert [[line, list(cells)] for line, cells in table.rows] == case["rows"]


@pytest.mark.parametrize("content", ["well\nA01é\n".encode("latin-1"), b"PK\x03\x04\0\0", b"well\n\0\n"])
def test_another_encoding_is_refused_with_advice(tmp_path, content):
    """Text that is not UTF-8 is refused with what to save instead."""
    (tmp_path / "table.csv").write_bytes(content)
    with pytest.raises(PlateError, match="save the table as CSV in UTF-8"):
        read_delimited(tmp_path / "table.csv")


@pytest.mark.parametrize("case", cases("doses"), ids=lambda case: "|".join(case["cells"]))
def test_doses_are_read_as_the_table_of_cases_has_it(case):
    """Every column gives its doses, or is refused by the cell that is none."""
    if "refused" in case:
        with pytest.raises(DoseError) as refusal:
            read_doses(case["cells"])
        assert refusal.value.index == case["refused"]
        return
    assert read_doses(case["cells"]) == case["doses"]
