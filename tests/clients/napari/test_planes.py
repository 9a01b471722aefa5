import io
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from phenoclient import StackArgumentError
from phenoclient.images import tiff_of
from phenoclient.napari.placement import Place
from phenoclient.napari.planes import MAX_PLANES, Plane, check, planes_of, read_stack

pytestmark = pytest.mark.filterwarnings(
    "ignore::pydantic.warnings.PydanticDeprecatedSince20"  # napari's and npe2's models
)

ONE_FIELD = "Open the channels at one depth and one time point."
PLACE = Place(np.ones(2), np.zeros(2), np.eye(2), np.eye(2), np.eye(3))


def plane(name: str, image: np.ndarray, place: Place = PLACE) -> Plane:
    return Plane(name, name, image, (), place)


@pytest.fixture
def chosen() -> dict[str, Plane | None]:
    images = np.arange(3 * 4 * 5, dtype=np.uint16).reshape(3, 4, 5)
    return {
        stain: plane(f"layer {stain}", image)
        for stain, image in zip(("DNA", "ER", "RNA"), images, strict=True)
    }


def test_planes_make_a_stack_in_the_order_of_the_stains(chosen):
    """The stack holds each stain's plane at the stain's place, with its pixels and their type."""
    stack = read_stack(check(chosen))
    assert stack.dtype == np.uint16
    np.testing.assert_array_equal(stack, np.arange(60).reshape(3, 4, 5))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda chosen: chosen | {"ER": None}, "No layer is chosen for ER"),
        (lambda chosen: chosen | {"ER": chosen["DNA"]}, "'layer DNA' is chosen for DNA and for ER"),
        (
            lambda chosen: chosen | {"ER": plane("e", np.zeros((4, 6), np.uint16))},
            "'e' is 6 x 4 px uint16, but",
        ),
        (
            lambda chosen: chosen | {"ER": plane("e", np.zeros((4, 5), np.uint8))},
            "'e' is 5 x 4 px uint8, but",
        ),
        (
            lambda chosen: {stain: plane(stain, np.zeros((4, 5))) for stain in chosen},
            "'DNA' is 5 x 4 px float64. Expected uint8, uint16, float32",
        ),
        (
            lambda chosen: chosen | {"ER": replace(chosen["ER"], place=replace(PLACE, translate=np.ones(2)))},
            "'layer ER' and 'layer DNA' lie at different places",
        ),
    ],
)
def test_what_makes_no_stack_is_named(chosen, spoil, message):
    """A missing, repeated, differing or unsendable plane is refused by its name."""
    with pytest.raises(StackArgumentError, match=message):
        check(spoil(chosen))


def test_the_planes_that_are_offered():
    """Images of y, x and at most one short axis longer than 1 are offered; other pixels are named with a reason."""
    from napari.layers import Image, Labels, Points

    pixels = np.arange(2 * 4 * 5, dtype=np.uint8).reshape(2, 4, 5)
    layers = [
        Image(pixels[0], name="flat"),
        Image(pixels, name="deep"),
        Image([np.tile(pixels[0], (4, 4)), pixels[0]], name="pyramid", multiscale=True),
        Image(np.zeros((4, 5, 3), np.uint8), name="colour", rgb=True),
        Image(np.zeros((MAX_PLANES + 1, 4, 5), np.uint8), name="volume"),
        Image(np.zeros((2, 2, 4, 5), np.uint8), name="series"),
        Image(np.zeros((3, 4, 5), np.uint8), name="depth", axis_labels=("Z", "y", "x")),
        Labels(pixels[0].astype(int), name="labels"),
        Points(np.zeros((3, 2)), name="points"),
    ]
    planes, left_out = planes_of(layers)
    assert left_out == [
        "'colour' is an RGB image. Colours are no stains: open the channels, or split the colours by Split RGB.",
        f"'volume' has {MAX_PLANES + 1} planes, so they are taken for depth or time. {ONE_FIELD}",
        f"'series' has the shape (2, 2, 4, 5): 2 axes before y and x are longer than 1. {ONE_FIELD}",
        f"'depth' has 3 planes along its axis 'Z'. {ONE_FIELD}",
        "'labels' is a layer of labels. They number objects; expected intensities.",
    ]
    assert [plane.name for plane in planes] == ["flat", "deep [0]", "deep [1]", "pyramid"]
    np.testing.assert_array_equal(planes[2].read(), pixels[1])
    assert planes[3].described == "20 x 16 px uint8"


