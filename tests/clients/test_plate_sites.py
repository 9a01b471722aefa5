"""Wells under the one name that the client gives them."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phenoclient.plate.reading.sites import (
    row_letters,
    row_number,
    split_well,
    well_name,
    well_of,
    well_position,
)

CASES = json.loads((Path(__file__).parents[1] / "cases" / "wells.json").read_text(encoding="utf-8"))["cases"]


@pytest.mark.parametrize(("text", "well"), CASES)
def test_a_well_is_read_as_people_write_it(text, well):
    """Every case of the table that client and training share is read as it says, or refused as no well."""
    if well is None:
        with pytest.raises(ValueError, match="no well"):
            well_name(text)
    else:
        assert well_name(text) == well


@given(row=st.integers(1, 48), column=st.integers(1, 72))
def test_wells_have_one_name(row, column):
    """A row and a column give one well, whichever way they are written, and come back from its name."""
    well = well_of(str(row), str(column))
    letters, found, quadrant = split_well(well)
    assert (row_number(letters), found, quadrant) == (row, column, "")
    assert well_of(letters.lower(), f"{column:02d}") == well == well_name(f"{column}{letters.lower()}")
    assert well_position(well) == (row, column)


@pytest.mark.parametrize(
    ("row", "column"), [("0", "1"), ("49", "1"), ("A", "0"), ("A", "73"), ("", "1"), ("A", "1.0")]
)
def test_a_row_and_a_column_that_no_plate_has_are_refused(row, column):
    """A row or a column that is none, or lies beyond the largest plate, is no well."""
    with pytest.raises(ValueError, match="no well"):
        well_of(row, column)


def test_the_four_quadrants_fill_the_plate_of_1536_wells():
    """The wells A01.a1 to P24.b2 lie on 32 rows and 48 columns, one on each place."""
    wells = [
        f"{row_letters(row)}{column:02d}.{quadrant}"
        for row in range(1, 17)
        for column in range(1, 25)
        for quadrant in ("a1", "a2", "b1", "b2")
    ]
    assert {well_position(well) for well in wells} == {(y, x) for y in range(1, 33) for x in range(1, 49)}
    assert [well_position(f"B02.{quadrant}") for quadrant in ("a1", "a2", "b1", "b2")] == [
        (3, 3),
        (3, 4),
        (4, 3),
        (4, 4),
    ]
