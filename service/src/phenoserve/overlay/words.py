"""Text that fits into the room it has, in a font that is shipped, and the colours of what is no picture."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont

BACKGROUND: Final = (20, 20, 24)
TEXT: Final = (236, 236, 236)
QUIET_TEXT: Final = (180, 180, 186)
SWATCH_PX: Final = 14
LINE_PX: Final = 26
LEGEND_FONT_PX: Final = 16

_FONT_FILE: Final = Path(__file__).parent / "font" / "DejaVuSans.ttf"
_NO_CHARACTER: Final = "\U0010ffff"
_WRITTEN_OUT: Final = re.compile(r"⟨U\+[0-9A-F]+⟩|.", re.DOTALL)
_BRACKETS: Final = "⟨⟩"


@cache
def font_of(px: int) -> ImageFont.FreeTypeFont:
    """Return DejaVu Sans at a size in pixels.

    The basic layout is Pillow's own, so that a picture does not depend on the machine's text libraries.
    """
    return ImageFont.truetype(_FONT_FILE, px, layout_engine=ImageFont.Layout.BASIC)


def drawable(text: str) -> str:
    """Return the text with every character that cannot be drawn rightly written out, as in ⟨U+6297⟩.

    These are the characters that the font lacks (such as Chinese and emoji), those that need a layout of their
    own (written from right to left, or marks that do not compose with their letter), and those that are not
    seen. The brackets are written out too, so that texts that differ after Unicode's composition (NFC) and
    with every run of white space as one blank stay different.
    """
    composed = unicodedata.normalize("NFC", " ".join(text.split()))
    return "".join(
        character if _is_drawn(character) else f"⟨U+{ord(character):04X}⟩" for character in composed
    )


@cache
def _is_drawn(character: str) -> bool:
    if character == " ":
        return True
    # Marks, controls, what is unassigned or unseen; then right-to-left letters and digits.
    if character in _BRACKETS or unicodedata.category(character)[0] in "MCZ":
        return False
    if unicodedata.bidirectional(character) in {"R", "AL", "AN"}:
        return False
    return _pixels(character) not in (_pixels(_NO_CHARACTER), _pixels(" "))


def _pixels(character: str) -> bytes:
    image = Image.new("L", (4 * LEGEND_FONT_PX, 4 * LEGEND_FONT_PX))
    ImageDraw.Draw(image).text((LEGEND_FONT_PX, LEGEND_FONT_PX), character, 255, font_of(LEGEND_FONT_PX))
    return image.tobytes()


def shortened(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Return the text as drawn, without as much of its middle as does not fit into `width` pixels.

    The end stays, since names of one kind differ there. A character that is written out stays whole.
    """
    text = drawable(text)
    if font.getlength(text) <= width:
        return text
    parts: list[str] = _WRITTEN_OUT.findall(text)
    for num_kept in range(len(parts) - 1, 0, -1):
        num_last = num_kept // 2
        last = "".join(parts[len(parts) - num_last :])
        shorter = f"{''.join(parts[: num_kept - num_last])}…{last}"
        if font.getlength(shorter) <= width:
            return shorter
    return "…"


def labels(names: Sequence[str], font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Return each name within `width` pixels; names that would read the same are led by their number."""
    short = [shortened(name, font, width) for name in names]
    num_of = Counter(short)
    return [
        label if num_of[label] == 1 else shortened(f"{number} {name}", font, width)
        for number, (name, label) in enumerate(zip(names, short, strict=True), start=1)
    ]


def wrapped(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Break the text between words into lines of at most `width` pixels where its words allow it."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
