"""The overlay as a PNG: a panel for all stains, one for each, the heatmap over all of them, and a legend."""

import io
from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Float32, Shaped
from PIL import Image, ImageDraw, ImageFont

from phenoserve.overlay import colours
from phenoserve.overlay.enlarge import cell_shape, enlarge
from phenoserve.overlay.layout import LABEL_PX, MARGIN_PX, TITLE_PX, Layout, plan

_BACKGROUND: Final = (20, 20, 24)
_TEXT: Final = (236, 236, 236)
_QUIET_TEXT: Final = (180, 180, 186)
_TITLE_FONT_PX, _LABEL_FONT_PX, _LEGEND_FONT_PX = 26, 20, 18
_SWATCH_PX: Final = 14
_BAR_HEIGHT_PX: Final = 24
_MAX_BAR_PX: Final = 420
_LINE_PX: Final = 26
_MIN_LEGEND_PX: Final = 60
_COMPRESS_LEVEL: Final = 3


def render_overlay(
    stack: Shaped[np.ndarray, "channel y x"],
    stains: Sequence[str],
    heatmap: Float32[np.ndarray, "heatmap_y heatmap_x"],
    *,
    title: str,
    cell_px: int | None = None,
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

    Returns:
        The bytes of a PNG, the same for the same arguments.

    Raises:
        ValueError: If the number of names is not that of channels, or the heatmap is not finite.
    """
    if not len(stains) == len(stack) > 0:
        raise ValueError(
            f"Expected one stain name a channel and at least one channel. Received: {len(stains)} names "
            f"{tuple(stains)} for {len(stack)} channels"
        )
    if not np.isfinite(heatmap).all():
        raise ValueError("Expected a finite heatmap. Received: one with NaN or infinite values")
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

    legend = _legend(greatest, cell, layout.width - 2 * MARGIN_PX)
    image = Image.new("RGB", (layout.width, layout.legend_top + legend.height + MARGIN_PX), _BACKGROUND)
    image.paste(legend, (MARGIN_PX, layout.legend_top))
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
    font = ImageFont.load_default(_TITLE_FONT_PX)
    text = _shortened(title, font, layout.width - 2 * MARGIN_PX)
    draw.text((MARGIN_PX, MARGIN_PX + TITLE_PX // 2 - 6), text, _TEXT, font, anchor="lm")

    font = ImageFont.load_default(_LABEL_FONT_PX)
    large = layout.composite
    middle = large.top - LABEL_PX // 2
    text = _shortened("All stains", font, max(large.width, layout.label_px))
    draw.text((large.left, middle), text, _TEXT, font, anchor="lm")
    for index, (name, box) in enumerate(zip(stains, layout.stains, strict=True)):
        middle = box.top - LABEL_PX // 2
        swatch = (box.left, middle - _SWATCH_PX // 2, box.left + _SWATCH_PX, middle + _SWATCH_PX // 2)
        draw.rectangle(swatch, colours.stain_colour(index))
        left = box.left + _SWATCH_PX + 8
        text = _shortened(name, font, layout.label_px - (left - box.left))
        draw.text((left, middle), text, _TEXT, font, anchor="lm")


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
    font = ImageFont.load_default(_LEGEND_FONT_PX)
    bar_width = min(_MAX_BAR_PX, width // 2)
    left = bar_width + 2 * MARGIN_PX if greatest > 0 else 0
    lines = _wrapped(words, font, width - left)
    image = Image.new("RGB", (width, max(_MIN_LEGEND_PX, len(lines) * _LINE_PX)), _BACKGROUND)
    draw = ImageDraw.Draw(image)
    for row, line in enumerate(lines):
        draw.text((left, row * _LINE_PX + _LINE_PX // 2), line, _QUIET_TEXT, font, anchor="lm")
    if greatest == 0:
        return image

    top = (_LINE_PX - _LEGEND_FONT_PX) // 2
    shades = np.repeat(np.array([[1.0], [0.0]], np.float32), _BAR_HEIGHT_PX // 2, axis=0)
    heat = np.linspace(0, 1, bar_width, dtype=np.float32)
    picture = colours.grey(np.broadcast_to(shades, (len(shades), bar_width)))
    image.paste(Image.fromarray(colours.blend(picture, np.broadcast_to(heat, picture.shape[:2]))), (0, top))
    for share, anchor in ((0.0, "lt"), (0.5, "mt"), (1.0, "rt")):
        place = (round(share * bar_width), top + _BAR_HEIGHT_PX + 6)
        draw.text(place, f"{share * greatest:.3g}", _TEXT, font, anchor=anchor)
    return image


def _shortened(text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width: int) -> str:
    """Return the text, or as much of its beginning as fits into `width` pixels with an ellipsis."""
    text = " ".join(text.split())
    if font.getlength(text) <= width:
        return text
    num_fitting = bisect_right(range(len(text)), width, key=lambda n: font.getlength(f"{text[:n]}…")) - 1
    return f"{text[: max(0, num_fitting)]}…"


def _wrapped(text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Break the text between words into lines of at most `width` pixels where its words allow it."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