@pytest.mark.parametrize("num_leading", [1, 2, 3])
def test_axes_of_length_one_count_for_nothing(num_leading):
    """A layer `(1, 1, y, x)` is the plane that it holds, and lies where the same layer `(y, x)` lies."""
    from napari.layers import Image

    pixels = np.arange(20, dtype=np.uint16).reshape(4, 5)
    leading = (1,) * num_leading
    deep = Image(
        pixels.reshape(*leading, 4, 5),
        name="DNA",
        scale=(*([7.0] * num_leading), 0.65, 0.5),
        translate=(*([3.0] * num_leading), 10.0, -4.0),
        axis_labels=("t", "c", "z", "y", "x")[3 - num_leading :],
    )
    flat = Image(pixels, name="DNA", scale=(0.65, 0.5), translate=(10.0, -4.0))
    ((plane, like), left_out) = planes_of([deep, flat])
    assert left_out == []
    assert (plane.name, plane.described) == (like.name, like.described)
    np.testing.assert_array_equal(plane.read(), pixels)
    assert plane.place.agrees_with(like.place)


@pytest.mark.parametrize("shape", [(1, 3, 4, 5), (3, 1, 4, 5), (1, 3, 1, 4, 5)])
@pytest.mark.parametrize("is_lazy", [False, True])
def test_the_one_long_axis_is_that_of_the_channels(shape, is_lazy):
    """A layer `(1, c, 1, y, x)` holds c planes, each with its own pixels, in memory or not."""
    import dask.array
    from napari.layers import Image

    pixels = np.arange(60, dtype=np.uint16)
    image = dask.array.from_array(pixels.reshape(shape)) if is_lazy else pixels.reshape(shape)
    planes, left_out = planes_of([Image(image, name="field")])
    assert (left_out, [plane.name for plane in planes]) == ([], ["field [0]", "field [1]", "field [2]"])
    for plane, expected in zip(planes, pixels.reshape(3, 4, 5), strict=True):
        np.testing.assert_array_equal(plane.read(), expected)


def test_a_layer_split_along_its_channel_axis_is_a_plane_a_channel():
    """What napari makes of `add_image(stack, channel_axis=0)` is offered layer by layer."""
    from napari.components import ViewerModel

    viewer = ViewerModel()
    stack = np.arange(2 * 4 * 5, dtype=np.uint8).reshape(2, 1, 4, 5)
    viewer.add_image(stack, channel_axis=0, name=["DNA", "ER"])
    planes, left_out = planes_of(list(viewer.layers))
    assert (left_out, [plane.name for plane in planes]) == ([], ["DNA", "ER"])
    np.testing.assert_array_equal(read_stack(planes), stack[:, 0])


def test_big_endian_pixels_are_sent_with_their_values():
    """Pixels of the other byte order, as readers of old formats leave them, reach the TIFF unchanged."""
    stack = np.arange(40, dtype=">u2").reshape(2, 4, 5)
    planes = check({stain: plane(stain, channel) for stain, channel in zip("AB", stack, strict=True)})
    sent = tifffile.imread(io.BytesIO(tiff_of(read_stack(planes))))
    assert sent.dtype == np.uint16
    np.testing.assert_array_equal(sent, stack)


def test_a_lazy_layer_is_read_when_it_is_sent():
    """A layer whose pixels are computed on demand gives them to the stack, not to the check."""
    import dask.array

    computed = []

    def compute(block: np.ndarray) -> np.ndarray:
        computed.append(block.shape)
        return block + 1

    lazy = dask.array.zeros((4, 5), dtype=np.uint8, chunks=(4, 5)).map_blocks(
        compute, dtype=np.uint8, meta=np.uint8()
    )
    (checked,) = check({"DNA": plane("lazy", lazy)})
    assert computed == []
    np.testing.assert_array_equal(read_stack([checked]), np.ones((1, 4, 5)))
