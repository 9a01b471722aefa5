"""Matplotlib figures as SVG that sits inside an HTML page and takes the page's text colour."""

import io
import re
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from html import escape
from typing import Any

# Matplotlib knows no currentColor, so ink is drawn in a colour nobody would choose and renamed afterwards.
INK = "#010203"
COLOUR = "#0072b2"
CONTROL_COLOUR = "#8a8f98"

_STYLE: dict[str, Any] = {
    "axes.edgecolor": INK,
    "axes.facecolor": "none",
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.linewidth": 0.7,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "figure.facecolor": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "legend.frameon": False,
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "text.color": INK,
    "text.parse_math": False,  # a name may hold two dollar signs
    "xtick.color": INK,
    "xtick.labelsize": 8,
    "ytick.color": INK,
    "ytick.labelsize": 8,
}


@contextmanager
def page_style() -> Generator[None]:
    """Draws with the page's fonts and line weights; ink follows the page, in the light and in the dark."""
    import matplotlib as mpl

    library: Any = mpl
    with library.rc_context(_STYLE):
        yield


def inline_svg(figure: Any, name: str, description: str) -> str:
    """A figure as an `<svg>` element, the same for the same figure.

    Args:
        figure: Matplotlib figure drawn under `page_style`.
        name: Prefix of every id in it, unique on the page.
        description: What the figure shows, for readers who cannot see it.
    """
    import matplotlib as mpl

    library: Any = mpl
    buffer = io.StringIO()
    with library.rc_context({**_STYLE, "svg.hashsalt": name}), warnings.catch_warnings():
        # The text stays text, and the page's own fonts draw it: matplotlib's font only measures it.
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font", UserWarning)
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'(href="#|url\(#)', rf"\1{name}-", text)
    text = text.replace(INK, "currentColor")
    return text.replace("<svg ", f'<svg role="img" aria-label="{escape(description)}" ', 1)
