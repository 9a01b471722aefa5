"""Which planes of the open layers can be channels, and the stack that the chosen ones make."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Shaped

from phenoclient.errors import StackArgumentError
from phenoclient.images import PIXEL_TYPES
from phenoclient.napari.placement import Place, place_of
from phenoclient.napari.viewer import ImageLayer, LabelLayer, Layer

MAX_PLANES = 32  # of a layer; one that has more is a time series or a volume
_ONE_FIELD = "Open the channels at one depth and one time point."
_DEPTH_OR_TIME = {"z", "depth", "slice", "slices", "zstep", "t", "time", "timepoint", "frame", "frames"}


@dataclass(frozen=True, eq=False)
class Plane:
    """One plane `(y, x)` of an image layer.

    Attributes:
        name: The layer's name; with the plane's index where the layer has several.
        layer: The layer's name.
        image: The layer's array at full resolution, `(…, y, x)`; may be lazy.
        index: Where the plane is along the axes before y and x; empty where there are none.
        place: Where it lies.
    """

    name: str
    layer: str
    image: Any
    index: tuple[int, ...]
    place: Place

    @property
    def described(self) -> str:
        """Size and pixel type in words."""
        height, width = self.image.shape[-2:]
        return f"{width} x {height} px {np.dtype(self.image.dtype).name}"

    def read(self) -> Shaped[np.ndarray, "y x"]:
        """Its pixels; computes them where the layer is lazy."""
        return np.asarray(self.image[self.index] if self.index else self.image)


def planes_of(layers: Sequence[Layer]) -> tuple[list[Plane], list[str]]:
    """The planes that a stain may be, and why some layers hold none.

    Axes of length 1 before y and x count for nothing; one longer axis before them is that of the channels, unless it
    is long or its label says that it is depth or time.

    Args:
        layers: Layers of any kind, in the order in which their planes shall be offered.

    Returns:
        The planes, and a sentence for each layer of pixels that cannot be a channel. Layers of points, shapes and the
        like are passed over.
    """
    planes: list[Plane] = []
    left_out: list[str] = []
    for layer in layers:
        if isinstance(layer, LabelLayer):
            left_out.append(
                f"'{layer.name}' is a layer of labels. They number objects; expected intensities."
            )
        if not isinstance(layer, ImageLayer):
            continue
        fault = _fault_of(layer)
        if fault is None:
            planes += _planes_of_one(layer)
        else:
            left_out.append(f"'{layer.name}' {fault}")
    return planes, left_out


def _planes_of_one(layer: ImageLayer) -> list[Plane]:
    image, place = _finest(layer), place_of(layer)
    leading = image.shape[:-2]
    indices = list(np.ndindex(*leading))
    if len(indices) == 1:
        return [Plane(layer.name, layer.name, image, indices[0], place)]
    return [
        Plane(f"{layer.name} [{count}]", layer.name, image, index, place)
        for count, index in enumerate(indices)
    ]


def _fault_of(layer: ImageLayer) -> str | None:
    """Why an image layer holds no channels, and what to do; None where it may."""
    if layer.rgb:
        return "is an RGB image. Colours are no stains: open the channels, or split the colours by Split RGB."
    shape = _finest(layer).shape
    if layer.ndim < 2 or 0 in shape:
        return f"has the shape {shape}. Expected pixels along y and x."
    longer = [axis for axis in range(layer.ndim - 2) if shape[axis] > 1]
    told = [axis for axis in longer if str(layer.axis_labels[axis]).casefold() in _DEPTH_OR_TIME]
    if told:
        label = layer.axis_labels[told[0]]
        return f"has {shape[told[0]]} planes along its axis '{label}'. {_ONE_FIELD}"
    if len(longer) > 1:
        return f"has the shape {shape}: {len(longer)} axes before y and x are longer than 1. {_ONE_FIELD}"
    if longer and shape[longer[0]] > MAX_PLANES:
        return f"has {shape[longer[0]]} planes, so they are taken for depth or time. {_ONE_FIELD}"
    return None


def _finest(layer: ImageLayer) -> Any:
    return layer.data[0] if layer.multiscale else layer.data


def check(chosen: Mapping[str, Plane | None]) -> list[Plane]:
    """The planes of a stack, once it is certain that they make one.

    Args:
        chosen: Plane of every stain, in the bundle's order; None where none was chosen.

    Raises:
        StackArgumentError: If a stain has no plane, two stains have the same, or the planes differ in size, pixel type
            or place, or have pixels that cannot be sent.
    """
    planes = {stain: plane for stain, plane in chosen.items() if plane is not None}
    lacking = [stain for stain in chosen if stain not in planes]
    if lacking:
        raise StackArgumentError(
            f"No layer is chosen for {', '.join(lacking)}. Expected one for every stain of the bundle."
        )
    stain_of: dict[str, str] = {}
    for stain, plane in planes.items():
        if plane.name in stain_of:
            raise StackArgumentError(
                f"{plane.name!r} is chosen for {stain_of[plane.name]} and for {stain}. Expected a layer of its own for "
                "every stain."
            )
        stain_of[plane.name] = stain
    first, *others = planes.values()
    if np.dtype(first.image.dtype).name not in PIXEL_TYPES:
        raise StackArgumentError(
            f"{first.name!r} is {first.described}. Expected {', '.join(PIXEL_TYPES)}: the intensities as the "
            "microscope wrote them. Add the layer again with its data converted by astype."
        )
    for plane in others:
        if plane.described != first.described:
            raise StackArgumentError(
                f"{plane.name!r} is {plane.described}, but {first.name!r} is {first.described}. Expected channels of "
                "one field, of the same size and pixel type."
            )
        if not plane.place.agrees_with(first.place):
            raise StackArgumentError(
                f"{plane.name!r} and {first.name!r} lie at different places. Expected channels of one field, whose "
                "layers have the same scale, translation and rotation."
            )
    return [first, *others]


def read_stack(planes: Sequence[Plane]) -> Shaped[np.ndarray, "channel y x"]:
    """The stack of planes that `check` has passed, `(channel, y, x)`."""
    return np.stack([plane.read() for plane in planes])
