"""Matplotlib figures as SVG that sits inside an HTML page and takes the page's text colour."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

# Matplotlib knows no currentColor, so ink is drawn in a colour nobody would choose and renamed afterwards.
_INK: Final = "#010203"

CLASSIFIER_COLOUR: Final = "#0072b2"
FOREST_COLOUR: Final = "#d55e00"
BASELINE_COLOUR: Final = "#009e73"
CONTROL_COLOUR: Final = "#8a8f98"

_STYLE: Final[dict[Any, Any]] = {
    "axes.edgecolor": _INK,
    "axes.facecolor": "none",
    "axes.labelcolor": _INK,
    "axes.labelsize": 9,
    "axes.linewidth": 0.7,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "figure.facecolor": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "text.color": _INK,
    "text.parse_math": False,  # a name may hold two dollar signs
    "xtick.color": _INK,
    "xtick.labelsize": 8.5,
    "ytick.color": _INK,
    "ytick.labelsize": 8.5,
}


@contextmanager
def page_style() -> Iterator[None]:
    """Draw with the page's fonts and line weights; ink follows the page, in the light and in the dark."""
    with mpl.rc_context(_STYLE):
        yield


def inline_svg(figure: Figure, name: str, description: str) -> str:
    """Render a figure for embedding.

    Args:
        figure: Drawn under `page_style`.
        name: Prefix of every id in it, unique on the page.
        description: What the figure shows, for readers who cannot see it.

    Returns:
        An `<svg>` element without XML prologue, the same for the same figure.
    """
    buffer = io.StringIO()
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}), warnings.catch_warnings():
        # The text stays text, and the page's own fonts draw it: matplotlib's font only measures it.
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font", UserWarning)
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'(href="#|url\(#)', rf"\1{name}-", text)
    text = text.replace(_INK, "currentColor")
    label = description.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)


def ink() -> str:
    """Return the colour that becomes the page's text colour."""
    return _INK
