"""The standardisation that training and the graph share."""

import numpy as np
import pytest
import tensorflow as tf

from phenotrain.standardise import EPSILON, standardise

pytestmark = pytest.mark.training


@pytest.mark.parametrize(("scale", "offset"), [(1.7, 1.8), (6000.0, 30000.0), (0.01, 0.5)])
def test_equals_the_formula_in_double_precision(scale, offset):
    """Every channel of every image becomes (x - mean) / (std + epsilon) over the whole field."""
    raw = np.random.default_rng(0).normal(size=(2, 33, 47, 3)) * scale + offset
    raw = raw.astype(np.float32)
    exact = raw.astype(np.float64)
    expected = (exact - exact.mean((1, 2), keepdims=True)) / (exact.std((1, 2), keepdims=True) + EPSILON)
    np.testing.assert_allclose(standardise(tf.constant(raw)).numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("value", [0.0, 1.0, 255.0, 65535.0, 12345.678])
def test_a_blank_channel_becomes_zero(value):
    """A constant channel of any brightness becomes zeros, not the sign of a rounding error."""
    fields = tf.fill((1, 257, 253, 2), tf.constant(value, tf.float32))
    assert np.abs(standardise(fields).numpy()).max() < 0.01


def test_gain_and_offset_do_not_matter():
    """A plate's gain and background leave nothing behind."""
    fields = tf.random.stateless_uniform((1, 32, 32, 1), seed=(1, 1), maxval=50.0)
    np.testing.assert_allclose(
        standardise(fields * 3.0 + 20.0).numpy(), standardise(fields).numpy(), atol=1e-3
    )
