"""Enlarges a heatmap so that every cell lies over the pixels it speaks for."""

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray


def heatmap_at_field_size(
    heatmap: Float32[np.ndarray, "heatmap_y heatmap_x"],
    field_height: int,
    field_width: int,
    *,
    cell_px: int | None = None,
) -> Float32[np.ndarray, "y x"]:
    """Enlarge a heatmap bilinearly to the size of its field.

    Cell i covers the pixels from `i * cell` up to, not including, `(i + 1) * cell`; its value stands at their
    middle. Pixels outside the outermost middles take the nearest cell's value.

    Args:
        heatmap: Values on the feature map, `(heatmap_y, heatmap_x)`.
        field_height: Height of the field in pixels.
        field_width: Width of the field in pixels.
        cell_px: Side of a cell in pixels of the field: 32 times the bundle's `downsample`, which is its
            `min_size_px`. The encoder drops what does not fill a cell at the far edges, so 1080 pixels at a
            side of 128 give 8 cells over the first 1024. None: the cells span the whole field.

    Returns:
        The map at the field's size, `(y, x)`, between the least and the greatest value of `heatmap`.

    Raises:
        ValueError: If a size is below 1 or the heatmap holds a value that is not finite.
    """
    if min(field_height, field_width, *heatmap.shape, 1 if cell_px is None else cell_px) < 1:
        raise ValueError(
            "Expected a field, a heatmap and a cell of at least one pixel. Received: a field of "
            f"{field_height} x {field_width}, a heatmap {heatmap.shape}, cells of {cell_px}"
        )
    if not np.isfinite(heatmap).all():
        raise ValueError("Expected a finite heatmap. Received: one with NaN or infinite values")
    cell = cell_shape(heatmap.shape, (field_height, field_width), cell_px)
    return enlarge(heatmap, (field_height, field_width), cell)


def cell_shape(
    heatmap_shape: tuple[int, ...], field_shape: tuple[int, int], cell_px: int | None
) -> tuple[float, float]:
    """Return the height and width of a cell in pixels of the field, as `heatmap_at_field_size` takes them."""
    if cell_px is not None:
        return float(cell_px), float(cell_px)
    return field_shape[0] / heatmap_shape[0], field_shape[1] / heatmap_shape[1]


def enlarge(
    heatmap: NDArray[np.float32], shape: tuple[int, int], cell: tuple[float, float]
) -> NDArray[np.float32]:
    """Sample a heatmap at the middles of `shape` pixels; a cell is `cell` of these pixels high and wide."""
    lower, upper, weight = _neighbours(heatmap.shape[0], shape[0], cell[0])
    rows = heatmap[lower] + weight[:, np.newaxis] * (heatmap[upper] - heatmap[lower])
    lower, upper, weight = _neighbours(heatmap.shape[1], shape[1], cell[1])
    field = rows[:, lower] + weight * (rows[:, upper] - rows[:, lower])
    return np.clip(field, heatmap.min(), heatmap.max()).astype(np.float32, copy=False)


def _neighbours(
    num_cells: int, num_pixels: int, cell: float
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """Return the cells before and after the middle of every pixel along an axis, and the latter's weight."""
    position = np.clip((np.arange(num_pixels) + 0.5) / cell - 0.5, 0, num_cells - 1)
    lower = np.floor(position).astype(np.intp)
    return lower, np.minimum(lower + 1, num_cells - 1), (position - lower).astype(np.float32)
