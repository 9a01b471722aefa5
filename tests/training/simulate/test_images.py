import dataclasses

import numpy as np
import pytest
from scipy import ndimage

from phenotrain.simulate import CONTROL, STAINS
from phenotrain.simulate.acquisition import acquisition_of
from phenotrain.simulate.cells import MIN_DISTANCE_PX, sample_cells
from phenotrain.simulate.layout import SitePlan
from phenotrain.simulate.render import render_site
from phenotrain.simulate.stains import STAIN_MODELS
from phenotrain.simulate.streams import Stream, stream
from phenotrain.simulate.textures import coarse_noise, fine_noise, splat

REAL_MEAN_GREY = np.array([3.6, 15.7, 8.1, 8.9, 1.8, 11.3])
REAL_STD_GREY = np.array([6.0, 14.0, 3.8, 7.3, 1.7, 6.4])


@pytest.fixture(scope="module")
def stacks():
    """Untreated fields of 512 px from all over a screen: 2 experiments of 12 plates."""
    return np.stack(
        [
            render_site(0, 512, SitePlan(experiment, plate, 9, 30, 1, CONTROL, None)).stack
            for experiment in (1, 2)
            for plate in range(1, 13)
        ]
    )


def test_channel_statistics_are_rxrx2s(stacks):
    """Mean and standard deviation of every stain lie within 20 % of RxRx2's."""
    pixels = stacks.reshape(len(stacks), len(STAINS), -1)
    np.testing.assert_allclose(pixels.mean(axis=(0, 2)), REAL_MEAN_GREY, rtol=0.2)
    np.testing.assert_allclose(pixels.std(axis=2).mean(axis=0), REAL_STD_GREY, rtol=0.2)


def test_nuclei_have_rxrx2s_size_and_number(stacks):
    """A field of 1024 px would show 200 to 400 nuclei of 250 to 450 pixels in the median."""
    areas = []
    for stack in stacks[::4]:
        labels, count = ndimage.label(ndimage.gaussian_filter(stack[0].astype(float), 1) > 8)
        areas.append(ndimage.sum_labels(np.ones_like(labels), labels, np.arange(1, count + 1)))
    assert 200 < np.mean([4 * len(area) for area in areas]) < 400
    assert 250 < np.median(np.concatenate(areas)) < 450


def test_plates_differ_in_what_treatments_do_not_change(stacks):
    """Untreated plates differ in mean intensity by more than sites of one plate do."""
    replicates = [
        render_site(0, 512, SitePlan(1, 1, 9, 30, site, CONTROL, None)).stack.mean(axis=(1, 2))
        for site in range(1, 7)
    ]
    between = stacks.mean(axis=(2, 3)).std(axis=0)
    assert np.median(between / np.std(replicates, axis=0)) > 1.5


def test_field_size_does_not_change_the_size_of_cells():
    """A smaller field shows fewer cells, of the same size."""
    small, large = (sample_cells(np.random.default_rng(0), px, 1.0) for px in (256, 1024))
    assert len(small) < len(large) / 5
    assert np.mean(small.long_px) == pytest.approx(np.mean(large.long_px), rel=0.1)


def test_nuclei_keep_their_distance():
    """No two nuclei lie nearer to each other than the least distance."""
    cells = sample_cells(np.random.default_rng(1), 512, 1.2)
    points = np.stack([cells.y_px, cells.x_px], axis=1)
    distance = np.linalg.norm(points[:, None] - points[None], axis=2) + 1e6 * np.eye(len(cells))
    assert distance.min() >= MIN_DISTANCE_PX


def test_acquisition_is_shared_as_its_batches_are():
    """Sites of one plate share blur and illumination; those of another plate do not."""
    here, near, far = (acquisition_of(3, (1, plate, row, 9, 1)) for plate, row in ((1, 2), (1, 3), (2, 2)))
    assert here.blur_px == near.blur_px != far.blur_px
    np.testing.assert_array_equal(here.tilt, near.tilt)
    assert not np.array_equal(here.gain, near.gain)


def test_exposure_is_linear_in_the_signal():
    """Twice the signal gives twice the grey levels above those of no signal."""
    acquisition = acquisition_of(0, (1, 1, 1, 2, 1))
    signal = fine_noise(np.random.default_rng(0), 64, 2.0)
    dark, single, double = (acquisition.expose(1, factor * signal) for factor in (0 * np.float32(1), 1, 2))
    np.testing.assert_allclose(double - dark, 2 * (single - dark), atol=1e-2)
    louder = dataclasses.replace(acquisition, gain=2 * acquisition.gain)
    np.testing.assert_allclose(louder.expose(1, signal) - dark, double - dark, atol=1e-2)


def test_there_is_a_model_for_every_stain_in_order():
    """Stain models come in the order of the channels."""
    assert tuple(STAIN_MODELS) == STAINS


@pytest.mark.parametrize(("noise", "field_px", "scale_px"), [(fine_noise, 256, 1.5), (coarse_noise, 1024, 4)])
def test_noise_has_the_field_size_and_about_unit_variance(noise, field_px, scale_px):
    """Noise fields are float32 with mean 0; interpolation takes at most half of their unit variance."""
    field = noise(np.random.default_rng(0), field_px, scale_px)
    assert field.dtype == np.float32
    assert abs(field.mean()) < 0.1
    assert 0.5 < field.var() < 1.2


def test_spots_add_up_and_may_lie_outside():
    """A spot's mass is 2 pi sigma² times its peak, half of that on the edge and none far outside."""
    one = np.array([2.0], dtype=np.float32)

    def mass(y):
        return splat(65, np.array([y], dtype=np.float32), np.float32(32) * one / 2, one, one / 2).sum()

    assert mass(32) == pytest.approx(2 * np.pi * 4, rel=0.02)
    assert mass(-0.5) == pytest.approx(np.pi * 4, rel=0.02)
    assert mass(-100) == 0


def test_streams_depend_on_purpose_and_address_alone():
    """The same purpose and address give the same numbers; another of either gives others."""
    draws = [
        stream(1, purpose, *address).integers(1 << 60)
        for purpose, address in [
            (Stream.CELLS, (1, 2)),
            (Stream.CELLS, (1, 2)),
            (Stream.CELLS, (2, 1)),
            (Stream.NOISE, (1, 2)),
        ]
    ]
    assert draws[0] == draws[1]
    assert len(set(draws)) == 3
