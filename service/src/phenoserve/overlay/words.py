"""Text that fits into the room it has, and the colours of what is no picture."""

from bisect import bisect_right
from typing import Final, TypeAlias

from PIL import ImageFont

BACKGROUND: Final = (20, 20, 24)
TEXT: Final = (236, 236, 236)
QUIET_TEXT: Final = (180, 180, 186)
SWATCH_PX: Final = 14
LINE_PX: Final = 26
LEGEND_FONT_PX: Final = 18

Font: TypeAlias = ImageFont.ImageFont | ImageFont.FreeTypeFont


def shortened(text: str, font: Font, width: int) -> str:
    """Return the text, or as much of its beginning as fits into `width` pixels with an ellipsis."""
    text = " ".join(text.split())
    if font.getlength(text) <= width:
        return text
    num_fitting = bisect_right(range(len(text)), width, key=lambda n: font.getlength(f"{text[:n]}…")) - 1
    return f"{text[: max(0, num_fitting)]}…"


def wrapped(text: str, font: Font, width: int) -> list[str]:
    """Break the text between words into lines of at most `width` pixels where its words allow it."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
