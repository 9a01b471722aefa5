import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phenotrain.plates import TableError, snap_concentration
from phenotrain.plates.concentration import read_concentrations

CASES = json.loads((Path(__file__).parents[2] / "cases" / "doses.json").read_text("utf-8"))["cases"]


def read(cells, control=False):
    is_control = np.full(len(cells), control)
    return read_concentrations(cells, is_control=is_control, names=[f"site-{i}" for i in range(len(cells))])


@pytest.mark.parametrize(
    ("recorded", "meant"),
    [
        ("0.0009999999999999", 1e-3),
        ("9.999999999999998e-05", 1e-4),
        ("9.999999999999998", 10.0),
        ("0.0002499999999999", 2.5e-4),
        ("2.499999999999999e-05", 2.5e-5),
        ("4.999999999999999e-05", 5e-5),
        (repr(float(np.float32(1e-3))), 1e-3),
        ("0.0025", 2.5e-3),
        ("15.63", 15.63),
        ("0.98", 0.98),
        ("1e-06", 1e-6),
    ],
)
def test_recorded_doses_snap_to_what_was_meant(recorded, meant):
    """Floating-point noise goes, and doses between the decades stay where they are."""
    assert read([recorded]).tolist() == [meant]


@given(
    st.sampled_from(["1", "2", "2.5", "5", "9.77", "1.5625"]),
    st.integers(-12, 6),
    st.floats(-1e-8, 1e-8),
)
def test_noise_below_single_precision_is_undone(mantissa, exponent, noise):
    """A short mantissa times a power of ten is found again under relative noise of 1e-8, to the last bit."""
    meant = float(f"{mantissa}e{exponent}")
    assert snap_concentration(meant * (1 + noise)) == meant


@given(st.floats(1e-12, 1e12))
def test_snapping_is_idempotent_and_small(value):
    """Snapping twice is snapping once, and moves a dose by no more than one part in a hundred thousand."""
    snapped = snap_concentration(value)
    assert snap_concentration(snapped) == snapped
    assert math.isclose(snapped, value, rel_tol=1e-5)


@pytest.mark.parametrize("cell", ["", "0", "0.0", "-1", "NaN", "0.5", "n/a", "none at all"])
def test_control_has_no_dose(cell):
    """A control's dose is NaN, whatever stands in its cell."""
    assert np.isnan(read([cell], control=True)).all()


@pytest.mark.parametrize("cell", ["", "nan", "NaN", "NA", "None"])
def test_blank_dose_of_a_treated_site_is_unknown(cell):
    """A treated site with a blank dose is kept, its dose NaN."""
    assert np.isnan(read([cell])).all()


@pytest.mark.parametrize("cell", ["0", "-0.1", "inf", "high"])
def test_impossible_dose_of_a_treated_site_is_refused(cell):
    """A treated site with a dose that is no positive number is refused by site and cell."""
    with pytest.raises(TableError, match=f"site-1.*'{cell}'"):
        read(["1", cell])


@pytest.mark.parametrize("case", CASES, ids=lambda case: "|".join(case["cells"]))
def test_doses_are_read_as_the_client_reads_them(case):
    """A column of doses has the values that the common cases give, or is refused at the same cell."""
    if "refused" in case:
        with pytest.raises(TableError, match=f"^site-{case['refused']}: "):
            read(case["cells"])
    else:
        expected = [math.nan if dose is None else dose for dose in case["doses"]]
        np.testing.assert_array_equal(read(case["cells"]), expected)


@pytest.mark.parametrize("cells", [["15,625", "0,98"], ["0,98", "15,625"], ["15,625", "250"]])
def test_what_may_be_thousands_is_refused(cells):
    """`15,625` may be thousands or decimals, whatever stands beside it, and is refused with the way to write it."""
    with pytest.raises(TableError, match=r"'15,625'.*thousands or decimals.*decimal point"):
        read(cells)


def test_the_cells_of_controls_settle_nothing():
    """What stands in the dose of a control neither is a dose nor says what the comma means."""
    cells = ["0,5", "1.5"]
    doses = read_concentrations(cells, is_control=np.array([True, False]), names=["control", "treated"])
    np.testing.assert_array_equal(doses, [np.nan, 1.5])
