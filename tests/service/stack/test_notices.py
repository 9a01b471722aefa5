"""What is noticed of a stack's pixels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from phenoserve.stack import find_notices

STAINS = ("DNA", "ER", "RNA")


@pytest.fixture
def stack() -> np.ndarray:
    """What `image` draws."""
    return image()


def image() -> np.ndarray:
    """Three channels of blurred noise below 200, as optics blur what they see, 100 by 100 pixels."""
    blurred = gaussian_filter(np.random.default_rng(3).normal(size=(3, 100, 100)), (0, 1, 1))
    return np.clip(100 + 200 * blurred, 1, 199).astype(np.uint16)


def noticed(array: np.ndarray) -> list[tuple[str, tuple[str, ...]]]:
    return [(notice.code, notice.channels) for notice in find_notices(array, STAINS)]


def test_nothing_is_noticed_of_an_image(stack) -> None:
    """Channels that differ, of many values and below every limit, whose neighbours agree, give no notice."""
    assert noticed(stack) == []


NOISES = {
    "uniform": lambda rng, shape: rng.uniform(0, 200, shape),
    "Gaussian": lambda rng, shape: rng.normal(120, 15, shape),
    "Poisson": lambda rng, shape: rng.poisson(5, shape),
    "salt and pepper": lambda rng, shape: rng.choice([0, 100, 200], shape, p=[0.02, 0.96, 0.02]),
    "a checkerboard of single pixels": lambda _, shape: 100.0 * (np.indices(shape).sum(axis=0) % 2) + 50,
}


@pytest.mark.parametrize("kind", NOISES)
@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.sampled_from([(64, 64), (70, 200), (512, 512)]),
    dtype=st.sampled_from(["uint8", "uint16", "float32"]),
)
def test_a_channel_of_noise_is_told_and_unusable(kind, seed, size, dtype) -> None:
    """Pixels that are independent of their neighbours are noise, whatever their distribution, number and type."""
    noise = NOISES[kind](np.random.default_rng(seed), size).astype(dtype)
    notices = find_notices(noise[np.newaxis], STAINS[:1])
    assert [notice.code for notice in notices] == ["noise_channel"]
    assert notices[0].is_unusable
    mixed = np.stack([image()[0], NOISES[kind](np.random.default_rng(seed), (100, 100)).astype(np.uint16)])
    assert [(notice.code, notice.channels) for notice in find_notices(mixed, STAINS[:2])] == [
        ("noise_channel", ("ER",))
    ]


@pytest.mark.parametrize(("share", "is_unusable"), [(0.01, False), (0.49, False), (0.5, True), (0.9, True)])
def test_a_channel_cut_off_in_half_of_its_pixels_is_unusable(stack, share: float, is_unusable: bool) -> None:
    """A little saturation is noticed and usable; from half of the pixels on no cells are left to see."""
    stack[1].flat[: int(share * 10_000)] = 65535
    (notice,) = find_notices(stack, STAINS)
    assert (notice.code, notice.is_unusable) == ("saturated_channel", is_unusable)


def test_dead_and_repeated_channels_are_unusable(stack) -> None:
    """No site is learned from whose channel has one value or is another channel's."""
    stack[0] = 5
    stack[2] = stack[1]
    assert [notice.is_unusable for notice in find_notices(stack, STAINS)] == [True, True]


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
    first, noise = gaussian_filter(generator.normal(size=(2, 100, 100)), (0, 1, 1)) * np.sqrt(4 * np.pi)
    for variance, codes in ((1e-4, ["repeated_channel"]), (4e-4, [])):
        array = np.stack([first, stack[1] / 200, first + np.sqrt(variance) * noise]) * scale
        assert [notice.code for notice in find_notices(array.astype(np.float32), STAINS)] == codes
