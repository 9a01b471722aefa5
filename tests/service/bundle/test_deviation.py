"""How much a channel must vary, by the bundle's format."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phenoserve.bundle import channel_deviations, read_bundle
from phenoserve.bundle.deviation import (
    LEAST_DEVIATION,
    LEAST_DEVIATION_OVER_FLOOR,
    SCALE_FREE_SINCE,
    least_deviation,
)

GOLDEN = sorted((Path(__file__).parents[2] / "golden").glob("format-*"))


@given(st.integers(1, 4), st.integers(8, 400), st.integers(8, 600), st.floats(-1e9, 1e9))
@settings(max_examples=50, deadline=None)
def test_the_deviation_is_that_of_the_pooled_channel(side, height, width, offset):
    """It is the standard deviation of whole squares' means, whatever is added to all pixels."""
    stack = np.random.default_rng(height * width).integers(0, 4096, (2, height, width)).astype(np.float64)
    whole = stack[:, : height // side * side, : width // side * side]
    squares = whole.reshape(2, height // side, side, width // side, side).mean(axis=(2, 4))
    expected = squares.std(axis=(1, 2))
    np.testing.assert_allclose(channel_deviations(stack, side), expected, rtol=1e-9)
    np.testing.assert_allclose(channel_deviations(stack + round(offset), side), expected, rtol=1e-9)


@pytest.mark.parametrize("value", [0.0, 0.1, 1.0, 1e9, 3.3e-13])
def test_a_constant_channel_deviates_by_nothing(value):
    """Where all pixels are equal the deviation is 0 exactly."""
    assert channel_deviations(np.full((1, 257, 253), value, np.float32), 3).tolist() == [0.0]


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.name)
def test_the_format_says_the_limit(path):
    """Bundles of formats before 7 need a quarter of a grey level, later ones next to nothing."""
    bundle = read_bundle(path)
    is_old = bundle.manifest.format_version < SCALE_FREE_SINCE
    assert bundle.least_deviation == (LEAST_DEVIATION_OVER_FLOOR if is_old else LEAST_DEVIATION)


def test_a_bundle_that_learned_from_small_floats_takes_them():
    """Where the bundle's own golden stacks are floats below the limit for a floor, that limit is not its own."""
    grey = np.random.default_rng(0).integers(0, 255, (2, 64, 64))
    small, large = (grey / 255).astype(np.float32), grey.astype(np.float32)
    blank = np.zeros_like(small)
    assert least_deviation(6, [small], 2) == LEAST_DEVIATION
    for stacks in ([large], [blank], [grey.astype(np.uint8)], [(grey > 300).astype(np.uint16)]):
        assert least_deviation(6, stacks, 2) == LEAST_DEVIATION_OVER_FLOOR


def test_another_precision_keeps_the_limit():
    """The graph of lower precision of a bundle has the bundle's limit."""
    bundle = read_bundle(GOLDEN[-2])
    assert dataclasses.replace(bundle).at("int8").least_deviation == bundle.least_deviation
