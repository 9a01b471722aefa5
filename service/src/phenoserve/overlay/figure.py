"""The overlay as a PNG: a panel for all stains, one for each, the heatmap over all of them, and a legend."""

import io
from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Float32, Shaped
from PIL import Image, ImageDraw

from phenoserve.overlay import colours
from phenoserve.overlay.enlarge import cell_shape, enlarge
from phenoserve.overlay.layout import GAP_PX, LABEL_PX, MARGIN_PX, TITLE_PX, Layout, plan
from phenoserve.overlay.stain_bars import stain_bars
from phenoserve.overlay.words import (
    BACKGROUND,
    LEGEND_FONT_PX,
    LINE_PX,
    QUIET_TEXT,
    SWATCH_PX,
    TEXT,
    font_of,
    labels,
    shortened,
    wrapped,
)

_TITLE_FONT_PX, _LABEL_FONT_PX = 24, 18
_SWATCH_GAP_PX: Final = 8
_BAR_HEIGHT_PX: Final = 24
_MAX_BAR_PX: Final = 420
_MIN_LEGEND_PX: Final = 60
_COMPRESS_LEVEL: Final = 3


def render_overlay(
    stack: Shaped[np.ndarray, "channel y x"],
    stains: Sequence[str],
    heatmap: Float32[np.ndarray, "heatmap_y heatmap_x"],
    *,
    title: str,
    cell_px: int | None = None,
    stain_values: Sequence[float] | None = None,
) -> bytes:
    """Draw a heatmap over every stain of its stack and over all of them together.

    Each stain is grey, stretched between its own percentiles. The heatmap is enlarged as
    `heatmap_at_field_size` does, coloured by the perceptually even map inferno, and the more opaque the
    greater its value.

    Args:
        stack: Intensities `(channel, y, x)`, uint8, uint16 or float32.
        stains: Name of each channel, in the order of `stack`.
        heatmap: Values of one treatment on the feature map, `(heatmap_y, heatmap_x)`; below 0 counts as 0.
        title: Heading of the picture.
        cell_px: Side of a heatmap's cell in pixels of the field, as in `heatmap_at_field_size`.
        stain_values: What each stain adds to the treatment's logit (`phenoserve.engine.attribution`), drawn as bars
            below the panels; None draws none.

    Returns:
        The bytes of a PNG, the same for the same arguments.

    Raises:
        ValueError: If the number of names, or of stain values, is not that of channels, or the heatmap or a value is
            not finite.
    """
    if not len(stains) == len(stack) > 0:
        raise ValueError(
            f"Expected one stain name a channel and at least one channel. Received: {len(stains)} names "
            f"{tuple(stains)} for {len(stack)} channels"
        )
    if not np.isfinite(heatmap).all():
        raise ValueError("Expected a finite heatmap. Received: one with NaN or infinite values")
    if stain_values is not None and (len(stain_values) != len(stains) or not np.isfinite(stain_values).all()):
        raise ValueError(
            f"Expected one finite value for each of the {len(stains)} stains. Received: {tuple(stain_values)}"
        )
    field_height, field_width = stack.shape[1:]
    layout = plan(len(stack), field_height, field_width)
    cell = cell_shape(heatmap.shape, (field_height, field_width), cell_px)
    greatest = max(float(heatmap.max()), 0.0)
    # Divided in float64: a subnormal float32 has no finite reciprocal.
    heat = (np.clip(heatmap, 0, None).astype(np.float64) / (greatest or 1.0)).astype(np.float32)

    def heated(picture: Float32[np.ndarray, "y x 3"]) -> Image.Image:
        height, width = picture.shape[:2]
        panel_cell = cell[0] * height / field_height, cell[1] * width / field_width
        return Image.fromarray(colours.blend(picture, enlarge(heat, (height, width), panel_cell)))

    inner_width = layout.width - 2 * MARGIN_PX
    below = [_legend(greatest, cell, inner_width)]
    if stain_values is not None:
        below.append(stain_bars(stains, stain_values, inner_width))
    height = layout.legend_top + sum(part.height + GAP_PX for part in below) - GAP_PX + MARGIN_PX
    image = Image.new("RGB", (layout.width, height), BACKGROUND)
    top = layout.legend_top
    for part in below:
        image.paste(part, (MARGIN_PX, top))
        top += part.height + GAP_PX
    large = layout.composite
    stretched = [colours.stretch(colours.resize(plane, large.width, large.height)) for plane in stack]
    image.paste(heated(colours.composite(stretched)), (large.left, large.top))
    for plane, box in zip(stretched, layout.stains, strict=True):
        small = colours.resize(plane, box.width, box.height)
        image.paste(heated(colours.grey(small)), (box.left, box.top))
    _write_words(image, layout, stains, title)
    return _png(image)


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=_COMPRESS_LEVEL)
    return buffer.getvalue()


