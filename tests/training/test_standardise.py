"""The standardisation that training and the graph share."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from phenoserve.bundle.deviation import LEAST_DEVIATION
from phenotrain.graph import pool
from phenotrain.standardise import standardise

pytestmark = pytest.mark.training


def blobs(seed: int, shape: tuple[int, ...] = (1, 37, 41, 3)) -> np.ndarray:
    """Skewed grey levels, whole numbers."""
    return np.random.default_rng(seed).gamma(1.5, 300.0, shape).round().astype(np.float32)


def standardised(fields: np.ndarray) -> np.ndarray:
    return standardise(tf.constant(fields, tf.float32)).numpy()


def in_double_precision(fields: np.ndarray) -> np.ndarray:
    exact = fields.astype(np.float64)
    return (exact - exact.mean((1, 2), keepdims=True)) / exact.std((1, 2), keepdims=True)


@pytest.mark.parametrize(
    ("scale", "offset"), [(1.7, 1.8), (6000.0, 30000.0), (0.01, 0.5), (3e-14, 0.0), (1e14, -1e14)]
)
def test_equals_the_formula_in_double_precision(scale, offset):
    """Every channel of every image becomes (x - mean) / std over the whole field."""
    raw = np.random.default_rng(0).normal(size=(2, 33, 47, 3)) * scale + offset
    raw = raw.astype(np.float32)
    np.testing.assert_allclose(standardised(raw), in_double_precision(raw), atol=1e-5)


@given(st.integers(0, 2**32 - 1), st.floats(1e-12, 1e9))
@settings(max_examples=60, deadline=None)
def test_the_unit_does_not_matter(seed, factor):
    """Fields times any factor from 1e-12 to 1e9, rounded to float32, are standardised to the same values."""
    fields = blobs(seed)
    np.testing.assert_allclose(
        standardised(fields * np.float32(factor)), standardised(fields), rtol=1e-5, atol=1e-5
    )


@given(st.integers(0, 2**32 - 1), st.integers(-40, 30), st.integers(-60_000, 60_000))
@settings(max_examples=60, deadline=None)
def test_what_is_exact_in_float32_changes_no_bit(seed, power, shift):
    """Grey levels with a whole number added, times a power of two, are standardised to the very same numbers."""
    fields = blobs(seed)
    np.testing.assert_array_equal(standardised((fields + shift) * 2.0**power), standardised(fields))


@given(st.floats(-1e15, 1e15, allow_subnormal=False), st.integers(2, 90), st.integers(2, 90))
@settings(max_examples=60, deadline=None)
def test_a_constant_channel_becomes_zeros(value, height, width):
    """A channel of one value, whatever it is, becomes zeros exactly, and its neighbour stays as it is."""
    other = blobs(height * width, (1, height, width, 1))
    fields = np.concatenate([np.full_like(other, value), other], axis=3)
    found = standardised(fields)
    assert (found[..., 0] == 0).all()
    np.testing.assert_allclose(found[..., 1:], standardised(other), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 0.1, 1.0, 12345.678, 65535.0, 1e9])
def test_a_blank_channel_becomes_zeros_however_large(value):
    """Over a large field too a constant is zeros, where float32 does not give it back as its own mean."""
    assert (standardised(np.full((1, 1031, 1033, 1), value)) == 0).all()


@pytest.mark.parametrize("downsample", [1, 2, 4, 16])
def test_one_pixel_of_one_grey_level_is_seen(downsample):
    """A field of 65535 but for one pixel of 65534 stands out by the square root of its pixels, as the formula says."""
    stack = np.full((1, 1024, 1024, 1), 65535.0, np.float32)
    stack[0, 500, 300] -= 1
    field = standardise(pool(tf.constant(stack - stack[:, :1, :1]), downsample)).numpy()
    num_px = field.size
    assert field.min() == pytest.approx(-np.sqrt(num_px - 1), rel=1e-4)
    assert field.max() == pytest.approx(1 / np.sqrt(num_px - 1), rel=1e-2)


def test_a_bright_corner_costs_no_digits():
    """A saturated pixel in the corner, which all others are taken relative to, leaves them as the formula says."""
    fields = blobs(3, (1, 101, 103, 2)) / 65535
    fields[0, 0, 0] = 1.0
    np.testing.assert_allclose(standardised(fields), in_double_precision(fields), rtol=1e-6, atol=1e-5)


def test_the_least_deviation_is_far_from_float32_s_end():
    """At the least deviation that the service lets through, values are still those of the formula."""
    fields = blobs(5)
    fields = (fields / fields.std((1, 2), keepdims=True) * LEAST_DEVIATION).astype(np.float32)
    np.testing.assert_allclose(standardised(fields), in_double_precision(fields), atol=1e-5)
