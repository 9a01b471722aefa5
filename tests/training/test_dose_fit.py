"""Hill curves through wells."""

import numpy as np
import pandas as pd
import pytest

from phenotrain.dose_fit import HillCurve, fit_doses, fit_series

DOSES = np.repeat(np.geomspace(1, 300, 9), 4)
NAMES = ("dose", "drug", "P(treated)")


def noisy(curve: HillCurve, seed: int, noise: float = 0.04) -> np.ndarray:
    return curve.at(DOSES) + np.random.default_rng(seed).normal(0, noise, len(DOSES))


@pytest.mark.parametrize(("bottom", "top"), [(0.05, 0.95), (2.0, 0.4)])
def test_the_ec50_of_a_known_curve_is_found(bottom, top):
    """From noisy wells the EC50 comes back within 15 %, for rising and for falling responses."""
    fit = fit_series(DOSES, noisy(HillCurve(bottom, top, 17.0, 1.8), 0), np.zeros(0), names=NAMES, seed=1)
    assert fit.curve is not None
    assert fit.curve.ec50 == pytest.approx(17.0, rel=0.15)
    assert fit.is_within_doses
    assert fit.is_monotone


@pytest.mark.slow
def test_intervals_hold_the_truth_about_as_often_as_they_say():
    """Of forty screens the 95 % interval holds the true EC50 in at least 34 (four wells a dose are few)."""
    truth = HillCurve(0.0, 1.0, 20.0, 1.5)
    fits = [fit_series(DOSES, noisy(truth, seed), np.zeros(0), names=NAMES, seed=seed) for seed in range(40)]
    intervals = [fit.interval for fit in fits if fit.interval is not None]
    assert len(intervals) == 40
    assert sum(interval.low <= 20.0 <= interval.high for interval in intervals) >= 34


def test_no_trend_gives_no_ec50():
    """Wells that do not respond get no curve, rather than one through noise."""
    flat = np.random.default_rng(3).normal(0.5, 0.05, len(DOSES))
    fit = fit_series(DOSES, flat, np.zeros(0), names=NAMES, seed=0)
    assert fit.curve is None
    assert fit.interval is None


def test_a_clear_fall_is_not_monotone():
    """A rising response whose middle dose drops far beyond the noise is called not monotone."""
    response = noisy(HillCurve(0.0, 1.0, 10.0, 2.0), 4)
    response[np.isclose(DOSES, np.unique(DOSES)[6])] -= 0.6
    assert not fit_series(DOSES, response, np.zeros(0), names=NAMES, seed=0).is_monotone


def test_wells_are_fitted_by_series_and_sites_are_averaged():
    """Each drug of one treatment has its own curve, from wells, beside the controls of its own series."""
    rows = []
    for series, ec50 in (("a", 5.0), ("b", 80.0)):
        for well, dose in enumerate(DOSES):
            value = HillCurve(0, 1, ec50, 2).at(np.array([dose]))[0]
            rows += [(f"{series}{well}", "dose", series, dose, value + shift) for shift in (-0.1, 0.1)]
        rows += [(f"{series}c{well}", "negative", series, np.nan, 0.02) for well in range(3)]
    table = pd.DataFrame(rows, columns=["well_id", "treatment", "series", "treatment_conc", "value"])
    table = table.assign(experiment="e", plate="1")
    first, second = fit_doses(
        table, np.arange(len(table)), "negative", table["value"].to_numpy(), "value", seed=0
    )
    assert (first.series, second.series) == ("a", "b")
    assert [fit.curve and fit.curve.ec50 for fit in (first, second)] == pytest.approx([5.0, 80.0], rel=0.02)
    assert len(first.doses) == len(DOSES)
    assert first.controls == (0.02, 0.02, 0.02)
