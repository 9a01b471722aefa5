"""How instruments name the files of a plate: one table, and the patterns that users write."""

import re
from dataclasses import dataclass
from string import Formatter

from phenoclient.errors import PlateError

_EXTENSION = r"\.(?i:tiff?|png)"
_FOLDERS = r"(?:.*/)?"


@dataclass(frozen=True)
class Layout:
    """How the files of a plate are named.

    Attributes:
        name: Name of the layout, or the pattern as given.
        expression: Matches the path below the plate's folder, with `/` between folders. Its groups may be
            `experiment`, `plate`, `well` (or `row` and `col`), `site`, `channel`, `plane` and `timepoint`.
        example: A path that it matches.
    """

    name: str
    expression: re.Pattern[str]
    example: str


def _layout(name: str, expression: str, example: str) -> Layout:
    return Layout(name, re.compile(expression + _EXTENSION), example)


_SHIPPED = (
    _layout(
        "rxrx",
        r"(?:(?:.*/)?(?P<experiment>[^/]+)/)?Plate(?P<plate>\d+)/"
        r"(?P<well>[A-Z]{1,2}\d{2})_s(?P<site>\d+)_w?(?P<channel>\d+)",
        "HUVEC-1/Plate1/AA02_s2_w3.png",
    ),
    _layout(
        "imagexpress",
        _FOLDERS + r"(?:TimePoint_(?P<timepoint>\d+)/)?(?:ZStep_(?P<plane>\d+)/)?"
        # The id of 36 digits that MetaXpress adds; a thumbnail carries `_thumb` before it and is left alone.
        r"(?:(?P<plate>[^/]+)_)?(?P<well>[A-Z]{1,2}\d{2})"
        r"(?:_s(?P<site>\d+))?(?:_w(?P<channel>\d+))?(?:_?[0-9A-Fa-f-]{36})?",
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
        _FOLDERS
        + r"(?:(?P<plate>[^/]+)_)?(?P<well>[A-Z]{1,2}\d{2})_T(?P<timepoint>\d+)F(?P<site>\d+)L\d+A\d+"
        r"Z(?P<plane>\d+)C(?P<channel>\d+)",
        "AssayPlate_B03_T0001F002L01A01Z01C01.tif",
    ),
    _layout(
        "incucyte",
        _FOLDERS
        + r"(?:(?P<plate>[^/]+)_)?(?P<well>[A-P]\d{1,2})[_-](?P<site>\d+)(?:-(?P<channel>[A-Za-z]\w*))?"
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

_GAPS = {
    "experiment": r"[^/]+?",
    "plate": r"[^/]+?",
    "well": r"[A-Za-z]{1,2}\d{1,2}",
    "row": r"[A-Za-z]{1,2}|\d{1,2}",
    "col": r"\d{1,2}",
    "site": r"\d+",
    "channel": r"[^/]+?",
    "plane": r"\d+",
    "timepoint": r"[^/]+?",
}
_ANY_GAP = r"[^/]+?"


def layout_of_pattern(pattern: str) -> Layout:
    """The layout that a pattern describes, such as `{plate}/{well}_s{site}_w{channel}.tif`.

    Args:
        pattern: Path of a file below the plate's folder. A gap is `{experiment}`, `{plate}`, `{well}` (or `{row}` and
            `{col}`), `{site}`, `{channel}`, `{plane}` or `{timepoint}`; a gap of any other name matches and is left
            alone. `*` matches anything within a folder's or file's name.

    Raises:
        PlateError: If the braces do not match, a gap stands twice, or no gap tells the well.
    """
    try:
        parsed = list(Formatter().parse(pattern))
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
    return Layout(pattern, re.compile(expression), pattern)
