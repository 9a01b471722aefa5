"""Where a layer lies in the viewer's world, and where the heatmap of its field does."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from phenoclient.napari.viewer import ImageLayer


@dataclass(frozen=True, eq=False)
class Place:
    """How the pixels of a field map to world coordinates, in napari's terms.

    The middle of pixel `(y, x)` lies at `affine · (rotate · shear · scale · (y, x) + translate)`, so the pixel itself
    covers half a pixel more to each side.

    Attributes:
        scale: World units a pixel along y and x, `(2,)`.
        translate: World position of the middle of pixel (0, 0) before `affine`, `(2,)`.
        rotate: Rotation matrix, `(2, 2)`.
        shear: Upper triangular matrix of ones on its diagonal, `(2, 2)`.
        affine: Homogeneous matrix that comes last, `(3, 3)`.
        units: Units of the world along y and x, as napari keeps them; None for its default.
    """

    scale: Float[np.ndarray, "2"]
    translate: Float[np.ndarray, "2"]
    rotate: Float[np.ndarray, "2 2"]
    shear: Float[np.ndarray, "2 2"]
    affine: Float[np.ndarray, "3 3"]
    units: tuple[Any, ...] | None = None

    def world(self, points_px: Float[np.ndarray, "point 2"]) -> Float[np.ndarray, "point 2"]:
        """World coordinates of points `(y, x)` in pixels, where 0 is the middle of the first pixel."""
        points = points_px @ self._linear().T + self.translate
        return points @ self.affine[:2, :2].T + self.affine[:2, 2]

    def agrees_with(self, other: "Place") -> bool:
        """Whether the same pixel of both lies at the same point, to a thousandth of a pixel over 10,000 pixels."""
        probes = np.array([[0.0, 0.0], [0.0, 10_000.0], [10_000.0, 0.0]])
        distances = np.linalg.norm(self.world(probes) - other.world(probes), axis=1)
        pixel = np.linalg.norm(self.world(probes[:1]) - self.world(np.array([[0.0, 1.0]])))
        return bool(np.all(distances <= pixel / 1000))

    def of_cells(self, cell_px: tuple[float, float]) -> "Place":
        """The place of an image whose pixels are cells of this field, the first corners of both coinciding.

        Args:
            cell_px: Pixels of the field to a cell, along y and x (`Heatmap.scale_px`). Cell i covers the pixels from
                `i * cell_px` up to, not including, `(i + 1) * cell_px`.
        """
        cell = np.asarray(cell_px, dtype=np.float64)
        middle_of_the_first_cell = (cell - 1) / 2
        return replace(
            self,
            scale=self.scale * cell,
            translate=self.translate + self._linear() @ middle_of_the_first_cell,
        )

    def arguments(self) -> dict[str, Any]:
        """What a napari image layer takes to lie here."""
        placed: dict[str, Any] = {
            "scale": self.scale,
            "translate": self.translate,
            "rotate": self.rotate,
            "shear": self.shear,
            "affine": self.affine,
        }
        return placed if self.units is None else placed | {"units": self.units}

    def _linear(self) -> Float[np.ndarray, "2 2"]:
        return self.rotate @ self.shear @ np.diag(self.scale)


def place_of(layer: ImageLayer) -> Place:
    """The place of an image layer's last two axes, y and x."""
    (shear,) = np.asarray(layer.shear, dtype=np.float64)[-1:]
    rows = [-3, -2, -1]
    return Place(
        scale=np.asarray(layer.scale, dtype=np.float64)[-2:],
        translate=np.asarray(layer.translate, dtype=np.float64)[-2:],
        rotate=np.asarray(layer.rotate, dtype=np.float64)[-2:, -2:],
        shear=np.array([[1.0, shear], [0.0, 1.0]]),
        affine=np.asarray(layer.affine.affine_matrix, dtype=np.float64)[np.ix_(rows, rows)],
        units=tuple(layer.units)[-2:],
    )
