"""The stain attribution below an overlay: a bar a stain, right of zero where it speaks for the treatment."""

from collections.abc import Sequence
from typing import Final

from PIL import Image, ImageDraw

from phenoserve.overlay.colours import stain_colour
from phenoserve.overlay.words import (
    BACKGROUND,
    LEGEND_FONT_PX,
    LINE_PX,
    QUIET_TEXT,
    SWATCH_PX,
    TEXT,
    font_of,
    labels,
    wrapped,
)

_NAME_SHARE: Final = 0.26
_MAX_NAME_PX: Final = 260
_NUMBER_PX: Final = 90
_MAX_BARS_PX: Final = 620
_BAR_PX: Final = 14


def stain_bars(stains: Sequence[str], values: Sequence[float], width: int) -> Image.Image:
    """Draw what every stain adds to a treatment's logit.

    Args:
        stains: Name of each channel.
        values: Shapley value of each, finite, in units of the logit.
        width: Width of the picture in pixels.

    Returns:
        The picture: a heading, then a row a stain with its swatch, name, bar (in its colour) and number.
    """
    font = font_of(LEGEND_FONT_PX)
    heading = wrapped(
        f"What the pattern of each stain adds to the logit of this treatment (Shapley values; together "
        f"{sum(values):+.3g}). Baseline: every stain at its own mean in this field.",
        font,
        width,
    )
    top = len(heading) * LINE_PX
    image = Image.new("RGB", (width, top + len(stains) * LINE_PX), BACKGROUND)
    draw = ImageDraw.Draw(image)
    for row, line in enumerate(heading):
        draw.text((0, row * LINE_PX + LINE_PX // 2), line, QUIET_TEXT, font, anchor="lm")

    bars_left = min(_MAX_NAME_PX, round(_NAME_SHARE * width))
    bars_width = min(_MAX_BARS_PX, width - bars_left - _NUMBER_PX)
    least, greatest = min(0.0, *values), max(0.0, *values)
    px_a_unit = bars_width / ((greatest - least) or 1.0)
    zero = bars_left + round(-least * px_a_unit)
    names = labels(stains, font, bars_left - SWATCH_PX - 16)
    for row, (name, value) in enumerate(zip(names, values, strict=True)):
        middle = top + row * LINE_PX + LINE_PX // 2
        draw.rectangle((0, middle - SWATCH_PX // 2, SWATCH_PX, middle + SWATCH_PX // 2), stain_colour(row))
        draw.text((SWATCH_PX + 8, middle), name, TEXT, font, anchor="lm")
        end = zero + round(value * px_a_unit)
        box = (min(zero, end), middle - _BAR_PX // 2, max(zero, end), middle + _BAR_PX // 2)
        draw.rectangle(box, stain_colour(row))
        number_right = bars_left + bars_width + _NUMBER_PX
        draw.text((number_right, middle), f"{value:+.3g}", TEXT, font, anchor="rm")
    draw.line((zero, top, zero, image.height - 1), QUIET_TEXT)
    return image
