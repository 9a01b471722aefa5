"""Stacks that should be flagged are what they are called."""

import numpy as np
import pytest

from phenotrain.corruptions import CORRUPTIONS


@pytest.fixture(params=["uint8", "uint16", "float32"])
def stack(request):
    """Six stains of different brightness, sides odd."""
    rng = np.random.default_rng(0)
    values = rng.gamma(2.0, 6.0, (6, 65, 71)) * np.arange(1, 7).reshape(6, 1, 1)
    return values.clip(0, 255).astype(request.param)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_keeps_shape_and_type_and_changes_the_stack(name, stack):
    """What comes out could have come from the same microscope, and is not what went in."""
    spoilt = CORRUPTIONS[name](stack, np.random.default_rng(1))
    assert (spoilt.shape, spoilt.dtype) == (stack.shape, stack.dtype)
    assert np.isfinite(spoilt).all()
    assert (spoilt != stack).mean() > 0.15  # a stain of six, less the pixels that happen to be equal


def test_a_blank_stack_has_no_contrast(stack):
    """Every stain of a blank stack has one value."""
    assert (np.ptp(CORRUPTIONS["blank"](stack, np.random.default_rng(0)), axis=(1, 2)) == 0).all()


def test_half_of_a_saturated_stain_stands_at_the_top(stack):
    """About half of the pixels of every stain have its largest value."""
    spoilt = CORRUPTIONS["saturated"](stack, np.random.default_rng(0))
    share = (spoilt == spoilt.max(axis=(1, 2), keepdims=True)).mean(axis=(1, 2))
    assert (share >= 0.49).all()
    assert (share < 0.95).all()


def test_shuffled_stains_all_move(stack):
    """No stain keeps its place, and none is lost."""
    for seed in range(20):
        spoilt = CORRUPTIONS["shuffled channels"](stack, np.random.default_rng(seed))
        assert all((spoilt[channel] != stack[channel]).any() for channel in range(6))
        assert {channel.tobytes() for channel in spoilt} == {channel.tobytes() for channel in stack}


def test_out_of_focus_keeps_the_brightness(stack):
    """Blur spreads light and loses none of it, to within 2 % of a stain's mean and the rounding of its pixels."""
    spoilt = CORRUPTIONS["out of focus"](stack, np.random.default_rng(0)).astype(float)
    np.testing.assert_allclose(
        spoilt.mean(axis=(1, 2)), stack.astype(float).mean(axis=(1, 2)), rtol=0.02, atol=0.5
    )
    assert (spoilt.std(axis=(1, 2)) < 0.3 * stack.std(axis=(1, 2))).all()
