"""What is noticed of a stack's pixels."""

import numpy as np
import pytest

from phenoserve.stack import find_notices

STAINS = ("DNA", "ER", "RNA")


@pytest.fixture
def stack() -> np.ndarray:
    """Three channels of noise, 100 by 100 pixels."""
    return np.random.default_rng(3).integers(0, 200, (3, 100, 100)).astype(np.uint16)


def noticed(array: np.ndarray) -> list[tuple[str, tuple[str, ...]]]:
    return [(notice.code, notice.channels) for notice in find_notices(array, STAINS)]


def test_nothing_is_noticed_of_noise(stack) -> None:
    """Channels that differ, of many values and below every limit, give no notice."""
    assert noticed(stack) == []


def test_a_dead_channel_is_not_also_saturated_or_repeated(stack) -> None:
    """Channels of one value are dead and nothing else, whatever the value."""
    stack[:2] = 65535
    assert noticed(stack) == [("dead_channel", ("DNA",)), ("dead_channel", ("ER",))]


@pytest.mark.parametrize("limit", [255, 1023, 4095, 16383, 65535])
def test_one_percent_at_a_limit_is_saturated(stack, limit: int) -> None:
    """100 of 10,000 pixels at the limit are noticed, 99 are not."""
    stack[1].flat[:100] = limit
    assert noticed(stack) == [("saturated_channel", ("ER",))]
    stack[1, 0, 0] = 0
    assert noticed(stack) == []


def test_a_maximum_that_is_no_limit_is_no_saturation(stack) -> None:
    """Half of the pixels at 199 or 1000 are bright, not cut off."""
    stack[1].flat[:5000] = 1000
    assert noticed(stack) == []


def test_floats_are_saturated_at_one(stack) -> None:
    """Float pixels scaled to 1 are cut off there; integers of at most 1 are not."""
    scaled = stack.astype(np.float32) / 1000
    scaled[2].flat[:100] = 1
    assert noticed(scaled) == [("saturated_channel", ("RNA",))]
    assert noticed((stack > 100).astype(np.uint8)) == []


def test_channels_that_agree_are_told_together(stack) -> None:
    """A copy, or one of another gain and offset, is the same channel again."""
    stack[2] = stack[0]
    assert noticed(stack) == [("repeated_channel", ("DNA", "RNA"))]
    stack[1] = 3 * stack[0] + 5
    assert noticed(stack) == [("repeated_channel", STAINS)]


@pytest.mark.parametrize("scale", [1e-38, 1.0, 1e37])
def test_the_correlation_decides_at_any_scale(stack, scale: float) -> None:
    """A channel plus noise of variance v correlates by 1 / sqrt(1 + v): 1.0e-4 agrees, 4e-4 does not."""
    generator = np.random.default_rng(0)
    first, noise = generator.normal(size=(2, 100, 100))
    for variance, codes in ((1e-4, ["repeated_channel"]), (4e-4, [])):
        array = np.stack([first, stack[1] / 200, first + np.sqrt(variance) * noise]) * scale
        assert [notice.code for notice in find_notices(array.astype(np.float32), STAINS)] == codes
