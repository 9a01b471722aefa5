from dataclasses import replace

import numpy as np
import pytest

from phenoclient import StackArgumentError
from phenoclient.napari.placement import Place
from phenoclient.napari.planes import MAX_PLANES, Plane, check, planes_of, read_stack
from phenoclient.napari.viewer import ImageLayer

pytestmark = pytest.mark.filterwarnings(
    "ignore::pydantic.warnings.PydanticDeprecatedSince20"  # napari's and npe2's models
)

PLACE = Place(np.ones(2), np.zeros(2), np.eye(2), np.eye(2), np.eye(3))


def plane(name: str, image: np.ndarray, place: Place = PLACE) -> Plane:
    return Plane(name, name, image, None, place)


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
    """Images of two axes, and of three with a short first, are offered; colour, volumes and other kinds are not."""
    from napari.layers import Image, Labels, Points

    pixels = np.arange(2 * 4 * 5, dtype=np.uint8).reshape(2, 4, 5)
    layers = [
        Image(pixels[0], name="flat"),
        Image(pixels, name="deep"),
        Image([np.tile(pixels[0], (4, 4)), pixels[0]], name="pyramid", multiscale=True),
        Image(np.zeros((4, 5, 3), np.uint8), name="colour", rgb=True),
        Image(np.zeros((MAX_PLANES + 1, 4, 5), np.uint8), name="volume"),
        Image(np.zeros((2, 2, 4, 5), np.uint8), name="series"),
        Labels(pixels[0].astype(int), name="labels"),
        Points(np.zeros((3, 2)), name="points"),
    ]
    planes = planes_of([layer for layer in layers if isinstance(layer, ImageLayer)])
    assert [plane.name for plane in planes] == ["flat", "deep [0]", "deep [1]", "pyramid"]
    np.testing.assert_array_equal(planes[2].read(), pixels[1])
    assert planes[3].described == "20 x 16 px uint8"


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
