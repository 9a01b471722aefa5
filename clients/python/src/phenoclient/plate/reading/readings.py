"""What the path of an image says, under one layout."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from phenoclient.plate.reading.layouts import Layout
from phenoclient.plate.reading.sites import WHOLE_STACK, as_utf8, well_name, well_of

_DEPTH_AND_TIME = {
    "plane": re.compile(r"(?:z[ _-]?(?:step|stack|plane|slice)?|plane|slice)[ _-]?([0-9]+)", re.IGNORECASE),
    "timepoint": re.compile(r"(?:time[ _-]?point|time|tp?)[ _-]?([0-9]+)", re.IGNORECASE),
}
_IMAGES = re.compile(r"images?", re.IGNORECASE)
_TOKEN = re.compile(r"[^_\-\s.]+")
_WELL_TOKEN = re.compile(r"(?!(?-i:[q-z])[0-9])[A-Z]{1,2}[0-9]{1,3}", re.IGNORECASE | re.ASCII)
_SITE_FOLDER = re.compile(r"(?:s|f|site|field|fov)[ _-]?0*([0-9]+)", re.IGNORECASE)
_CHANNEL_FOLDER = re.compile(r"(?:w|c|ch|channel|wavelength)[ _-]?0*([0-9]+)", re.IGNORECASE)
_ENDING = re.compile(r"(?:\.ome)?\.[^.]*\Z", re.IGNORECASE)


@dataclass(frozen=True)
class Reading:
    """What the path of one image says.

    Attributes:
        path: The image, relative to the plate's folder.
        experiment: Name of the experiment; empty where the path tells none.
        plate: Name of the plate.
        plate_folder: The folder that the plate lies in.
        is_named_by_folder: Whether a folder is what names the plate.
        well: The well, under its one name.
        site: Number or name of the site.
        channel: Channel as written, or `WHOLE_STACK`.
        plane: Plane in depth as written; None where the path tells none.
        timepoint: Time point, likewise.
        spans: Where in the file's name each gap's text lies.
        folder_wells: Names of folders that look like a well, and say nothing else.
    """

    path: Path
    experiment: str
    plate: str
    plate_folder: PurePosixPath
    is_named_by_folder: bool
    well: str
    site: str
    channel: str
    plane: str | None
    timepoint: str | None
    spans: Mapping[str, tuple[int, int]]
    folder_wells: tuple[str, ...]

    @property
    def tokens(self) -> dict[str, tuple[int, int]]:
        """Parts of the file's name that look like a well and are read as nothing, and where they lie."""
        taken = [span for gap, span in self.spans.items() if gap not in {"plate", "experiment"}]
        return {
            found[0]: found.span()
            for found in _TOKEN.finditer(self.path.name)
            if is_like_a_well(found[0]) and not any(_overlap(found.span(), span) for span in taken)
        }

    @property
    def site_key(self) -> tuple[str, ...]:
        """`Site.identity`."""
        return (self.experiment, self.plate, self.well, self.site)


def read_paths(layout: Layout, paths: Iterable[Path], root: Path) -> tuple[list[Reading], dict[Path, str]]:
    """Reads paths by a layout.

    Args:
        layout: How they are named.
        paths: Relative to the folder of the plate, or of several.
        root: That folder; it names the plate where nothing else does.

    Returns:
        What those say that fit the layout; and why the others do not.
    """
    matches, wells, reasons = dict[Path, re.Match[str]](), dict[Path, str](), dict[Path, str]()
    for path in paths:
        match = layout.expression.fullmatch(path.as_posix())
        if match is None:
            reasons[path] = f"its name does not fit the layout {layout.name} ({layout.example})"
            continue
        try:
            wells[path] = _well(match)
            _check_one_way(layout, path, match)
        except ValueError as error:
            reasons[path] = f"{error}"
        else:
            matches[path] = match
    tells_again = _folders_that_tell_again(matches, wells)
    readings = [_reading(match, path, wells[path], tells_again, root) for path, match in matches.items()]
    return _plates_apart(readings), reasons


def plain(text: str) -> str:
    """A number without leading zeros, or text without case: what counts where two are compared."""
    return str(int(text)) if text.isascii() and text.isdecimal() else text.casefold()


def plain_depth_or_time(gap: str, text: str) -> str:
    """The same for a plane or a time point, which may also be written as a folder's name is: `ZStep_2` is 2."""
    found = _DEPTH_AND_TIME[gap].fullmatch(text.strip())
    return plain(found[1] if found else text.strip())


