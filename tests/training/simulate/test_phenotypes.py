import numpy as np
import pytest

from phenotrain.simulate import CONTROL, DOSE_LADDER, PHENOTYPES, STAINS, effect_size
from phenotrain.simulate.cells import PARAMETERS
from phenotrain.simulate.layout import SitePlan
from phenotrain.simulate.render import TRUTH_THRESHOLD_GREY, render_site

SEED = 11
FIELD_PX = 192


def site(treatment, dose, number=1):
    return SitePlan(1, 3, 4, 17, number, treatment, dose)


def render(treatment, dose, number=1):
    return render_site(SEED, FIELD_PX, site(treatment, dose, number))


@pytest.mark.parametrize("treatment", PHENOTYPES)
def test_effect_falls_with_the_dose_to_exactly_nothing(treatment):
    """The effect is strong at 0.1, clear at 0.001, monotone and exactly 0 at the lowest three doses."""
    effects = [effect_size(treatment, dose) for dose in DOSE_LADDER]
    assert effects[0] > 0.95
    assert effects[2] > 0.4
    assert effects == sorted(effects, reverse=True)
    assert effects[3:] == [0.0, 0.0, 0.0]


def test_a_control_has_no_effect():
    """What is no treatment, or was given at no dose, has no effect."""
    assert effect_size(CONTROL, None) == effect_size(CONTROL, 0.1) == effect_size("IFN-gamma", None) == 0.0


def test_every_shift_names_a_stain_and_a_parameter():
    """Phenotypes move parameters that cells have and name stains that are imaged."""
    for phenotype in PHENOTYPES.values():
        assert phenotype.stains
        for shift in phenotype.shifts:
            assert shift.stain in STAINS
            assert shift.parameter in PARAMETERS


@pytest.mark.parametrize("treatment", PHENOTYPES)
def test_an_inert_dose_gives_the_untreated_image(treatment):
    """At the lowest doses a site is, byte for byte, the site with no treatment."""
    untreated = render(CONTROL, None)
    for dose in DOSE_LADDER[3:]:
        treated = render(treatment, dose)
        np.testing.assert_array_equal(treated.stack, untreated.stack)
        assert not treated.mask.any()


@pytest.mark.parametrize("treatment", PHENOTYPES)
def test_images_change_more_at_higher_doses(treatment):
    """The changed area and the mean change of the images grow with the dose."""
    untreated = render(CONTROL, None).stack.astype(float)
    areas, changes = [], []
    for dose in (0.1, 0.001, 0.0001):
        images = render(treatment, dose)
        areas.append(int((images.mask > 0).sum()))
        changes.append(float(np.abs(images.stack - untreated).mean()))
    assert areas[0] > areas[1] > areas[2] == 0
    assert changes[0] > changes[1] > changes[2] == 0


@pytest.mark.parametrize("treatment", PHENOTYPES)
def test_the_mask_marks_the_pixels_that_differ_from_the_untreated_twin(treatment):
    """Marked pixels differ from the untreated twin's; others by no more than threshold and rounding."""
    treated, twin = render(treatment, 0.1), render(CONTROL, None)
    for channel, stain in enumerate(STAINS):
        difference = np.abs(treated.stack[channel].astype(int) - twin.stack[channel])
        marked = (treated.mask >> channel & 1).astype(bool)
        if stain not in PHENOTYPES[treatment].stains:
            assert not marked.any()
            assert not difference.any()
            continue
        assert 0.01 < marked.mean() < 0.6
        # Both images share their noise, which grows with the level; each is rounded on its own.
        assert difference[~marked].max() <= np.ceil(TRUTH_THRESHOLD_GREY[channel]) + 1
        assert difference[marked].mean() > 4 * difference[~marked].mean()
        assert (difference[marked] > 0).mean() > 0.5


def test_sites_differ():
    """Two sites of one well are different fields of view."""
    assert (render(CONTROL, None).stack != render(CONTROL, None, number=2).stack).mean() > 0.3
