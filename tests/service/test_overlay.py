"""The overlay's laws: where heat is drawn, what stays untouched, and every size and kind of stack."""

import io
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from phenoserve.overlay import colours, heatmap_at_field_size, render_overlay
from phenoserve.overlay.layout import Box, plan

STAINS = tuple(f"stain {index}" for index in range(12))
CELL_PX = 32
SWATCHES_END = 40


def stack_of(num_channels=3, height=128, width=160, dtype="uint8"):
    generator = np.random.default_rng(num_channels)
    return generator.integers(5, 200, (num_channels, height, width)).astype(dtype)


def hot(shape, *places):
    heatmap = np.zeros(shape, np.float32)
    for place in places:
        heatmap[place] = 0.25
    return heatmap


def drawn(stack, heatmap, **options):
    png = render_overlay(stack, STAINS[: len(stack)], heatmap, title="a title", **options)
    return np.asarray(Image.open(io.BytesIO(png), formats=["PNG"]).convert("RGB"), dtype=int)


def cut(picture, box):
    return picture[box.top : box.bottom, box.left : box.right]


def panels(layout):
    return (layout.composite, *layout.stains)


@pytest.mark.parametrize(("place", "cell_px"), [((0, 0), None), ((2, 4), None), ((3, 1), CELL_PX)])
def test_a_hot_cell_changes_the_pixels_it_covers_and_none_farther_than_a_cell(place, cell_px):
    """One hot cell changes every panel over that cell and nothing beyond its neighbours' middles."""
    stack = stack_of()
    cold = drawn(stack, hot((4, 5)), cell_px=cell_px)
    warm = drawn(stack, hot((4, 5), place), cell_px=cell_px)
    for box in panels(plan(*stack.shape)):
        changed = np.abs(cut(warm, box) - cut(cold, box)).sum(axis=-1)
        cell = box.height / 4, box.width / 5
        y, x = (
            (np.arange(n) + 0.5) / size - at - 0.5
            for n, size, at in zip(changed.shape, cell, place, strict=True)
        )
        distance = np.maximum(np.abs(y)[:, np.newaxis], np.abs(x))
        assert changed[distance < 0.25].min() > 0
        assert changed[distance > 1.1].max() == 0
        assert changed[distance < 0.25].mean() > 3 * changed[(distance > 0.75) & (distance < 1)].mean()


def test_heat_leaves_title_and_labels_alone():
    """Above the legend, two heatmaps of the same greatest value differ inside the panels only."""
    stack = stack_of()
    layout = plan(*stack.shape)
    one, other = (drawn(stack, hot((4, 5), place)) for place in ((0, 0), (3, 4)))
    outside = np.any(one != other, axis=-1)
    for box in panels(layout):
        outside[box.top : box.bottom, box.left : box.right] = False
    assert not outside.any()


def test_without_heat_every_panel_is_its_stain():
    """A heatmap of zeros leaves grey stains and the composite's colours, stretched and nothing more."""
    stack = stack_of()
    picture, layout = drawn(stack, hot((4, 5))), plan(*stack.shape)
    large = layout.composite
    stretched = [colours.stretch(colours.resize(plane, large.width, large.height)) for plane in stack]
    assert np.abs(cut(picture, large) - colours.composite(stretched)).max() <= 1
    for plane, box in zip(stretched, layout.stains, strict=True):
        expected = colours.grey(colours.resize(plane, box.width, box.height))
        assert np.abs(cut(picture, box) - expected).max() <= 1


def test_a_blank_channel_is_black_and_leaves_the_others_as_they_are():
    """A channel of one value is drawn black; the panels of the other stains do not change."""
    stack = stack_of()
    blank = stack.copy()
    blank[1] = 77
    layout = plan(*stack.shape)
    before, after = drawn(stack, hot((4, 5))), drawn(blank, hot((4, 5)))
    assert cut(after, layout.stains[1]).max() == 0
    for index in (0, 2):
        assert np.array_equal(cut(before, layout.stains[index]), cut(after, layout.stains[index]))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_the_type_and_scale_of_the_pixels_do_not_matter(dtype):
    """The same intensities, times a constant, give the same picture in every data type."""
    reference = drawn(stack_of(), hot((4, 5), (1, 1)))
    factor = {"uint8": 1, "uint16": 256, "float32": 2.0**-10}[dtype]
    stack = (stack_of().astype("float64") * factor).astype(dtype)
    assert np.abs(drawn(stack, hot((4, 5), (1, 1))) - reference).max() <= 1


@pytest.mark.parametrize("value", [1e-45, 1e-38, 1.0, 3e38])
def test_only_the_proportions_of_a_heatmap_show_in_the_panels(value):
    """A heatmap times any positive number, however small or large, colours the panels the same."""
    stack = stack_of()
    pictures = [
        drawn(stack, np.where(hot((4, 5), (2, 2)) > 0, np.float32(v), np.float32(0))) for v in (1.0, value)
    ]
    for box in panels(plan(*stack.shape)):
        assert np.array_equal(cut(pictures[0], box), cut(pictures[1], box))


