"""Which planes of the open layers can be channels, and the stack that the chosen ones make."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Shaped

from phenoclient.errors import StackArgumentError
from phenoclient.images import PIXEL_TYPES
from phenoclient.napari.placement import Place, place_of
from phenoclient.napari.viewer import ImageLayer

MAX_PLANES = 32  # of a layer; one that has more is a time series or a volume


@dataclass(frozen=True, eq=False)
class Plane:
    """One plane `(y, x)` of an image layer.

    Attributes:
        name: The layer's name; with the plane's index where the layer has several.
        layer: The layer's name.
        image: The layer's array at full resolution, `(y, x)` or `(plane, y, x)`; may be lazy.
        index: Which plane of it, along the first axis; None where it has two axes.
        place: Where it lies.
    """

    name: str
    layer: str
    image: Any
    index: int | None
    place: Place

    @property
    def described(self) -> str:
        """Size and pixel type in words."""
        height, width = self.image.shape[-2:]
        return f"{width} x {height} px {np.dtype(self.image.dtype).name}"

    def read(self) -> Shaped[np.ndarray, "y x"]:
        """Its pixels; computes them where the layer is lazy."""
        return np.asarray(self.image if self.index is None else self.image[self.index])


def planes_of(layers: Sequence[ImageLayer]) -> list[Plane]:
    """The planes that a stain may be: of image layers of two axes, or of three where the first is short.

    Args:
        layers: Image layers, in the order in which their planes shall be offered.
    """
    planes: list[Plane] = []
    for layer in layers:
        image = layer.data[0] if layer.multiscale else layer.data
        if layer.rgb or layer.ndim not in {2, 3} or 0 in image.shape:
            continue
        if layer.ndim == 2:
            planes.append(Plane(layer.name, layer.name, image, None, place_of(layer)))
        elif image.shape[0] <= MAX_PLANES:
            place = place_of(layer)
            planes += [
                Plane(f"{layer.name} [{index}]", layer.name, image, index, place)
                for index in range(image.shape[0])
            ]
    return planes


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
            "microscope wrote them."
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
