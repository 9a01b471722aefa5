"""The random views."""

import numpy as np
import pytest
import tensorflow as tf

from phenotrain.augment import draw_view
from phenotrain.recipe import AugmentationRecipe, load_recipe

pytestmark = pytest.mark.training

OFF = {
    "crop_scale_min": 1.0,
    "crop_scale_max": 1.0,
    "flips": False,
    "rotations": False,
    "brightening": 0.0,
    "brightness": 0.0,
    "channel_gain": 0.0,
    "channel_offset": 0.0,
    "noise": 0.0,
}


@pytest.fixture
def fields():
    return tf.random.stateless_normal((8, 40, 48, 3), seed=(1, 2))


def view(fields, seed=(0, 1), crop_px=32, **strengths):
    recipe = AugmentationRecipe.model_validate(OFF | strengths)
    return draw_view(fields, tf.constant(seed), crop_px=crop_px, strengths=recipe).numpy()


def dihedral(patch):
    turned = [np.rot90(patch, k) for k in range(4)]
    return turned + [turn[::-1] for turn in turned]


def windows(field, side):
    return [
        field[y : y + side, x : x + side]
        for y in range(field.shape[0] - side + 1)
        for x in range(field.shape[1] - side + 1)
    ]


def test_same_seed_same_view(fields):
    """A view is a function of the seed: drawn twice it is the same, bit for bit."""
    strengths = {"channel_gain": 0.1, "noise": 0.1, "flips": True, "rotations": True}
    np.testing.assert_array_equal(view(fields, (3, 4), **strengths), view(fields, (3, 4), **strengths))


def test_other_seed_other_view(fields):
    """Another seed moves every site's view."""
    first, second = view(fields, (3, 4), noise=0.1), view(fields, (3, 5), noise=0.1)
    assert (np.abs(first - second).max(axis=(1, 2, 3)) > 0).all()


def test_unscaled_crop_copies_pixels(fields):
    """At scale 1 and nothing else switched on, a view is a window of the field, pixel for pixel."""
    views = view(fields)
    for field, one in zip(fields.numpy(), views, strict=True):
        assert min(np.abs(one - window).max() for window in windows(field, 32)) < 1e-4


@pytest.mark.parametrize("seed", range(20))
def test_edges_are_not_blackened(seed):
    """A view that reaches the field's far edges shows their pixels, not the zeros that stand for out of bounds."""
    bright = tf.fill((16, 41, 47, 1), 7.0)
    assert view(bright, (5, seed), crop_scale_min=0.5, crop_scale_max=2.0).min() > 6.99


def test_flips_and_rotations_are_exact(fields):
    """Flipped and rotated views are one of the eight symmetries of a window: nothing is interpolated."""
    square = fields[:, :32, :32]
    views = view(square, flips=True, rotations=True)
    for field, one in zip(square.numpy(), views, strict=True):
        assert min(np.abs(one - turned).max() for turned in dihedral(field)) < 1e-4


def test_all_eight_symmetries_occur(fields):
    """Flips and rotations together reach all eight symmetries of the square."""
    square = fields[:1, :32, :32]
    seen = {
        int(
            np.argmin(
                [
                    np.abs(view(square, (9, seed), flips=True, rotations=True)[0] - turned).max()
                    for turned in dihedral(square[0].numpy())
                ]
            )
        )
        for seed in range(60)
    }
    assert seen == set(range(8))


def test_a_crop_never_leaves_the_field():
    """A scale beyond the field is bounded by its side: the view holds no value that the field does not span."""
    ramp = tf.reshape(tf.linspace(5.0, 6.0, 40 * 40), (1, 40, 40, 1))
    views = view(ramp, crop_px=32, crop_scale_min=0.5, crop_scale_max=9.0)
    assert 5.0 - 1e-4 <= views.min() <= views.max() <= 6.0 + 1e-4


def test_channel_gain_and_offset_are_affine_per_stain(fields):
    """Gain and offset change each stain by its own straight line."""
    plain, moved = view(fields), view(fields, channel_gain=0.2, channel_offset=0.3)
    slopes = []
    for site in range(len(plain)):
        for channel in range(plain.shape[-1]):
            x, y = plain[site, ..., channel].ravel(), moved[site, ..., channel].ravel()
            slope, offset = np.polyfit(x, y, 1)
            np.testing.assert_allclose(y, slope * x + offset, atol=1e-4)
            slopes.append(slope)
    assert len(set(np.round(slopes, 6))) == len(slopes)


def test_stains_are_dropped_each_for_itself_as_often_as_stated(fields):
    """A dropped stain is zero, its mean, everywhere; the others are as they were; the stated share is dropped."""
    kept = []
    for seed in range(200):
        dropped = view(fields, (3, seed), channel_drop=0.3)
        same = view(fields, (3, seed))
        is_kept = np.abs(dropped).max(axis=(1, 2)) > 0
        np.testing.assert_array_equal(dropped, same * is_kept[:, np.newaxis, np.newaxis])
        kept.append(is_kept)
    assert np.mean(kept) == pytest.approx(0.7, abs=3 * np.sqrt(0.21 / np.size(kept)))


def test_brightening_keeps_the_darkest_pixel_dark(fields):
    """Brightening scales the distance to the field's darkest pixel by one factor in [1, 1 + s] for all stains."""
    floor = tf.reduce_min(fields, axis=[1, 2], keepdims=True).numpy()
    ratio = (view(fields, brightening=0.75) - floor) / (view(fields) - floor + 1e-9)
    spread = np.nanmax(ratio, axis=(1, 2, 3)) - np.nanmin(
        np.where(ratio < 0.5, np.nan, ratio), axis=(1, 2, 3)
    )
    assert (spread < 1e-2).all()
    assert (np.median(ratio, axis=(1, 2, 3)) >= 1).all()
    assert (np.median(ratio, axis=(1, 2, 3)) <= 1.75 + 1e-4).all()


def test_brightness_is_one_offset(fields):
    """Brightness adds one number within [-s, s] to all pixels and stains of a view."""
    difference = view(fields, brightness=0.2) - view(fields)
    assert np.ptp(difference, axis=(1, 2, 3)).max() < 1e-5
    assert 0 < np.abs(difference).max() <= 0.2 + 1e-5


def test_noise_has_the_stated_deviation(fields):
    """Noise has mean zero and the stated standard deviation."""
    noise = view(fields, noise=0.5) - view(fields)
    assert noise.mean() == pytest.approx(0, abs=0.02)
    assert noise.std() == pytest.approx(0.5, rel=0.03)


@pytest.mark.parametrize("name", ["default", "reference", "laptop", "demo"])
def test_shipped_strengths_keep_sites_recognisable(name):
    """Two views of one site at the same place stay correlated under every shipped recipe's intensity changes."""
    strengths = load_recipe(name).augmentation.model_copy(
        update={"crop_scale_min": 1.0, "crop_scale_max": 1.0, "flips": False, "rotations": False}
    )
    fields = tf.random.stateless_normal((16, 32, 32, 6), seed=(4, 2))
    a, b = (
        draw_view(fields, tf.constant([0, seed]), crop_px=32, strengths=strengths).numpy() for seed in (1, 2)
    )
    for site in range(16):
        for channel in range(6):
            correlation = np.corrcoef(a[site, ..., channel].ravel(), b[site, ..., channel].ravel())[0, 1]
            assert correlation > 0.9
