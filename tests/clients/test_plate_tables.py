"""Delimited text, doses and tables of results, as they are read and written."""

import json
from pathlib import Path

import pytest

from phenoclient import PlateError
from phenoclient.plate.reading.delimited import read_delimited
from phenoclient.plate.reading.doses import DoseError, read_doses
from phenoclient.plate.tables import read_table, write_table

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


NAMES = ["123", "NaN", "1e5", "True", "007", "inf", "", " x ", 'a,"b"\n', "µ"]


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_table_keeps_the_type_of_every_column(tmp_path, ending):
    """Names that look like numbers stay names, numbers stay numbers, blanks are blank: in CSV and Parquet alike."""
    rows = [
        {
            "Metadata_Plate": name,
            "Metadata_treatment": name,
            "Metadata_treatment_conc": 0.5,
            "predicted_treatment": name,
            "probability_007": 1.0,
            "in_distribution": index % 2 == 0,
            "distance": None,
        }
        for index, name in enumerate(NAMES)
    ]
    path = tmp_path / f"table{ending}"
    write_table(path, rows, list(rows[0]))
    expected = [{name: None if value == "" else value for name, value in row.items()} for row in rows]
    assert repr(read_table(path)) == repr(expected)
    assert list(read_table(path, wanted=lambda name: name == "distance")[0]) == ["distance"]


def test_names_that_are_no_unicode_are_escaped(tmp_path):
    """A file name with bytes that are no UTF-8 is written so that every reader can read the table."""
    rows = [{"Metadata_Folder": "plat\udce9"}]
    for ending in (".csv", ".parquet"):
        write_table(tmp_path / f"t{ending}", rows, ["Metadata_Folder"])
        assert read_table(tmp_path / f"t{ending}") == [{"Metadata_Folder": "plat\\udce9"}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("distance\nnear\n", "distance is 'near', and no number"),
        ("in_distribution\nyes\n", "in_distribution is 'yes'"),
        ("distance,code\n1\n", "line 2 has 1 cells, and the header 2"),
        ("code,code\n1,2\n", "two columns have one name"),
    ],
)
def test_a_table_that_another_program_spoiled_is_refused(tmp_path, text, message):
    """A cell of another type, a row of another length and columns of one name are refused, not guessed."""
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(PlateError, match=message):
        read_table(tmp_path / "t.csv")
