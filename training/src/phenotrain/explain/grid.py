"""The cells of a heatmap and the pixels that each of them speaks for."""

import numpy as np


def cell_edges(num_cells: int, num_pixels: int, cell_px: int) -> list[tuple[int, int]]:
    """Give the pixels of every cell along one axis, first and one past the last.

    Cell i covers the pixels from `i * cell_px`; the last one ends with the field.

    Args:
        num_cells: Cells along the axis.
        num_pixels: Pixels along it.
        cell_px: Side of a cell, px.
    """
    return [
        (cell * cell_px, min((cell + 1) * cell_px, num_pixels))
        for cell in range(num_cells)
        if cell * cell_px < num_pixels
    ]


def cells(
    grid_shape: tuple[int, int], plane_shape: tuple[int, int], cell_px: int
) -> list[tuple[slice, slice]]:
    """Give the pixels of every cell of a heatmap, row by row.

    Args:
        grid_shape: Shape of the heatmap, `(y', x')`.
        plane_shape: Shape of the field, `(y, x)`.
        cell_px: Side of a cell in pixels of that field.

    Returns:
        One pair of slices a cell, in the order of `heatmap.ravel()`.

    Raises:
        ValueError: If a cell lies outside the field.
    """
    rows, columns = (
        cell_edges(num_cells, num_pixels, cell_px)
        for num_cells, num_pixels in zip(grid_shape, plane_shape, strict=True)
    )
    if (len(rows), len(columns)) != tuple(grid_shape):
        raise ValueError(
            f"Expected cells of {cell_px} px within a field of {plane_shape}. Received: a heatmap {grid_shape}"
        )
    return [(slice(*row), slice(*column)) for row in rows for column in columns]


def cell_means(plane: np.ndarray, grid_shape: tuple[int, int], cell_px: int) -> np.ndarray:
    """Average a plane over every cell of a heatmap.

    Args:
        plane: `(y, x)`; of a mask, the means are the share of each cell that it covers.
        grid_shape: Shape of the heatmap, `(y', x')`.
        cell_px: Side of a cell in pixels of the plane.

    Returns:
        Float `grid_shape`.
    """
    shape = (plane.shape[0], plane.shape[1])
    means = [plane[cell].mean(dtype=float) for cell in cells(grid_shape, shape, cell_px)]
    return np.array(means).reshape(grid_shape)
