import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phenotrain.doses import dose_rank, rounded_doses, top_doses

LAW = settings(max_examples=25, deadline=None)


def table(labels: list[str], doses: list[float], plates: list[str] | None = None) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "experiment": "E-1",
            "plate": plates or ["1"] * len(labels),
            "treatment": labels,
            "treatment_conc": doses,
        }
    )


NAN = float("nan")


def test_rank_counts_from_the_top_of_each_treatments_own_ladder():
    """The highest dose of every treatment has rank 1, whatever its value; controls have none."""
    sites = table(["a", "a", "b", "b", "b", "EMPTY"], [0.1, 0.01, 25, 2.5, 250, NAN])
    np.testing.assert_array_equal(dose_rank(sites, "EMPTY"), [1, 2, 2, 3, 1, NAN])


def test_float_noise_makes_no_new_dose():
    """Two spellings of one concentration, as RxRx2 has them, share a rank."""
    sites = table(["a"] * 4, [0.001, 0.0009999999999999, 9.999999999999998e-05, 1e-4])
    np.testing.assert_array_equal(dose_rank(sites, "EMPTY"), [1, 1, 2, 2])


def test_treatment_without_concentrations_has_one_dose():
    """A treatment with no recorded concentration is all top dose; an unknown one among known has no rank."""
    sites = table(["a", "a", "b", "b"], [NAN, NAN, 0.1, NAN])
    np.testing.assert_array_equal(dose_rank(sites, "EMPTY"), [1, 1, 1, NAN])


def test_each_series_has_its_own_ladder():
    """Two drugs under one label, in different units, each have a top dose."""
    sites = table(["positive"] * 3, [150, 80, 40]).assign(series=["Wortmannin", "LY294002", "LY294002"])
    np.testing.assert_array_equal(dose_rank(sites, "negative"), [1, 1, 2])


def test_controls_are_kept_only_on_plates_of_kept_sites():
    """With the top dose alone, the controls of the other doses' plates go too."""
    sites = table(["a", "EMPTY", "a", "EMPTY", "EMPTY"], [1, NAN, 0.1, NAN, NAN], ["1", "1", "2", "2", "3"])
    assert top_doses(sites, "EMPTY", 1).tolist() == [True, True, False, False, False]
    assert top_doses(sites, "EMPTY", 0).tolist() == [True, True, True, True, False]


def test_a_negative_number_of_doses_is_refused():
    """A negative number of top doses is an error that says what 0 means."""
    with pytest.raises(ValueError, match="0 keeps all doses"):
        top_doses(table(["a"], [1.0]), "EMPTY", -1)


@LAW
@given(st.integers(0, 5), st.integers(0, 3))
def test_more_doses_never_drop_a_site(screen, num_top_doses, more):
    """The sites of the top k doses are among those of the top k + m, and all of them at 0."""
    sites = screen(num_experiments=1)
    fewer = top_doses(sites, "EMPTY", num_top_doses or 1)
    assert (fewer <= top_doses(sites, "EMPTY", (num_top_doses or 1) + more)).all()
    assert (fewer <= top_doses(sites, "EMPTY", 0)).all()


@LAW
@given(st.floats(1e-9, 1e9))
def test_rounding_keeps_a_dose_and_repeats_itself(dose):
    """Rounding changes a dose by less than one part in 100,000, and rounding again changes nothing."""
    once = rounded_doses(np.array([dose, NAN, 0.0]))
    assert abs(once[0] - dose) <= 1e-5 * dose
    np.testing.assert_array_equal(rounded_doses(once), once)
