import numpy as np
import pytest
from scipy import linalg
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from phenotrain.profiles.correction import MIN_CONTROLS, fit_correction, whiten
from phenotrain.profiles.draws import correct_left_out
from phenotrain.profiles.errors import ProfileError
from phenotrain.profiles.wells import WellProfiles

PARAMETERS = ("typical_scale", "kept", "mean", "scale", "components", "spread")


def slow_tvn(wells, batch):
    """EFAAR's centerscale_on_controls by batch and tvn_on_controls, in its own steps and libraries."""
    values = wells.profiles.copy()
    batches, control = wells.batches(batch), wells.is_control
    for name in np.unique(batches):
        here = batches == name
        values[here] = StandardScaler().fit(values[here & control]).transform(values[here])
    training = control & (wells.wells["role"] == "train").to_numpy()
    values = StandardScaler().fit(values[training]).transform(values)
    values = PCA().fit(values[training]).transform(values)
    values = StandardScaler().fit(values[training]).transform(values)
    for name in np.unique(batches):
        here = batches == name
        covariance = np.cov(values[here & control], rowvar=False, ddof=1) + 0.5 * np.eye(values.shape[1])
        values[here] = values[here] @ linalg.fractional_matrix_power(covariance, -0.5)
    return values


def test_equals_the_published_steps_up_to_the_signs_of_axes(make_screen):
    """With controls in abundance, corrected profiles have the inner products that EFAAR's own steps give."""
    wells = make_screen(num_controls=30, plate_effect=0.5).wells
    for batch in ("plate", "experiment"):
        ours = fit_correction(wells, batch).apply(wells)
        theirs = slow_tvn(wells, batch)
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours @ ours.T, theirs @ theirs.T, atol=1e-8)


def test_training_controls_are_white_before_coral(make_screen):
    """Before CORAL the training controls have mean zero and unit covariance, as far as their rank reaches."""
    wells = make_screen(num_controls=20).wells
    correction = fit_correction(wells)
    rows = np.flatnonzero(wells.is_control & (wells.wells["role"] == "train").to_numpy())
    names = wells.batches("plate")
    white = np.concatenate(
        [whiten(wells.profiles[[row]], correction.batches[names[row]], correction.whitening) for row in rows]
    )
    np.testing.assert_allclose(white.mean(axis=0), 0, atol=1e-10)
    np.testing.assert_allclose(np.cov(white.T, ddof=0), np.eye(correction.num_components), atol=1e-8)


def test_coral_gives_each_plates_controls_the_covariance_of_its_closed_form(make_screen):
    """After CORAL the covariance C of a plate's controls has become C (C + I/2)^-1, and their mean is zero."""
    wells = make_screen(num_controls=40).wells
    correction = fit_correction(wells)
    corrected = correction.apply(wells)
    for name in np.unique(wells.batches("plate")):
        rows = (wells.batches("plate") == name) & wells.is_control
        white = whiten(wells.profiles[rows], correction.batches[name], correction.whitening)
        before = np.cov(white.T)
        np.testing.assert_allclose(
            np.cov(corrected[rows].T), before @ np.linalg.inv(before + 0.5 * np.eye(len(before))), atol=1e-8
        )
        np.testing.assert_allclose(corrected[rows].mean(axis=0), 0, atol=1e-8)


def test_treated_wells_and_test_plates_change_no_fitted_parameter(make_screen):
    """Other values in treated wells, and in all wells of test plates, leave the shared part equal to the last bit."""
    wells = make_screen().wells
    treated = ~wells.is_control
    test = (wells.wells["role"] == "test").to_numpy()
    before = fit_correction(wells)
    for changed, parts in ((treated, set(before.batches)), (test, {n for n in before.batches if "E1" in n})):
        values = wells.profiles.copy()
        values[changed] = 7 * values[changed][::-1] + 100
        after = fit_correction(WellProfiles(wells.wells, values))
        for name in PARAMETERS:
            np.testing.assert_array_equal(getattr(after.whitening, name), getattr(before.whitening, name))
        for name in parts:
            np.testing.assert_array_equal(after.batches[name].mean, before.batches[name].mean)
            np.testing.assert_array_equal(after.batches[name].directions, before.batches[name].directions)


def test_labels_of_treated_wells_do_not_matter(make_screen):
    """Other names and doses of treated wells leave every corrected profile equal to the last bit."""
    wells = make_screen().wells
    table = wells.wells.assign(treatment_conc=5.0)
    table.loc[~table["is_control"], "treatment"] = "another"
    renamed = WellProfiles(table, wells.profiles)
    np.testing.assert_array_equal(fit_correction(renamed).apply(renamed), fit_correction(wells).apply(wells))


