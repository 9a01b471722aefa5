"""Where every pixel lies in its cell, and the random textures: all that the stains have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from phenotrain.simulate.cells import Cells, Values
from phenotrain.simulate.streams import Stream, stream
from phenotrain.simulate.textures import Field, coarse_noise, fine_noise, ramp

_PATCH_PX: Final = 52
_FREE_EDGE_PX: Final = 30.0
_FREE_EDGE_SPREAD_PX: Final = 6.0
_WARP_PX: Final = 1.3


@dataclass(frozen=True)
class Scene:
    """One field, seen from its cells; every map is `(y, x)`.

    Attributes:
        owner: Index of the cell that a pixel belongs to; any cell where `body` is 0.
        nucleus: 1 inside the nucleus, 0 outside, with a soft edge.
        body: 1 inside a cell, 0 in a gap, with a soft edge.
        depth_px: Distance to the nucleus, negative inside, in pixels.
        border_px: Distance to the border of the cell, in pixels, about 0 on it.
        along_px: Coordinate along the cell's long axis, in pixels.
        across_px: Coordinate across it, in pixels.
        facing: Cosine of the angle between the pixel and the cell's pole, seen from the nucleus.
        grain: Noise of unit variance on the scale of 1 px.
        reticulum: The same on the scale of 1.5 px.
        spots: The same on the scale of 2 px.
        patches: The same on the scale of 6 px.
        drift: The same on the scale of 16 px.
    """

    owner: NDArray[np.int32]
    nucleus: Field
    body: Field
    depth_px: Field
    border_px: Field
    along_px: Field
    across_px: Field
    facing: Field
    grain: Field
    reticulum: Field
    spots: Field
    patches: Field
    drift: Field

    @property
    def field_px(self) -> int:
        """Side of the field in pixels."""
        return self.owner.shape[0]

    def per_pixel(self, values: Values) -> Field:
        """Give every pixel its cell's value; `values` is `(cell,)`, the answer `(y, x)`."""
        return values.take(self.owner)


def lay_out(cells: Cells, field_px: int, seed: int, address: tuple[int, ...]) -> Scene:
    """Give every pixel of a field to a cell and draw the field's textures.

    Args:
        cells: The cells; only their place and the shape of their nuclei matter here.
        field_px: Side of the field in pixels.
        seed: Seed of the screen.
        address: Where the site lies in the screen.

    Returns:
        The scene, which no treatment changes.
    """
    rng = stream(seed, Stream.TEXTURES, *address)
    # Slightly bent coordinates keep nuclei and borders from being perfect ellipses and straight lines.
    line = np.arange(field_px, dtype=np.float32)
    y_px = coarse_noise(rng, field_px, 8) * np.float32(_WARP_PX) + line[:, None]
    x_px = coarse_noise(rng, field_px, 8) * np.float32(_WARP_PX) + line[None, :]
    patches = coarse_noise(rng, field_px, 6)
    drift = coarse_noise(rng, field_px, 16)
    depth_px = (
        patches * np.float32(2.0) + drift * np.float32(_FREE_EDGE_SPREAD_PX) + np.float32(_FREE_EDGE_PX)
    )
    free_edge_px = depth_px.copy()
    next_px = depth_px.copy()
    owner = np.full((field_px, field_px), -1, dtype=np.int32)
    along_px = np.zeros_like(depth_px)
    across_px = np.zeros_like(depth_px)
    facing = np.zeros_like(depth_px)
    for cell in range(len(cells)):
        _claim(cells, cell, y_px, x_px, owner, depth_px, next_px, along_px, across_px, facing)
    covered = owner >= 0
    border_px = (next_px - depth_px) * np.float32(0.5)
    # Neighbours touch; only where a cell ends in a gap does it thin out.
    body = ramp(free_edge_px - depth_px, 0.0, 7.0)
    # Pixels of no cell get far values, so that no stain reaches into a gap.
    depth_px[~covered] = np.float32(4 * _FREE_EDGE_PX)
    return Scene(
        owner=np.maximum(owner, 0),
        nucleus=ramp(depth_px, 0.5, -0.5),
        body=body,
        depth_px=depth_px,
        border_px=border_px,
        along_px=along_px,
        across_px=across_px,
        facing=facing,
        grain=fine_noise(rng, field_px, 1.0),
        reticulum=fine_noise(rng, field_px, 1.5),
        spots=fine_noise(rng, field_px, 2.0),
        patches=patches,
        drift=drift,
    )


def _claim(
    cells: Cells,
    cell: int,
    y_px: Field,
    x_px: Field,
    owner: NDArray[np.int32],
    depth_px: Field,
    next_px: Field,
    along_px: Field,
    across_px: Field,
    facing: Field,
) -> None:
    """Let one cell take the pixels that lie nearer to its nucleus than to any earlier one's."""
    field_px = owner.shape[0]
    centre_y, centre_x = float(cells.y_px[cell]), float(cells.x_px[cell])
    rows = slice(max(0, int(centre_y) - _PATCH_PX), min(field_px, int(centre_y) + _PATCH_PX + 1))
    columns = slice(max(0, int(centre_x) - _PATCH_PX), min(field_px, int(centre_x) + _PATCH_PX + 1))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    here = (rows, columns)
    sine, cosine = np.sin(cells.angle[cell]), np.cos(cells.angle[cell])
    long_px, short_px = cells.long_px[cell], cells.short_px[cell]
    down, right = y_px[here] - np.float32(centre_y), x_px[here] - np.float32(centre_x)
    along = right * cosine + down * sine
    across = down * cosine - right * sine
    bent = across + (cells.bend[cell] / long_px) * np.minimum(along * along, long_px * long_px)
    # Distance to an ellipse to first order: its implicit function over the length of its gradient.
    level = np.hypot(along / long_px, bent / short_px)
    slope = np.hypot(along / long_px**2, bent / short_px**2) + np.float32(1e-6)
    distance = level * (level - 1) / slope
    nearer = distance < depth_px[here]
    np.copyto(next_px[here], np.minimum(next_px[here], np.maximum(distance, depth_px[here])))
    np.copyto(depth_px[here], distance, where=nearer)
    np.copyto(owner[here], cell, where=nearer)
    np.copyto(along_px[here], along, where=nearer)
    np.copyto(across_px[here], across, where=nearer)
    pole = cells.pole[cell]
    radius = np.hypot(along, across) + np.float32(1e-3)
    np.copyto(facing[here], (along * np.cos(pole) + across * np.sin(pole)) / radius, where=nearer)
