"""Dose response against the controls of the same plates: trends, Hill curves, EC50 intervals, monotony."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, softmax

from phenotrain.evaluate import dose_fit, treated_log_odds
from phenotrain.evaluate.dose_fit import fit_doses
from phenotrain.evaluate.hill import HillCurve

DOSES = np.geomspace(1, 300, 9)


def screen(plates, *, wells=4, controls=8, curve=None, noise=0.04, plate_sd=0.0, seed=0):
    """Sites, one a well, and their responses.

    Args:
        plates: Doses of every plate.
        wells: Wells a dose and plate.
        controls: Control wells a plate, one number or one a plate.
        curve: Response over doses; none where the treatment does nothing.
        noise: Standard deviation of a well.
        plate_sd: Standard deviation of what a plate adds to all its wells.
        seed: Of noise and plates.
    """
    rng = np.random.default_rng(seed)
    rows, values = [], []
    for plate, doses in enumerate(plates):
        shift = rng.normal(0, plate_sd)
        num_controls = controls if isinstance(controls, int) else controls[plate]
        for dose in [*np.repeat(doses, wells), *[np.nan] * num_controls]:
            name = "EMPTY" if np.isnan(dose) else "drug"
            rows.append(("E", str(plate), f"{plate}-{len(rows)}", name, dose))
            effect = 0.0 if curve is None or np.isnan(dose) else curve.at(np.array([dose]))[0]
            values.append(shift + effect + rng.normal(0, noise))
    columns = ["experiment", "plate", "well_id", "treatment", "treatment_conc"]
    return pd.DataFrame(rows, columns=columns), np.array(values)


def fitted(table, values, *, seed=0):
    found = fit_doses(table, np.arange(len(table)), "EMPTY", values, "response", is_log_odds=False, seed=seed)
    (fit,) = found
    return fit


@pytest.mark.parametrize(("bottom", "top"), [(0.05, 0.95), (2.0, 0.4)])
def test_the_ec50_of_a_known_curve_is_found(bottom, top):
    """From noisy wells the EC50 comes back within 15 %, for rising and for falling responses."""
    fit = fitted(*screen([DOSES], curve=HillCurve(bottom, top, 17.0, 1.8)))
    assert fit.curve is not None
    assert fit.curve.ec50 == pytest.approx(17.0, rel=0.15)
    assert fit.interval is not None
    assert fit.is_within_doses
    assert fit.is_monotone


def test_on_one_plate_the_response_is_the_measured_one():
    """With one plate there is no plate to correct: wells and controls keep their values, and so does the EC50."""
    table, values = screen([DOSES], curve=HillCurve(0.1, 0.9, 20.0, 1.5), noise=0.01)
    fit = fitted(table, values)
    is_control = (table["treatment"] == "EMPTY").to_numpy()
    np.testing.assert_allclose(np.sort(fit.responses), np.sort(values[~is_control]))
    np.testing.assert_allclose(np.sort(fit.controls), np.sort(values[is_control]))


def test_a_plate_effect_leaves_the_ec50_alone():
    """Every dose on a plate of its own that shifts all its wells: same curve as without shifts, up to the noise."""
    curve, plates = HillCurve(0.0, 1.0, 20.0, 1.5), [[dose] for dose in DOSES]
    shifted = fitted(*screen(plates, curve=curve, noise=1e-6, plate_sd=1.0, controls=2))
    assert shifted.is_nested
    assert shifted.curve is not None
    assert shifted.curve.ec50 == pytest.approx(20.0, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("plates", "wells", "controls"),
    [([DOSES], 4, 8), ([[dose] for dose in DOSES for _ in range(2)], 3, 3), ([DOSES] * 5, 1, 4)],
)
def test_intervals_hold_the_truth_about_as_often_as_they_say(plates, wells, controls):
    """On one plate, on nested plates with three controls, on five plates: 34 of 40 intervals or more hold the EC50."""
    truth = HillCurve(0.0, 1.0, 20.0, 1.5)
    intervals = [
        fitted(
            *screen(plates, wells=wells, controls=controls, curve=truth, plate_sd=0.3, seed=seed), seed=seed
        ).interval
        for seed in range(40)
    ]
    assert None not in intervals
    assert sum(found.low <= 20.0 <= found.high for found in intervals if found) >= 34


SIX = 10.0 ** -np.arange(1, 7)
NULL_LAYOUTS = {
    "two plates a dose, 40 controls": ([[dose] for dose in SIX for _ in range(2)], 3, 40),
    "two plates a dose, 3 controls": ([[dose] for dose in SIX for _ in range(2)], 3, 3),
    "one plate a dose, 3 controls": ([[dose] for dose in SIX], 3, 3),
    "one plate": ([SIX], 4, 3),
}


@pytest.mark.parametrize("layout", NULL_LAYOUTS)
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_plates_make_no_trend(layout, share, monkeypatch):
    """Of 200 treatments without effect at most 22 show a trend, whatever share of the variance is the plate.

    At a rate of 0.05 more than 22 of 200 are seen less than once in 2000 times; raw responses show 36 where half of the
    variance is the plate.
    """
    monkeypatch.setattr(dose_fit, "fit_hill", lambda doses, responses: None)
    monkeypatch.setattr(dose_fit, "NUM_EXCHANGES", 399)
    monkeypatch.setattr(dose_fit, "NUM_RESAMPLES", 2)
    plates, wells, controls = NULL_LAYOUTS[layout]
    found = 0
    for seed in range(200):
        table, values = screen(
            plates,
            wells=wells,
            controls=controls,
            noise=np.sqrt(1 - share),
            plate_sd=np.sqrt(share),
            seed=seed,
        )
        fit = fitted(table, values, seed=seed)
        assert fit.p_value is not None
        found += fit.p_value < dose_fit.SIGNIFICANCE
    assert found <= 22


def test_no_trend_gives_no_ec50():
    """Wells that do not respond get no curve, rather than one through noise."""
    fit = fitted(*screen([DOSES], seed=3))
    assert (fit.curve, fit.interval, fit.why_no_curve) == (None, None, "No trend over the doses.")


def test_a_clear_fall_is_not_monotone():
    """A rising response whose middle dose drops far beyond the noise is called not monotone."""
    table, values = screen([DOSES], curve=HillCurve(0.0, 1.0, 10.0, 2.0))
    values[np.isclose(table["treatment_conc"], DOSES[6])] -= 0.6
    assert fitted(table, values).is_monotone is False


def test_a_fall_that_is_the_plates_is_none():
    """A plate that lies 0.6 lower with all its wells and controls makes no fall from its dose."""
    table, values = screen([[dose] for dose in DOSES], curve=HillCurve(0.0, 1.0, 10.0, 2.0))
    values[table["plate"] == "6"] -= 0.6
    assert fitted(table, values).is_monotone is True


def test_four_plates_of_one_dose_each_can_show_no_trend():
    """Four plates have 24 orders, two of them as extreme as can be: p stays at 1/12, and the reason says so."""
    fit = fitted(*screen([[1], [10], [100], [1000]], curve=HillCurve(0.0, 9.0, 30.0, 1.0), noise=0.01))
    assert fit.curve is None
    assert fit.smallest_p == pytest.approx(1 / 12, abs=0.02)
    assert fit.why_no_curve.startswith("The 16 wells on 4 plates cannot tell (smallest possible p 0.0")


@pytest.mark.parametrize(
    ("plates", "wells", "controls", "why"),
    [
        ([DOSES], 1, 8, "No interval: a dose has a single well on a plate."),
        ([[dose] for dose in DOSES], 3, 1, "No interval: a plate has a single control well."),
    ],
)
def test_no_interval_comes_from_single_wells(plates, wells, controls, why):
    """Where nothing tells how far a dose or a plate's mean may be off, the EC50 stands alone and says why."""
    curve = HillCurve(0.0, 1.0, 20.0, 1.5)
    fit = fitted(*screen(plates, wells=wells, controls=controls, curve=curve, noise=0.01))
    assert fit.curve is not None
    assert (fit.interval, fit.why_no_interval) == (None, why)