def test_test_controls_of_a_training_plate_are_no_references(make_screen):
    """Where wells are held out on a training plate, its held-out controls shape nothing of the correction."""
    wells = make_screen(num_experiments=1).wells
    held_out = wells.is_control & (np.arange(len(wells)) % 3 == 0)
    table = wells.wells.assign(role=np.where(held_out, "test", "train"))
    values = wells.profiles.copy()
    values[held_out] += 50
    before, after = (fit_correction(WellProfiles(table, v)) for v in (wells.profiles, values))
    for name in before.batches:
        np.testing.assert_array_equal(after.batches[name].mean, before.batches[name].mean)


def test_a_plates_shift_and_gain_vanish(make_screen):
    """Adding a constant to a plate, and multiplying its dimensions, changes no corrected profile."""
    wells = make_screen(plate_effect=0.0).wells
    rng = np.random.default_rng(5)
    names, plate_of = np.unique(wells.batches("plate"), return_inverse=True)
    gains = np.exp(0.4 * rng.normal(size=(len(names), wells.profiles.shape[1])))
    shifts = 10 * rng.normal(size=gains.shape)
    moved = WellProfiles(wells.wells, wells.profiles * gains[plate_of] + shifts[plate_of])
    ours, theirs = (fit_correction(w).apply(w) for w in (wells, moved))
    np.testing.assert_allclose(ours @ ours.T, theirs @ theirs.T, atol=1e-6)


def test_fewer_controls_than_dimensions_give_fewer_components(make_screen):
    """With d dimensions and n < d training controls there are n / 4 components, and all profiles are finite."""
    wells = make_screen(num_dimensions=200, num_controls=10).wells
    correction = fit_correction(wells)
    assert correction.num_components == correction.num_training_controls // 4
    assert np.isfinite(correction.apply(wells)).all()


def test_asking_for_more_components_than_the_rank_gives_the_rank(make_screen):
    """The rank of controls that are centred by plate is their number minus the number of plates."""
    wells = make_screen(num_dimensions=200, num_controls=10).wells
    correction = fit_correction(wells, max_components=1000)
    num_plates = len({name for name in correction.batches if name.startswith("E1")})
    assert correction.num_components == correction.num_training_controls - num_plates


def test_constant_dimensions_are_left_out(make_screen):
    """A dimension that is the same in every training control adds nothing, whatever it is elsewhere."""
    made = make_screen()
    constant = np.where(made.sites["treatment"] == "EMPTY", 0.1, 1e6)[:, None].astype(np.float32)
    wide = type(made)(made.sites, np.hstack([made.embeddings, constant]), made.roles)
    ours, theirs = (fit_correction(m.wells, max_components=9).apply(m.wells) for m in (made, wide))
    np.testing.assert_allclose(np.abs(theirs), np.abs(ours), atol=1e-8)


def test_a_dimension_that_stands_still_on_one_plate_is_not_blown_up(make_screen):
    """Where one plate's controls all but agree, its treated wells stay in the range of the others'."""
    wells = make_screen(plate_effect=0.0).wells
    here = wells.batches("plate") == "E2 plate 1"
    values = wells.profiles.copy()
    values[here & wells.is_control, 0] = values[here & wells.is_control, 0].mean() + 1e-6 * np.arange(12)
    correction = fit_correction(wells)
    after = WellProfiles(wells.wells, values)
    extent = np.abs(correction.apply(wells)).max()
    assert np.abs(fit_correction(after).apply(after)).max() < 10 * extent


def test_left_out_correction_of_a_reference_is_that_of_a_fit_without_it(make_screen):
    """Correcting a reference as if it were none agrees with fitting its plate's part without it, scale aside."""
    wells = make_screen(plate_effect=0.0, num_controls=30).wells
    correction = fit_correction(wells)
    left_out = correct_left_out(wells, correction)
    row = int(np.flatnonzero(wells.is_control)[0])
    name = wells.batches("plate")[row]
    references = np.flatnonzero((wells.batches("plate") == name) & wells.is_control)
    white = whiten(wells.profiles[references], correction.batches[name], correction.whitening)
    kept = white[references != row]
    covariance = np.cov(kept.T) + 0.5 * np.eye(kept.shape[1])
    expected = (white[references == row][0] - kept.mean(axis=0)) @ linalg.fractional_matrix_power(
        covariance, -0.5
    )
    np.testing.assert_allclose(left_out[row], expected, atol=1e-8)
    treated = ~wells.is_control
    np.testing.assert_array_equal(left_out[treated], correction.apply(wells)[treated])


def test_too_few_controls_are_refused_by_name(make_screen):
    """A plate with three controls is named, and a larger batch is offered."""
    wells = make_screen(num_controls=MIN_CONTROLS - 1).wells
    with pytest.raises(ProfileError, match=r"every plate.*E1 plate 1 \(3\).*correct by a larger batch"):
        fit_correction(wells)
    assert fit_correction(wells, "experiment").num_components > 0


def test_an_unknown_plate_is_refused(make_screen):
    """A plate that the correction was not fitted with is named."""
    wells = make_screen().wells
    correction = fit_correction(wells.take(wells.batches("plate") != "E2 plate 4"))
    with pytest.raises(ProfileError, match="E2 plate 4"):
        correction.apply(wells)
