"""What the plugin uses of napari's viewer. napari ships no types, so it is met here and nowhere else."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float


@runtime_checkable
class Transform(Protocol):
    """napari's affine transform."""

    @property
    def affine_matrix(self) -> Float[np.ndarray, "row row"]:
        """Homogeneous matrix, one row more than the layer has axes."""
        ...


@runtime_checkable
class Layer(Protocol):
    """A layer of any kind."""

    name: str

    @property
    def metadata(self) -> dict[str, Any]:
        """What plugins and readers keep with the layer."""
        ...


@runtime_checkable
class ImageLayer(Layer, Protocol):
    """A layer of intensities: of napari's kinds, only images have `rgb`."""

    data: Any
    visible: bool
    scale: Any
    translate: Any
    rotate: Any
    shear: Any
    units: Any
    contrast_limits: Any
    axis_labels: Any

    @property
    def rgb(self) -> bool:
        """Whether the last axis is colour."""
        ...

    @property
    def multiscale(self) -> bool:
        """Whether `data` is a sequence of one image at several resolutions, the finest first."""
        ...

    @property
    def ndim(self) -> int:
        """Number of axes, without colour."""
        ...

    @property
    def affine(self) -> Transform:
        """What comes after scale, shear, rotation and translation."""
        ...


@runtime_checkable
class LabelLayer(Layer, Protocol):
    """A layer of numbered objects: of napari's kinds, only labels have `selected_label`."""

    selected_label: int


@runtime_checkable
class Layers(Protocol):
    """The list of layers, the lowest first."""

    def __iter__(self) -> Iterator[Layer]: ...

    def remove(self, value: Any, /) -> None:
        """Takes a layer out of the viewer."""
        ...


@runtime_checkable
class Viewer(Protocol):
    """The viewer that napari passes to a plugin's widget."""

    @property
    def layers(self) -> Layers:
        """All layers, the lowest first."""
        ...

    def add_image(self, data: Any, **arguments: Any) -> Any:
        """Adds an image layer on top."""
        ...


def image_layers(viewer: Viewer) -> Sequence[ImageLayer]:
    """The viewer's image layers, the lowest first."""
    return [layer for layer in viewer.layers if isinstance(layer, ImageLayer)]