def test_one_well_a_dose_cannot_tell_a_fall_from_noise():
    """With a single well a dose monotony is not known."""
    fit = fitted(*screen([DOSES], wells=1, curve=HillCurve(0.0, 1.0, 20.0, 1.5)))
    assert fit.is_monotone is None


def test_plates_without_controls_are_left_out_and_named():
    """Their wells take no part; a series that keeps too few doses is still listed, with the reason."""
    plates = [[dose] for dose in DOSES]
    curve = HillCurve(0.0, 1.0, 20.0, 1.5)
    some = fitted(*screen(plates, curve=curve, controls=[8, 0, 8, 8, 8, 8, 0, 8, 8]))
    assert some.left_out == ("E plate 1", "E plate 6")
    assert len(some.doses) == 7 * 4
    few = fitted(*screen(plates, curve=curve, controls=[8, 8, 8, 0, 0, 0, 0, 0, 0]))
    assert few.why_no_curve == "3 doses lie on plates with controls; a curve needs 4."
    none = fitted(*screen(plates, curve=curve, controls=0))
    assert (none.doses, none.trend, len(none.left_out)) == ((), None, 9)


def test_wells_are_fitted_by_series_and_sites_are_averaged():
    """Each drug of one treatment has its own curve, from wells, beside all controls of its plate."""
    rows = []
    for series, ec50 in (("a", 5.0), ("b", 80.0)):
        for well, dose in enumerate(np.repeat(DOSES, 4)):
            value = HillCurve(0, 1, ec50, 2).at(np.array([dose]))[0]
            rows += [(f"{series}{well}", "dose", series, dose, value + shift) for shift in (-0.1, 0.1)]
    rows += [(f"c{well}", "negative", "", np.nan, 0.02) for well in range(3)]
    table = pd.DataFrame(rows, columns=["well_id", "treatment", "series", "treatment_conc", "value"])
    table = table.assign(experiment="e", plate="1")
    first, second = fit_doses(
        table,
        np.arange(len(table)),
        "negative",
        table["value"].to_numpy(),
        "value",
        is_log_odds=False,
        seed=0,
    )
    assert (first.series, second.series) == ("a", "b")
    assert [fit.curve and fit.curve.ec50 for fit in (first, second)] == pytest.approx([5.0, 80.0], rel=0.02)
    assert len(first.doses) == 36
    assert first.controls == pytest.approx((0.02, 0.02, 0.02))


def test_log_odds_find_the_ec50_that_probabilities_hide():
    """Log odds from -9 to 15 around a dose of 100 give that EC50; their probabilities pass half at a lower one."""
    table, values = screen([DOSES], curve=HillCurve(0.0, 24.0, 100.0, 1.5), noise=0.3)
    fit, saturated = fitted(table, values - 9), fitted(table, expit(values - 9))
    assert fit.curve is not None
    assert saturated.curve is not None
    assert fit.curve.ec50 == pytest.approx(100, rel=0.1)
    assert saturated.curve.ec50 < 80


def test_treated_log_odds_stay_exact_where_probabilities_saturate():
    """Of three classes the log odds of the two that are not the control come back, from -20 to 20."""
    logits = np.array([[20.0, -1.0, -2.0], [0.0, 0.0, 0.0], [-20.0, 1.0, -3.0]])
    probabilities = softmax(logits, axis=1).astype(np.float32)
    expected = np.log(np.exp(logits[:, 1:]).sum(axis=1)) - logits[:, 0]
    np.testing.assert_allclose(treated_log_odds(probabilities, 0), expected, rtol=1e-5)
    assert np.isfinite(treated_log_odds(np.array([[1.0, 0.0], [0.0, 1.0]]), 0)).all()