@pytest.mark.parametrize("extreme", [3e38, -3e38])
def test_extreme_pixels_are_drawn(extreme):
    """Pixels at the ends of float32 are drawn without overflow."""
    stack = stack_of(dtype="float32")
    stack[0, ::2] = extreme
    assert drawn(stack, hot((4, 5), (0, 0))).ndim == 3


@pytest.mark.parametrize(
    ("num_channels", "shape"),
    [
        (1, (32, 32)),
        (2, (33, 70)),
        (6, (32, 900)),
        (7, (900, 32)),
        (12, (130, 131)),
        (12, (32, 2000)),
        (1, (300, 40)),
    ],
)
def test_every_size_and_number_of_channels_is_drawn(num_channels, shape):
    """From 32 pixels and 1 channel to 12, long or wide, the picture is a PNG of sensible size."""
    stack = stack_of(num_channels, *shape)
    picture = drawn(stack, hot((max(1, shape[0] // 32), max(1, shape[1] // 32)), (0, 0)))
    assert min(picture.shape[:2]) > 200
    assert max(picture.shape[:2]) < 4000


def test_a_field_of_a_real_camera_makes_a_file_of_one_and_a_half_megabytes_at_most():
    """Six channels of 1080 by 1080 pixels, smooth cells under camera noise, stay below 1.5 MB."""
    generator = np.random.default_rng(0)
    cells = np.kron(generator.integers(200, 2000, (6, 36, 36)), np.ones((30, 30)))
    stack = generator.poisson(cells).astype("uint16")
    assert len(render_overlay(stack, STAINS[:6], hot((8, 8), (2, 5)), title="t")) < 1.5e6


def test_the_same_arguments_give_the_same_bytes():
    """The PNG depends on its arguments alone."""
    one, two = (
        render_overlay(stack_of(), STAINS[:3], hot((4, 5), (1, 1)), title="a title") for _ in range(2)
    )
    assert one == two


def test_words_of_any_length_fit():
    """Long, empty and multi-line titles and names change neither the size nor the panels."""
    stack, heatmap = stack_of(), hot((4, 5))
    short = render_overlay(stack, ("a", "b", "c"), heatmap, title="")
    long = render_overlay(stack, ("long " * 50, "", "x\ny"), heatmap, title="word\n" * 300)
    one, two = (np.asarray(Image.open(io.BytesIO(png))) for png in (short, long))
    for box in panels(plan(*stack.shape)):
        assert np.array_equal(cut(one, box), cut(two, box))
    assert one.shape == two.shape


@pytest.mark.parametrize("names", [(), STAINS[:2], STAINS[:4]])
def test_names_that_do_not_fit_the_channels_are_refused(names):
    """A stack is drawn only with exactly one name a channel."""
    with pytest.raises(ValueError, match="one stain name a channel"):
        render_overlay(stack_of(), names, hot((4, 5)), title="t")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_heatmap_that_is_not_finite_is_refused(value):
    """NaN and infinity are refused, in the picture and in the map."""
    heatmap = np.full((2, 2), value, np.float32)
    with pytest.raises(ValueError, match="finite"):
        render_overlay(stack_of(), STAINS[:3], heatmap, title="t")
    with pytest.raises(ValueError, match="finite"):
        heatmap_at_field_size(heatmap, 64, 64)


def overlap(one: Box, two: Box) -> bool:
    across = one.left < two.right and two.left < one.right
    return across and one.top < two.bottom and two.top < one.bottom


@given(st.integers(1, 12), st.integers(32, 3000), st.integers(32, 3000))
def test_panels_lie_apart_inside_the_picture(num_stains, height, width):
    """No two panels overlap, none leaves the picture, and each keeps the field's proportions."""
    layout = plan(num_stains, height, width)
    boxes = panels(layout)
    assert len(layout.stains) == num_stains
    assert not any(overlap(one, two) for one, two in combinations(boxes, 2))
    for box in boxes:
        assert box.left >= 0
        assert box.top >= 0
        assert box.right <= layout.width
        assert box.bottom <= layout.legend_top
        assert abs(box.width - box.height * width / height) <= 1 + width / height


@pytest.mark.parametrize(("size", "cell_px"), [((96, 160), None), ((110, 170), 32)])
def test_a_cell_s_value_stands_at_the_middle_of_the_pixels_it_covers(size, cell_px):
    """The four pixels about the middle of a cell lie within one pixel's slope of its value."""
    heatmap = np.random.default_rng(0).uniform(0, 1, (3, 5)).astype(np.float32)
    field = heatmap_at_field_size(heatmap, *size, cell_px=cell_px)
    rows, columns = np.arange(3) * 32 + 16, np.arange(5) * 32 + 16
    for dy, dx in ((0, 0), (0, 1), (1, 0), (1, 1)):
        assert np.abs(field[np.ix_(rows - dy, columns - dx)] - heatmap).max() < 1 / 32


@given(st.integers(1, 9), st.integers(1, 200), st.floats(0, 1e6, width=32))
def test_a_constant_heatmap_stays_constant(num_cells, size, value):
    """Enlarging adds no values: a constant map is that constant at every size."""
    heatmap = np.full((num_cells, 1), value, np.float32)
    field = heatmap_at_field_size(heatmap, size, size + 1)
    assert field.shape == (size, size + 1)
    assert field.dtype == np.float32
    assert np.all(field == np.float32(value))


def test_a_ramp_stays_a_ramp():
    """Between the outermost middles a linear map is enlarged to the same line, pixel by pixel."""
    ramp = np.arange(8, dtype=np.float32)[np.newaxis]
    field = heatmap_at_field_size(ramp, 40, 1080, cell_px=128)
    expected = np.clip((np.arange(1080) + 0.5) / 128 - 0.5, 0, 7)
    assert np.abs(field - expected).max() < 1e-5


def test_cells_of_known_size_do_not_stretch_over_the_rest_of_the_field():
    """With a cell's side given, pixels the encoder dropped take the last cell and shift no other."""
    heatmap = np.random.default_rng(0).uniform(0, 1, (8, 8)).astype(np.float32)
    whole = heatmap_at_field_size(heatmap, 1024, 1024)
    longer = heatmap_at_field_size(heatmap, 1080, 1030, cell_px=128)
    assert np.array_equal(longer[:1024, :1024], whole)
    assert np.array_equal(longer[1024:, :1024], np.broadcast_to(whole[-1], (56, 1024)))


def test_turning_the_heatmap_turns_the_map():
    """Enlarging treats both axes and both directions alike."""
    heatmap = np.random.default_rng(1).uniform(0, 1, (3, 5)).astype(np.float32)
    field = heatmap_at_field_size(heatmap, 90, 151)
    assert np.allclose(heatmap_at_field_size(heatmap.T.copy(), 151, 90), field.T, atol=1e-6)
    assert np.allclose(
        heatmap_at_field_size(heatmap[::-1, ::-1].copy(), 90, 151), field[::-1, ::-1], atol=1e-6
    )


@pytest.mark.parametrize(("height", "width", "cell_px"), [(0, 5, None), (5, 0, None), (5, 5, 0)])
def test_sizes_below_one_pixel_are_refused(height, width, cell_px):
    """A field or a cell of no pixels is refused with the sizes."""
    with pytest.raises(ValueError, match="at least one pixel"):
        heatmap_at_field_size(hot((2, 2)), height, width, cell_px=cell_px)


def bars(picture, num_stains, from_row):
    """First and last column of every stain's bar below a row; none where it has no bar."""
    found = []
    for index in range(num_stains):
        columns = np.argwhere((picture[from_row:] == colours.stain_colour(index)).all(axis=-1))[:, 1]
        beyond_names = columns[columns > SWATCHES_END]
        found.append((beyond_names.min(), beyond_names.max()) if len(beyond_names) else None)
    return found


def test_stain_values_are_drawn_below_and_change_nothing_above():
    """With stain values the picture is higher, and the same down to the legend's end."""
    stack = stack_of()
    plain = drawn(stack, hot((4, 5), (1, 1)))
    more = drawn(stack, hot((4, 5), (1, 1)), stain_values=[1.0, 0.5, -0.25])
    margin = 20
    assert len(more) > len(plain)
    np.testing.assert_array_equal(more[: len(plain) - margin], plain[:-margin])


@pytest.mark.parametrize("values", [(2.0, 1.0, -1.0), (0.2, 0.1, -0.1), (-3.0, -1.5, 1.5), (4.0, 2.0, 1.0)])
def test_the_length_of_a_bar_is_its_value(values):
    """Bars for the treatment reach right of zero and those against it left, as long as their values are large."""
    stack = stack_of()
    num_plain = len(drawn(stack, hot((4, 5), (1, 1))))
    found = bars(drawn(stack, hot((4, 5), (1, 1)), stain_values=values), len(stack), num_plain + 10)
    lengths = np.array([last - first for first, last in found], float)
    np.testing.assert_allclose(lengths, lengths.max() * np.abs(values) / np.abs(values).max(), atol=3)
    ends_of_zero = [first if value > 0 else last for (first, last), value in zip(found, values, strict=True)]
    assert max(ends_of_zero) - min(ends_of_zero) <= 2


def test_stains_that_add_nothing_have_no_bars():
    """Values of zero are drawn as numbers without a bar, and any number of stains at any size is drawn."""
    for num_channels, height, width in ((1, 32, 32), (3, 64, 640), (12, 500, 40)):
        stack = stack_of(num_channels, height, width)
        picture = drawn(stack, hot((1, 1)), stain_values=[0.0] * num_channels)
        num_plain = len(drawn(stack, hot((1, 1))))
        assert len(picture) > num_plain
        assert bars(picture, num_channels, num_plain + 10) == [None] * num_channels


@pytest.mark.parametrize("values", [[1.0, 2.0], [1.0, 2.0, float("nan")], [1.0, 2.0, 3.0, 4.0], []])
def test_stain_values_that_do_not_fit_are_refused(values):
    """Values of another number than the stains, and values that are not finite, are refused."""
    with pytest.raises(ValueError, match="one finite value for each of the 3 stains"):
        drawn(stack_of(), hot((4, 5)), stain_values=values)
