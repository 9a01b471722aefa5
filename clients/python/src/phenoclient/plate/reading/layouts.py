"""How instruments name the files of a plate: one table, and the patterns that users write."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from string import Formatter

from phenoclient.errors import PlateError

IMAGE_ENDINGS = (".tif", ".tiff", ".tf2", ".tf8", ".btf", ".png")
"""Endings of the files that are read, in lower case"""

_EXTENSION = r"(?:\.ome)?(?i:" + "|".join(re.escape(ending) for ending in IMAGE_ENDINGS) + ")"
_FOLDERS = r"(?:.*/)?"
_WELL = r"[A-Za-z]{1,2}[0-9]{1,3}(?:\.[ab][12])?"
_ID = r"(?:_?(?P<id>[0-9A-Fa-f-]{36}))?"


@dataclass(frozen=True)
class Layout:
    """How the files of a plate are named.

    Attributes:
        name: Name of the layout, or the pattern as given.
        expression: Matches the path below the plate's folder, with `/` between folders. Its groups may be
            `experiment`, `plate`, `well` (or `row` and `col`), `site`, `channel`, `plane` and `timepoint`; what
            a group of another name matches says nothing.
        example: A path that it matches.
        other_expression: For a pattern, the same with as little in every `*` and as much in every gap of any text as
            can be, where `expression` is the other way round: a path may mean what either of them reads.
        by_products: Names of other images that the instrument lays beside those of the plate; None for none.
    """

    name: str
    expression: re.Pattern[str]
    example: str
    other_expression: re.Pattern[str] | None = None
    by_products: re.Pattern[str] | None = None


def _layout(name: str, expression: str, example: str, by_products: str | None = None) -> Layout:
    beside = None if by_products is None else _compiled(by_products)
    return Layout(name, _compiled(expression), example, by_products=beside)


def _compiled(expression: str) -> re.Pattern[str]:
    return re.compile(expression + _EXTENSION, re.IGNORECASE | re.ASCII)


_SHIPPED = (
    _layout(
        "rxrx",
        r"(?:(?:.*/)?(?P<experiment>[^/]+)/)?Plate(?P<plate>\d+)/"
        rf"(?P<well>{_WELL})_s(?P<site>\d+)_w?(?P<channel>\d+)",
        "HUVEC-1/Plate1/AA02_s2_w3.png",
    ),
    _layout(
        "imagexpress",
        _FOLDERS
        # As little as can be is the plate, or `A01_s1_w1` would be a well W1.
        + r"(?:(?P<plate>[^/]+?)_)??"
        # Small letters behind P are what names write before numbers of sites, time points, wavelengths and depths, and
        # so are S and W before one digit or side by side at the end.
        + r"(?!(?-i:[q-z])\d)(?!(?-i:[SW])\d(?!\d|_s\d))(?!(?-i:[SW]\d+_[SW])\d+(?![\d_]))"
        + rf"(?P<well>{_WELL})(?:_s(?P<site>\d+))?(?:_w(?P<channel>\d+))?{_ID}",
        "TimePoint_1/screen7_B03_s2_w1.TIF",
    ),
    _layout(
        "opera-phenix",
        _FOLDERS + r"r(?P<row>\d+)c(?P<col>\d+)f(?P<site>\d+)p(?P<plane>\d+)-ch(?P<channel>\d+)"
        r"(?:(?:sk|t)(?P<timepoint>\d+)(?:fk\d+fl\d+)?)?",
        "Images/r01c02f01p01-ch1sk1fk1fl1.tiff",
    ),
    _layout(
        "cellvoyager",
        _FOLDERS + rf"(?:(?P<plate>[^/]+?)_)??(?P<well>{_WELL})_T(?P<timepoint>\d+)F(?P<site>\d+)L\d+A\d+"
        r"Z(?P<plane>\d+)C(?P<channel>\d+)",
        "AssayPlate_B03_T0001F002L01A01Z01C01.tif",
        by_products=_FOLDERS + r"(?:DC|SC)_[^/]*",
    ),
    _layout(
        "incucyte",
        _FOLDERS
        + r"(?:(?P<plate>[^/]+?)_)??(?P<well>[A-P]\d{1,2})[_-](?P<site>\d+)(?:-(?P<channel>[A-Za-z]\w*))?"
        r"(?:_(?P<timepoint>\d+d\d+h\d+m|\d+y\d+m\d+d_\d+h\d+m))?",
        "VID7_A1_1_00d04h00m.tif",
    ),
    _layout(
        "bbbc013",
        _FOLDERS + r"Channel(?P<channel>\d)-\d{2}-(?P<row>[A-H])-(?P<col>\d{2})",
        "Channel1-14-B-02.tif",
    ),
)

LAYOUTS = {layout.name: layout for layout in _SHIPPED}
"""The named layouts, in the order in which they are tried where none is named"""

BY_PRODUCT = re.compile(
    r"(?:.*/)?thumb(?:nail)?s?/.*|.*[_.-]thumb(?:nail)?(?:_?[0-9a-f-]{36})?\.[a-z0-9]+", re.IGNORECASE
)
"""Paths of pictures that instruments make of images: thumbnails, marked so, or in a folder of such"""

_GAPS = {
    "well": r"(?:[A-Za-z]{1,2}[-_ ]?[0-9]{1,3}|[0-9]{1,2}[A-Za-z]{1,2})(?:\.[abAB][12])?",
    "row": r"[A-Za-z]{1,2}|[0-9]{1,2}",
    "col": r"[0-9]{1,2}",
    "site": r"[0-9]+",
    "plane": r"[0-9]+",
}
_GAPS_OF_ANY_TEXT = ("experiment", "plate", "channel", "timepoint")
_MUCH, _LITTLE = r"[^/]*", r"[^/]*?"
_ANY_GAP = {_MUCH: r"[^/]+?", _LITTLE: r"[^/]+"}
_EDGE = r"(?:(?<![0-9])|(?![0-9]))(?:(?<![A-Za-z])|(?![A-Za-z]))"
"""Between two gaps: no number and no word is torn apart"""

_OWN_ENDING = re.compile(r".*(?:\*|\.\{\w+\})", re.DOTALL)


def layout_of_pattern(pattern: str) -> Layout:
    """The layout that a pattern describes, such as `{plate}/{well}_s{site}_w{channel}.tif`.

    Args:
        pattern: Path of a file below the plate's folder. A gap is `{experiment}`, `{plate}`, `{well}` (or `{row}` and
            `{col}`), `{site}`, `{channel}`, `{plane}` or `{timepoint}`; a gap of any other name matches and is left
            alone. `*` matches anything within a folder's or file's name. Where one follows another, wells and
            numbers are whole ones. Upper and lower case do not count in the ending; a pattern without one
            takes any that is read.

    Raises:
        PlateError: If the braces do not match, a gap stands twice, or no gap tells the well.
    """
    ending = next((known for known in IMAGE_ENDINGS if pattern.lower().endswith(known)), "")
    stem = pattern[: len(pattern) - len(ending)]
    try:
        parsed = list(Formatter().parse(stem))
    except ValueError as error:
        raise PlateError(f"Pattern {pattern!r}: {error}. Expected gaps such as {{well}}.") from error
    seen = set[str]()
    for _literal, gap, form, conversion in parsed:
        if gap is None:
            continue
        if not gap.isidentifier() or form or conversion or gap in seen:
            raise PlateError(
                f"Pattern {pattern!r}: the gap {{{gap}}} is no plain name, has a format, or stands twice. Expected "
                f"each gap once, from {', '.join((*_GAPS, *_GAPS_OF_ANY_TEXT))} (any other name matches and is left "
                "alone)."
            )
        seen.add(gap)
    if "well" not in seen and not {"row", "col"} <= seen:
        raise PlateError(
            f"Pattern {pattern!r} does not tell the well. Expected {{well}}, or {{row}} and {{col}}."
        )
    pieces = _pieces((literal, gap) for literal, gap, _form, _conversion in parsed)
    end = "" if _OWN_ENDING.fullmatch(pattern) else _EXTENSION
    if ending:
        end = f"(?i:{re.escape(ending)})"
    one, other = (re.compile(_expression(pieces, star) + end) for star in (_MUCH, _LITTLE))
    return Layout(pattern, one, pattern, other)


def _pieces(parsed: Iterable[tuple[str, str | None]]) -> list[tuple[str, str]]:
    """A pattern's parts: `literal`, `gap` or `star`, and its text."""
    pieces = list[tuple[str, str]]()
    for literal, gap in parsed:
        pieces += [
            ("star" if part == "*" else "literal", part) for part in re.split(r"(\*)", literal) if part
        ]
        pieces += [("gap", gap)] if gap is not None else []
    return pieces


def _expression(pieces: Iterable[tuple[str, str]], star: str) -> str:
    expression, before = "", None
    for kind, text in pieces:
        are_open = kind != "literal" and before is not None
        if are_open and {text, before} & set(_GAPS) and (before, text) != ("row", "col"):
            expression += _EDGE
        if kind == "literal":
            expression += re.escape(text)
        else:
            expression += star if kind == "star" else f"(?P<{text}>{_GAPS.get(text, _ANY_GAP[star])})"
        before = None if kind == "literal" else text
    return expression