def _write_words(image: Image.Image, layout: Layout, stains: Sequence[str], title: str) -> None:
    draw = ImageDraw.Draw(image)
    font = font_of(_TITLE_FONT_PX)
    text = shortened(title, font, layout.width - 2 * MARGIN_PX)
    draw.text((MARGIN_PX, MARGIN_PX + TITLE_PX // 2 - 6), text, TEXT, font, anchor="lm")

    font = font_of(_LABEL_FONT_PX)
    large = layout.composite
    middle = large.top - LABEL_PX // 2
    text = shortened("All stains", font, max(large.width, layout.label_px))
    draw.text((large.left, middle), text, TEXT, font, anchor="lm")
    names = labels(stains, font, layout.label_px - SWATCH_PX - _SWATCH_GAP_PX)
    for index, (name, box) in enumerate(zip(names, layout.stains, strict=True)):
        middle = box.top - LABEL_PX // 2
        swatch = (box.left, middle - SWATCH_PX // 2, box.left + SWATCH_PX, middle + SWATCH_PX // 2)
        draw.rectangle(swatch, colours.stain_colour(index))
        draw.text((box.left + SWATCH_PX + _SWATCH_GAP_PX, middle), name, TEXT, font, anchor="lm")


def _legend(greatest: float, cell: tuple[float, float], width: int) -> Image.Image:
    """Draw the colour scale, above over bright and below over dark pixels, its numbers, and what it means.

    A heatmap that is zero everywhere has words alone.
    """
    words = (
        "Colour: Grad-CAM value. Yellow places counted most for this treatment, uncoloured ones not at all. "
        "The scale shows it over bright pixels (above) and over dark ones (below)."
        if greatest > 0
        else "The heatmap is zero everywhere: no place counted for this treatment."
    )
    words += f" One cell of the heatmap covers {cell[0]:.4g} by {cell[1]:.4g} pixels (height by width)."
    font = font_of(LEGEND_FONT_PX)
    bar_width = min(_MAX_BAR_PX, width // 2)
    left = bar_width + 2 * MARGIN_PX if greatest > 0 else 0
    lines = wrapped(words, font, width - left)
    image = Image.new("RGB", (width, max(_MIN_LEGEND_PX, len(lines) * LINE_PX)), BACKGROUND)
    draw = ImageDraw.Draw(image)
    for row, line in enumerate(lines):
        draw.text((left, row * LINE_PX + LINE_PX // 2), line, QUIET_TEXT, font, anchor="lm")
    if greatest == 0:
        return image

    top = (LINE_PX - LEGEND_FONT_PX) // 2
    shades = np.repeat(np.array([[1.0], [0.0]], np.float32), _BAR_HEIGHT_PX // 2, axis=0)
    heat = np.linspace(0, 1, bar_width, dtype=np.float32)
    picture = colours.grey(np.broadcast_to(shades, (len(shades), bar_width)))
    image.paste(Image.fromarray(colours.blend(picture, np.broadcast_to(heat, picture.shape[:2]))), (0, top))
    for share, anchor in ((0.0, "lt"), (0.5, "mt"), (1.0, "rt")):
        place = (round(share * bar_width), top + _BAR_HEIGHT_PX + 6)
        draw.text(place, f"{share * greatest:.3g}", TEXT, font, anchor=anchor)
    return image
