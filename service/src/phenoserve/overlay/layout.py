"""Places the panels of an overlay: the composite at the left, the stains in a grid beside it."""

import math
from dataclasses import dataclass
from typing import Final

MARGIN_PX: Final = 20
GAP_PX: Final = 12
TITLE_PX: Final = 46
LABEL_PX: Final = 30

_PIXELS_OF_PANELS: Final = 750_000
_MAX_PANEL_PX: Final = 1600
_MIN_COLUMN_PX: Final = 130
_MIN_WIDTH_PX: Final = 640
_MAX_ROWS: Final = 3
_WANTED_ASPECT: Final = 2.4
_COST_OF_A_GAP: Final = 0.1


@dataclass(frozen=True)
class Box:
    """A rectangle of the picture in pixels; right and bottom are the first pixels outside."""

    left: int
    top: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """First column to the right of the box."""
        return self.left + self.width

    @property
    def bottom(self) -> int:
        """First row below the box."""
        return self.top + self.height


@dataclass(frozen=True)
class Layout:
    """Where everything stands: every panel has its label in the `LABEL_PX` rows above it.

    Attributes:
        width: Width of the picture in pixels.
        composite: Panel of all stains.
        stains: One panel a stain, in order, row by row.
        label_px: Room for the label of a stain, from the left edge of its panel.
        legend_top: First row below the panels; the legend is as high as its words need.
    """

    width: int
    composite: Box
    stains: tuple[Box, ...]
    label_px: int
    legend_top: int


def plan(num_stains: int, field_height: int, field_width: int) -> Layout:
    """Plan the panels for stacks of `num_stains` channels of `field_height` by `field_width` pixels.

    Every panel keeps the field's proportions; together they have about as many pixels whatever the stack, so
    that small fields are enlarged and large ones do not make large files.
    """
    num_rows = _num_rows(num_stains, field_width / field_height)
    num_columns = math.ceil(num_stains / num_rows)
    scale = math.sqrt(_PIXELS_OF_PANELS / ((num_rows**2 + num_stains) * field_height * field_width))
    scale = min(scale, _MAX_PANEL_PX / (num_rows * max(field_height, field_width)))
    height, width = max(1, round(field_height * scale)), max(1, round(field_width * scale))
    row_px, column_px = height + LABEL_PX, max(width, _MIN_COLUMN_PX)

    top = MARGIN_PX + TITLE_PX + LABEL_PX
    composite_height = num_rows * height + (num_rows - 1) * (LABEL_PX + GAP_PX)
    composite_height = min(composite_height, max(1, _MAX_PANEL_PX * field_height // field_width))
    composite_width = max(1, round(composite_height * field_width / field_height))
    composite = Box(MARGIN_PX, top, composite_width, composite_height)
    left = MARGIN_PX + max(composite_width, _MIN_COLUMN_PX) + GAP_PX
    stains = tuple(
        Box(
            left + (index % num_columns) * (column_px + GAP_PX),
            top + (index // num_columns) * (row_px + GAP_PX),
            width,
            height,
        )
        for index in range(num_stains)
    )
    right = left + num_columns * (column_px + GAP_PX) - GAP_PX
    return Layout(
        width=max(right + MARGIN_PX, _MIN_WIDTH_PX),
        composite=composite,
        stains=stains,
        label_px=column_px,
        legend_top=max(composite.bottom, stains[-1].bottom) + GAP_PX,
    )


def _num_rows(num_stains: int, field_aspect: float) -> int:
    """Return the number of rows with proportions near the wanted ones and few places left empty."""

    def cost(num_rows: int) -> float:
        num_columns = math.ceil(num_stains / num_rows)
        aspect = (num_columns + num_rows) * field_aspect / num_rows
        num_gaps = num_columns * num_rows - num_stains
        return abs(math.log(aspect / _WANTED_ASPECT)) + _COST_OF_A_GAP * num_gaps

    return min(range(1, min(num_stains, _MAX_ROWS) + 1), key=cost)
