from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phenotrain.cache.pooling import means, pool, pooled_dtype


def pool_slowly(stack, downsample):
    """Take the mean of every whole square, one at a time, in exact arithmetic."""
    num_channels, height, width = stack.shape
    out = np.zeros((num_channels, height // downsample, width // downsample), np.float32)
    for channel, y, x in np.ndindex(*out.shape):
        square = stack[
            channel, y * downsample : (y + 1) * downsample, x * downsample : (x + 1) * downsample
        ].astype(np.float64)
        out[channel, y, x] = square.sum() / downsample**2
    return out


@given(
    st.sampled_from(["uint8", "uint16", "float32"]),
    st.integers(1, 6),
    st.tuples(st.integers(1, 3), st.integers(6, 20), st.integers(6, 20)),
    st.integers(0, 2**32 - 1),
)
def test_pooling_equals_the_slow_mean(dtype, downsample, shape, seed):
    """Pooled means equal the mean of each whole square to the last bit; the rest at the edges is dropped."""
    stack = (np.random.default_rng(seed).random(shape) * 65535).astype(dtype)
    np.testing.assert_array_equal(means(pool(stack, downsample), downsample), pool_slowly(stack, downsample))


@pytest.mark.parametrize(
    ("pixels", "downsample", "stored"),
    [
        ("uint8", 1, "uint8"),
        ("uint8", 2, "uint16"),
        ("uint8", 16, "uint16"),
        ("uint8", 17, "uint32"),
        ("uint16", 1, "uint16"),
        ("uint16", 2, "uint32"),
        ("uint16", 256, "uint32"),
        ("uint16", 257, "uint64"),
        ("float32", 4, "float32"),
    ],
)
def test_sums_are_stored_in_the_smallest_type_that_holds_them(pixels, downsample, stored):
    """The stored type is the smallest unsigned one that holds a square of saturated pixels."""
    assert pooled_dtype(pixels, downsample) == stored


@pytest.mark.parametrize("downsample", [1, 2, 4, 8])
def test_documented_size_of_rxrx2_is_what_would_be_stored(downsample):
    """docs/datasets.md gives the size that 791,718 pooled files of 1024 x 1024 uint8 take."""
    side, dtype = 1024 // downsample, pooled_dtype("uint8", downsample)
    size_gib = 791_718 * side**2 * dtype.itemsize / 2**30
    text = Path(__file__).parents[3].joinpath("docs", "datasets.md").read_text("utf-8")
    assert f"| {downsample} | 6 x {side} x {side} {dtype} | {size_gib:.0f} GiB |" in text


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("downsample", [1, 4, 17])
def test_saturated_squares_do_not_overflow(dtype, downsample):
    """A saturated field pools to its saturated value."""
    top = np.iinfo(dtype).max
    stack = np.full((1, downsample, downsample), top, dtype)
    assert means(pool(stack, downsample), downsample).item() == top
