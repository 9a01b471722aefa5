"""Stain attribution: exact Shapley values, against the definition and its axioms."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from phenoserve.engine.attribution import MAX_CHANNELS, shapley_values, stain_attribution, subsets

FINITE = st.floats(-100, 100, width=32)


@st.composite
def games(draw, num_games: int = 1):
    """Worths `(2 ** C, 2)` of the subsets of 1 to 5 channels; several of one size."""
    shape = (2 ** draw(st.integers(1, 5)), 2)
    worths = [draw(arrays(np.float64, shape, elements=FINITE)) for _ in range(num_games)]
    return worths if num_games > 1 else worths[0]


def permutation_average(worth: np.ndarray) -> np.ndarray:
    """What each channel adds when it comes, averaged over all orders: the definition, transcribed."""
    num_channels = len(worth).bit_length() - 1
    orders = list(permutations(range(num_channels)))
    added = np.zeros((num_channels, worth.shape[1]))
    for order in orders:
        row = 0
        for channel in order:
            added[channel] += worth[row | 1 << channel] - worth[row]
            row |= 1 << channel
    return added / len(orders)


@settings(deadline=None)
@given(games())
def test_values_are_the_average_over_all_orders(worth):
    """The Shapley values are what a channel adds when it comes, averaged over all orders of the channels."""
    np.testing.assert_allclose(shapley_values(worth), permutation_average(worth), atol=1e-9)


@given(games())
def test_values_sum_to_the_difference(worth):
    """Efficiency: over the channels the values sum to the worth of all less that of none."""
    np.testing.assert_allclose(shapley_values(worth).sum(axis=0), worth[-1] - worth[0], atol=1e-9)


@given(games(num_games=2), FINITE, FINITE)
def test_values_are_linear_in_the_worths(worths, a, b):
    """Linearity: the values of a weighted sum of two games are the weighted sum of their values."""
    one, other = worths
    found = shapley_values(a * one + b * other)
    np.testing.assert_allclose(found, a * shapley_values(one) + b * shapley_values(other), atol=1e-6)


@given(games(), st.data())
def test_a_channel_that_adds_nothing_has_no_value(worth, data):
    """Dummy: a channel that changes the worth of no subset has the value 0; one that always adds d has d."""
    num_channels = len(worth).bit_length() - 1
    channel = data.draw(st.integers(0, num_channels - 1))
    added = data.draw(FINITE)
    present = subsets(num_channels)[:, channel]
    without = worth[np.arange(len(worth)) & ~(1 << channel)]
    found = shapley_values(without + added * present[:, np.newaxis])[channel]
    np.testing.assert_allclose(found, added, atol=1e-9)


@given(games(), st.data())
def test_renaming_the_channels_renames_the_values(worth, data):
    """Symmetry: permuting the channels of a game permutes its values, so that equal channels get equal values."""
    num_channels = len(worth).bit_length() - 1
    order = data.draw(st.permutations(range(num_channels)))
    renamed_rows = subsets(num_channels)[:, order] @ (1 << np.arange(num_channels))
    found, expected = shapley_values(worth[renamed_rows]), shapley_values(worth)
    np.testing.assert_allclose(found, expected[np.argsort(order)], atol=1e-9)


@pytest.mark.parametrize("num_channels", [1, 2, 6, MAX_CHANNELS])
def test_subsets_are_every_one_once_from_none_to_all(num_channels):
    """Subsets are 2^C different rows, the first empty, the last whole, row i the binary digits of i."""
    rows = subsets(num_channels)
    assert (rows.dtype, rows.shape) == (bool, (2**num_channels, num_channels))
    np.testing.assert_array_equal(rows @ (1 << np.arange(num_channels)), np.arange(2**num_channels))


@pytest.mark.parametrize("num_channels", [0, MAX_CHANNELS + 1])
def test_too_many_channels_are_refused(num_channels):
    """No channel, and more than ten, are refused before any pass, saying how many there may be."""

    def no_pass(_):
        raise AssertionError("a pass was made")

    with pytest.raises(ValueError, match=f"1 to {MAX_CHANNELS} channels"):
        subsets(num_channels)
    with pytest.raises(ValueError, match=f"1 to {MAX_CHANNELS} channels"):
        stain_attribution(no_pass, np.zeros((num_channels, 2, 2)))


@pytest.mark.parametrize("values", [np.zeros((3, 1)), np.zeros((0, 1)), np.full((4, 1), np.nan)])
def test_values_that_are_no_game_are_refused(values):
    """Rows that are not every subset, and worths that are not finite, are refused."""
    with pytest.raises(ValueError, match="Expected"):
        shapley_values(values)


WEIGHTS = np.array([[1.0, -2.0], [0.5, 4.0], [-1.5, 0.0]])


def linear(stacks: np.ndarray) -> np.ndarray:
    """Logits that are linear in the channels' means."""
    return stacks.mean(axis=(2, 3)) @ WEIGHTS


def test_a_linear_model_is_attributed_in_closed_form():
    """Linear logits give a stain its weight times its mean over that of the replacements, or over zero."""
    generator = np.random.default_rng(1)
    stack = generator.normal(5, 1, (3, 4, 6))
    replacements = generator.normal(2, 1, (5, 3, 4, 6))
    found = stain_attribution(linear, stack, list(replacements))
    excess = stack.mean(axis=(1, 2)) - replacements.mean(axis=(0, 2, 3))
    np.testing.assert_allclose(found.values, excess[:, np.newaxis] * WEIGHTS, atol=1e-12)
    np.testing.assert_allclose(found.full, linear(stack[np.newaxis])[0], atol=1e-12)
    np.testing.assert_allclose(found.baseline, linear(replacements).mean(axis=0), atol=1e-12)

    found = stain_attribution(linear, stack)
    np.testing.assert_allclose(found.values, stack.mean(axis=(1, 2))[:, np.newaxis] * WEIGHTS, atol=1e-12)
    np.testing.assert_array_equal(found.baseline, [0, 0])


@pytest.mark.parametrize("max_batch_px", [1, 24, 71, 24 * 8, 10**9])
def test_batches_hold_no_more_pixels_than_allowed(max_batch_px):
    """Every pass is made once, in the stack's pixel type, in batches within the limit, which changes no value."""
    stack = np.random.default_rng(2).integers(0, 255, (3, 4, 6)).astype(np.uint8)
    batches = []

    def model(stacks):
        batches.append(stacks)
        return np.sin(linear(stacks))

    found = stain_attribution(model, stack, max_batch_px=max_batch_px)
    assert all(len(batch) * 24 <= max(24, max_batch_px) for batch in batches)
    assert {batch.dtype for batch in batches} == {stack.dtype}
    together = np.concatenate(batches)
    assert len(np.unique(together.reshape(8, -1), axis=0)) == len(together) == 8
    expected = permutation_average(np.sin(linear(stack * subsets(3)[:, :, np.newaxis, np.newaxis])))
    np.testing.assert_allclose(found.values, expected, atol=1e-12)


@pytest.mark.parametrize(
    "replacements", [[], [np.zeros((3, 4, 5))], [np.zeros((3, 4, 6)), np.zeros((2, 4, 6))]]
)
def test_replacements_of_another_shape_are_refused(replacements):
    """No replacement, and one of another shape than the stack, are refused with both shapes."""
    with pytest.raises(ValueError, match=r"replacement.*\(3, 4, 6\)"):
        stain_attribution(linear, np.zeros((3, 4, 6)), replacements)
