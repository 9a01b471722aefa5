import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phenoclient.napari.placement import Place, place_of

pytestmark = pytest.mark.filterwarnings(
    "ignore::pydantic.warnings.PydanticDeprecatedSince20"  # napari's and npe2's models
)

lengths = st.floats(0.01, 100)
offsets = st.floats(-10_000, 10_000)
turns = st.floats(-np.pi, np.pi)


def rotation(angle: float) -> np.ndarray:
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, -sine], [sine, cosine]])


@st.composite
def places(draw) -> Place:
    affine = np.eye(3)
    affine[:2, :2] = rotation(draw(turns)) * draw(lengths)
    affine[:2, 2] = draw(offsets), draw(offsets)
    return Place(
        scale=np.array([draw(lengths), draw(lengths)]),
        translate=np.array([draw(offsets), draw(offsets)]),
        rotate=rotation(draw(turns)),
        shear=np.array([[1.0, draw(st.floats(-1, 1))], [0.0, 1.0]]),
        affine=affine,
    )


def corners(height: int, width: int) -> np.ndarray:
    """The corners of an image, in its pixels, `(4, 2)`."""
    return np.array([(y, x) for y in (-0.5, height - 0.5) for x in (-0.5, width - 0.5)])


def pixel_of(place: Place) -> float:
    """A pixel's shorter side in world units, or less."""
    matrix = place.affine[:2, :2] @ place.rotate @ place.shear @ np.diag(place.scale)
    return np.linalg.svd(matrix, compute_uv=False)[-1]


@given(places(), st.integers(1, 64), st.integers(1, 64), st.integers(1, 40), st.integers(1, 40))
def test_corners_coincide_where_cells_fill_the_field(place, cell_y, cell_x, num_y, num_x):
    """The corners of the map lie on those of its field, within a millionth of a pixel and rounding."""
    cell_px = (float(cell_y), float(cell_x))
    field = place.world(corners(num_y * cell_y, num_x * cell_x))
    heatmap = place.of_cells(cell_px).world(corners(num_y, num_x))
    rounding = 1e-14 * np.abs(field).max()
    assert np.abs(field - heatmap).max() <= 1e-6 * pixel_of(place) + rounding * 100


@given(places(), st.floats(1, 64), st.floats(1, 64), st.integers(0, 63), st.integers(0, 63))
def test_a_cell_covers_its_pixels(place, cell_y, cell_x, row, column):
    """Cell i begins where pixel `i * cell_px` does: what the encoder drops at the far edges stays bare."""
    cell_px = np.array([cell_y, cell_x])
    index = np.array([[row, column]])
    first_pixel = place.world(index * cell_px - 0.5)
    cell = place.of_cells((cell_y, cell_x)).world(index - 0.5)
    rounding = 1e-12 * np.abs(first_pixel).max()
    assert np.abs(first_pixel - cell).max() <= 1e-6 * pixel_of(place) + rounding


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None)
@given(places())
def test_napari_places_a_layer_as_we_do(place):
    """A napari layer made with a place's arguments maps pixels as the place does, and gives the place back."""
    from napari.layers import Image

    layer = Image(np.zeros((5, 7)), **place.arguments())
    points = np.array([[-0.5, -0.5], [4.5, -0.5], [4.5, 6.5], [0.0, 0.0]])
    expected = place.world(points)
    found = np.array([layer.data_to_world(point) for point in points])
    tolerance = 1e-9 * (1 + np.abs(expected).max())
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)
    np.testing.assert_allclose(place_of(layer).world(points), expected, rtol=0, atol=tolerance)
    assert place_of(layer).agrees_with(place)


def test_the_last_two_axes_are_the_fields():
    """The place of a layer `(channel, y, x)` is that of its planes; the channel axis has no part in it."""
    from napari.layers import Image

    flat = Image(np.zeros((5, 7)), scale=(2, 3), translate=(10, 20), affine=[[1, 0, 4], [0, 1, 5], [0, 0, 1]])
    deep_affine = np.eye(4)
    deep_affine[1:3, 3] = 4, 5
    deep = Image(np.zeros((6, 5, 7)), scale=(9, 2, 3), translate=(8, 10, 20), affine=deep_affine)
    assert place_of(deep).agrees_with(place_of(flat))


def test_a_shift_of_a_pixel_is_another_place():
    """Places agree only where pixels do: a scale, a translation or a rotation of its own tells them apart."""
    from napari.layers import Image

    image = np.zeros((5, 7))
    base = place_of(Image(image, scale=(0.65, 0.65)))
    assert base.agrees_with(base)
    for other in ({"scale": (0.65, 0.66)}, {"translate": (0, 0.65)}, {"rotate": 1}):
        assert not place_of(Image(image, **({"scale": (0.65, 0.65)} | other))).agrees_with(base)
