import json
from pathlib import Path

import pytest

from phenotrain.plates.wells import canonical_well

CASES = json.loads((Path(__file__).parents[2] / "cases" / "wells.json").read_text("utf-8"))["cases"]


@pytest.mark.parametrize(("text", "well"), CASES)
def test_wells_are_read_as_the_client_reads_them(text, well):
    """A well has the form that the common cases give, or none."""
    assert canonical_well(text) == well


def test_a_canonical_well_stays():
    """Reading a well twice is reading it once, for every well of every plate."""
    rows = [chr(65 + row) if row < 26 else f"A{chr(39 + row)}" for row in range(48)]
    wells = [f"{row}{column:02d}" for row in rows for column in range(1, 73)]
    assert [canonical_well(well) for well in wells] == wells
    assert len(set(wells)) == 48 * 72