def is_like_a_well(text: str) -> bool:
    """Whether text could be meant for a well: letters, then digits, on the largest plate."""
    if _WELL_TOKEN.fullmatch(text) is None:
        return False
    try:
        well_name(text)
    except ValueError:
        return False
    return True


def _well(match: re.Match[str]) -> str:
    groups = match.groupdict()
    well = groups.get("well")
    return well_of(groups["row"] or "", groups["col"] or "") if well is None else well_name(well)


def _check_one_way(layout: Layout, path: Path, match: re.Match[str]) -> None:
    """Makes sure that a pattern reads one well and one site, however much its open gaps take.

    Raises:
        ValueError: If it does not.
    """
    other = match if layout.other_expression is None else layout.other_expression.fullmatch(path.as_posix())
    one_way, other_way = (
        (_well(found), found.groupdict().get("site") or "1") for found in (match, other or match)
    )
    if one_way != other_way:
        raise ValueError(
            f"the pattern reads well {one_way[0]}, site {one_way[1]}, or well {other_way[0]}, site {other_way[1]}: "
            "write out what stands before and behind them"
        )


def _reading(
    match: re.Match[str], path: Path, well: str, tells_again: set[tuple[str, ...]], root: Path
) -> Reading:
    groups = {gap: text for gap, text in match.groupdict().items() if text is not None}
    start = len(path.as_posix()) - len(path.name)
    depth_and_time = {gap: groups.get(gap) for gap in _DEPTH_AND_TIME}
    kept, folder_wells, at = list[str](), list[str](), 0
    for depth, part in enumerate(path.parent.parts):
        is_free = not any(_overlap(match.span(gap), (at, at + len(part))) for gap in groups)
        at += len(part) + 1
        of_folder = {
            gap: found[1] for gap, form in _DEPTH_AND_TIME.items() if (found := form.fullmatch(part))
        }
        if is_free and of_folder:
            depth_and_time = {gap: depth_and_time[gap] or of_folder.get(gap) for gap in depth_and_time}
        elif not _IMAGES.fullmatch(part) and path.parent.parts[:depth] not in tells_again:
            kept.append(part)
            folder_wells += [part] if is_free and is_like_a_well(part) else []
    is_in_name = "plate" in groups and match.start("plate") >= start
    plate = groups.get("plate") or (kept[-1] if kept else _name_of(root))
    return Reading(
        path=path,
        experiment=as_utf8(groups.get("experiment", "")),
        plate=as_utf8(plate),
        plate_folder=PurePosixPath(*kept),
        is_named_by_folder=not is_in_name,
        well=well,
        site=plain(groups.get("site", "1")),
        channel=as_utf8(groups.get("channel", WHOLE_STACK)),
        plane=depth_and_time["plane"],
        timepoint=depth_and_time["timepoint"],
        spans={
            gap: (match.start(gap) - start, match.end(gap) - start)
            for gap in groups
            if match.start(gap) >= start
        },
        folder_wells=tuple(folder_wells),
    )


def _name_of(root: Path) -> str:
    parts = root.resolve().parts
    ignored = (_IMAGES, *_DEPTH_AND_TIME.values())
    return next(
        (part for part in reversed(parts) if not any(form.fullmatch(part) for form in ignored)), parts[-1]
    )


def _folders_that_tell_again(
    matches: Mapping[Path, re.Match[str]], wells: Mapping[Path, str]
) -> set[tuple[str, ...]]:
    """Folders whose folders all repeat the well, site or channel in their files' names, and so part no plates."""
    found = defaultdict[tuple[str, ...], bool](lambda: True)
    for path, match in matches.items():
        parts = path.parent.parts
        for depth, part in enumerate(parts):
            found[parts[:depth]] &= _tells_again(part, match.groupdict(), wells[path])
    return {parent for parent, is_again in found.items() if is_again}


def _tells_again(part: str, groups: Mapping[str, str | None], well: str) -> bool:
    site, channel = groups.get("site"), groups.get("channel")
    if is_like_a_well(part) and well_name(part) == well:
        return True
    if channel is not None and not plain(channel).isdecimal() and plain(channel) == plain(part):
        return True
    return any(
        text is not None and (found := form.fullmatch(part)) is not None and plain(found[1]) == plain(text)
        for text, form in ((site, _SITE_FOLDER), (channel, _CHANNEL_FOLDER))
    )


