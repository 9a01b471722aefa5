"""How instruments name the files of a plate: one table, and the patterns that users write."""

import re
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
    """

    name: str
    expression: re.Pattern[str]
    example: str


def _layout(name: str, expression: str, example: str) -> Layout:
    return Layout(name, re.compile(expression + _EXTENSION, re.IGNORECASE | re.ASCII), example)


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

BY_PRODUCT = re.compile(r".*_thumb(?:_?[0-9a-f-]{36})?\.[a-z0-9]+", re.IGNORECASE)
"""Names of pictures that instruments make of images: MetaXpress marks its thumbnails"""

_GAPS = {
    "experiment": r"[^/]+?",
    "plate": r"[^/]+?",
    "well": r"(?:[A-Za-z]{1,2}[-_ ]?[0-9]{1,3}|[0-9]{1,2}[A-Za-z]{1,2})(?:\.[abAB][12])?",
    "row": r"[A-Za-z]{1,2}|[0-9]{1,2}",
    "col": r"[0-9]{1,2}",
    "site": r"[0-9]+",
    "channel": r"[^/]+?",
    "plane": r"[0-9]+",
    "timepoint": r"[^/]+?",
}
_ANY_GAP = r"[^/]+?"
_OWN_ENDING = re.compile(r".*(?:\*|\.\{\w+\})", re.DOTALL)


def layout_of_pattern(pattern: str) -> Layout:
    """The layout that a pattern describes, such as `{plate}/{well}_s{site}_w{channel}.tif`.

    Args:
        pattern: Path of a file below the plate's folder. A gap is `{experiment}`, `{plate}`, `{well}` (or `{row}` and
            `{col}`), `{site}`, `{channel}`, `{plane}` or `{timepoint}`; a gap of any other name matches and is left
            alone. `*` matches anything within a folder's or file's name. Upper and lower case do not count in
            the ending; a pattern without one takes any that is read.

    Raises:
        PlateError: If the braces do not match, a gap stands twice, or no gap tells the well.
    """
    ending = next((known for known in IMAGE_ENDINGS if pattern.lower().endswith(known)), "")
    stem = pattern[: len(pattern) - len(ending)]
    try:
        parsed = list(Formatter().parse(stem))
    except ValueError as error:
        raise PlateError(f"Pattern {pattern!r}: {error}. Expected gaps such as {{well}}.") from error
    expression, seen = "", set[str]()
    for literal, gap, form, conversion in parsed:
        expression += r"[^/]*".join(re.escape(part) for part in literal.split("*"))
        if gap is None:
            continue
        if not gap.isidentifier() or form or conversion or gap in seen:
            raise PlateError(
                f"Pattern {pattern!r}: the gap {{{gap}}} is no plain name, has a format, or stands twice. Expected "
                f"each gap once, from {', '.join(_GAPS)} (any other name matches and is left alone)."
            )
        seen.add(gap)
        expression += f"(?P<{gap}>{_GAPS.get(gap, _ANY_GAP)})"
    if "well" not in seen and not {"row", "col"} <= seen:
        raise PlateError(
            f"Pattern {pattern!r} does not tell the well. Expected {{well}}, or {{row}} and {{col}}."
        )
    if ending:
        expression += f"(?i:{re.escape(ending)})"
    elif not _OWN_ENDING.fullmatch(pattern):
        expression += _EXTENSION
    return Layout(pattern, re.compile(expression), pattern)
