"""Whether swapped channels are seen: descriptions against their definition, and the mismatch of known stains."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kurtosis, skew

from phenoserve.bundle import StainOrder, describe_channels
from phenoserve.bundle.stain_order import LAGS_PX, NUM_DESCRIPTORS, QUANTILES


def random_stack(seed: int, shape=(3, 67, 90)) -> np.ndarray:
    """Channels of another texture each, float64."""
    rng = np.random.default_rng(seed)
    return np.stack([rng.gamma(1 + channel, size=shape[1:]) for channel in range(shape[0])])


def test_a_description_is_its_definition():
    """Every number equals a slow transcription of the format's definition, on squares of 3 px."""
    stack = random_stack(0)
    for channel, found in zip(stack, describe_channels(stack, 3), strict=True):
        pooled = np.array(
            [[channel[y : y + 3, x : x + 3].mean() for x in range(0, 90, 3)] for y in range(0, 66, 3)]
        )
        z = (pooled - pooled.mean()) / pooled.std()
        lags = [
            np.arctanh((np.mean(z[lag:] * z[:-lag]) + np.mean(z[:, lag:] * z[:, :-lag])) / 2)
            for lag in LAGS_PX
        ]
        shape = [np.cbrt(skew(z.ravel())), (kurtosis(z.ravel()) + 3) ** 0.25]
        np.testing.assert_allclose(found, [*np.quantile(z, QUANTILES), *shape, *lags], rtol=1e-9, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.floats(1e-3, 1e4), st.floats(-1e4, 1e4))
def test_gain_and_offset_do_not_count(gain, offset):
    """A channel in another unit has the same description."""
    stack = random_stack(1)
    np.testing.assert_allclose(
        describe_channels(gain * stack + offset, 2), describe_channels(stack, 2), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("value", [0, 1, 255, 12345.678, 1e9])
def test_a_constant_channel_is_all_zeros(value):
    """A channel without contrast is described by zeros, whatever its value."""
    np.testing.assert_array_equal(
        describe_channels(np.full((1, 64, 64), value), 4), np.zeros((1, NUM_DESCRIPTORS))
    )


def test_pooling_twice_is_pooling_once():
    """A field that is pooled by 2 first is described by squares of 3 as the raw stack is by squares of 6."""
    stack = random_stack(2, (2, 61, 75))
    pooled = stack[:, :60, :74].reshape(2, 30, 2, 37, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(describe_channels(pooled, 3), describe_channels(stack, 6), rtol=1e-9)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_the_pixel_type_does_not_count(dtype):
    """The same whole numbers in any pixel type have the same description."""
    numbers = np.random.default_rng(3).integers(0, 256, (2, 64, 64))
    np.testing.assert_array_equal(
        describe_channels(numbers.astype(dtype), 4), describe_channels(numbers.astype(np.float64), 4)
    )


def stains(num: int) -> StainOrder:
    """Stains that lie on the axes under the only treatment, one unit of standard deviation each."""
    return StainOrder(mean=3.0 * np.eye(num, NUM_DESCRIPTORS)[np.newaxis], whitening=np.eye(NUM_DESCRIPTORS))


def test_the_mismatch_is_worked_out_by_hand():
    """Stains 3 apart on two axes: in order -36, swapped 36, copied 0, and the pair is named."""
    known = stains(4)
    [mean] = known.mean
    assert known.mismatch(mean).value == pytest.approx(-36)
    swapped = known.mismatch(mean[[0, 3, 2, 1]])
    assert (swapped.value, swapped.channels) == (pytest.approx(36), (1, 3))
    copied = known.mismatch(mean[[0, 1, 2, 0]])
    assert (copied.value, copied.channels) == (pytest.approx(0), (0, 3))


def test_a_stain_that_a_treatment_changes_is_not_swapped():
    """Under a treatment that exchanges two stains' looks, their order is not called wrong, and that of others is."""
    [mean] = stains(4).mean
    treated = mean.copy()
    treated[1] = mean[3] + mean[1] / 3
    treated[3] = mean[1] + mean[3] / 3
    both = StainOrder(mean=np.stack([mean, treated]), whitening=np.eye(NUM_DESCRIPTORS))
    alone = stains(4)
    assert alone.mismatch(treated).value > 0 > both.mismatch(treated).value
    wrong = both.mismatch(treated[[0, 2, 1, 3]])
    assert wrong.value > 0
    assert wrong.channels == (1, 2)


@settings(deadline=None)
@given(st.permutations(range(5)))
def test_every_wrong_order_has_a_pair_that_fits_better_swapped_or_as_well(order):
    """A stack in an order that is not the stains' has a mismatch of at least 0, one in order has not."""
    known = stains(5)
    value = known.mismatch(known.mean[0][list(order)]).value
    assert (value >= -1e-9) == (list(order) != list(range(5)))