def _plates_apart(readings: Sequence[Reading]) -> list[Reading]:
    """The same with plates of one name in several folders told apart by the folders."""
    folders = defaultdict[tuple[str, str], dict[PurePosixPath, bool]](dict)
    for reading in readings:
        folders[reading.experiment, reading.plate][reading.plate_folder] = reading.is_named_by_folder
    names = {key: _names_by_folder(key[1], found) for key, found in folders.items() if len(found) > 1}
    return [
        replace(reading, plate=names[key][reading.plate_folder])
        if (key := (reading.experiment, reading.plate)) in names
        else reading
        for reading in readings
    ]


def _names_by_folder(plate: str, folders: Mapping[PurePosixPath, bool]) -> dict[PurePosixPath, str]:
    """A name for the plate in each folder; the value says whether the folder is what names it."""
    whole = {folder: f"{as_utf8(folder.as_posix())}/{plate}" for folder in folders}
    short = {
        folder: as_utf8(folder.as_posix())
        if folder.parts and (is_named_by_folder or folder.name == plate)
        else whole[folder]
        for folder, is_named_by_folder in folders.items()
    }
    return short if len(set(short.values())) == len(short) else whole


def two_wells(readings: Sequence[Reading], layout: Layout) -> dict[Path, str]:
    """Images whose path could name another well than the one that was read, and both readings in words.

    A part of the file's name that is the same in all files while the well differs names no well, and folders name
    wells only where they differ and each holds files of one well.
    """
    wells = {reading.well for reading in readings}
    tokens = {reading.path: reading.tokens for reading in readings}
    constant = set[str]().union(*tokens.values()).intersection(*filter(None, tokens.values()))
    if len(wells) < 2 or all(_is_beyond_384(well) for well in wells):
        constant = {token for token in constant if len(wells) > 1 and _is_beyond_384(well_name(token))}
    wells_below = defaultdict[str, set[str]](set)
    for reading in readings:
        for name in reading.folder_wells:
            wells_below[well_name(name)].add(reading.well)
    are_folders_wells = len(wells_below) > 1 and all(len(below) == 1 for below in wells_below.values())
    found = dict[Path, str]()
    for reading in readings:
        other = next((token for token in tokens[reading.path] if token not in constant), None)
        if other is not None:
            found[reading.path] = _both(reading, other, layout)
        elif are_folders_wells and reading.folder_wells:
            found[reading.path] = _both(reading, reading.folder_wells[-1], layout)
    return found


def _is_beyond_384(well: str) -> bool:
    return len(well.split(".")[0].rstrip("0123456789")) > 1 or well[0] > "P"


def _both(reading: Reading, token: str, layout: Layout) -> str:
    own, other = _pattern(reading, None), _pattern(reading, token)
    return (
        f"{reading.path.as_posix()}: names well {reading.well} by the layout {layout.name}, and {token} looks like "
        f"well {well_name(token)}. Expected one well: say which with --pattern '{own}' ({reading.well}) or "
        f"--pattern '{other}' ({well_name(token)})."
    )


def _pattern(reading: Reading, well: str | None) -> str:
    """The pattern that reads the path so, with that part as the well; what it does not say is `*`."""
    name = _ENDING.sub("", reading.path.name)
    gaps = {gap: span for gap, span in reading.spans.items() if gap not in {"experiment", "id"}}
    folders = ["*"] * len(reading.path.parent.parts)
    other_well = list[tuple[int, int]]()
    if well is not None:
        other_well = [gaps.pop(gap) for gap in ("well", "row", "col") if gap in gaps]
    if well in reading.tokens:
        plate, gaps["well"] = gaps.pop("plate", (0, 0)), reading.tokens[well]
        if plate[0] < gaps["well"][0] < plate[1]:
            gaps["plate"] = (plate[0], gaps["well"][0] - 1)
    elif well is not None:
        folders[max(at for at, part in enumerate(reading.path.parent.parts) if part == well)] = "{well}"
    pieces = dict.fromkeys(other_well, "*") | {span: f"{{{gap}}}" for gap, span in gaps.items()}
    pieces |= {
        found.span(): "*"
        for found in _TOKEN.finditer(name)
        if not any(_overlap(found.span(), span) for span in (*gaps.values(), *other_well))
    }
    pattern, end = "", 0
    for (start, stop), piece in sorted(pieces.items()):
        pattern += name[end:start] + piece
        end = stop
    return "/".join([*folders, pattern + name[end:] + reading.path.name[len(name) :]])


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]
