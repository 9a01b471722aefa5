"""From a folder to the sites in it."""

import os
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from phenoclient.errors import PlateError
from phenoclient.plate.layouts import LAYOUTS, Layout
from phenoclient.plate.sites import WHOLE_STACK, Failure, Site, well_name, well_of

_IMAGE_ENDINGS = frozenset({".tif", ".tiff", ".png"})
_INSTRUMENT_FOLDERS = re.compile(r"images?|timepoint_\d+|zstep_\d+", re.IGNORECASE)
_NUM_NAMES = 3


@dataclass(frozen=True)
class FoundSites:
    """What a folder holds under one layout.

    Attributes:
        layout: The layout that the files were read by.
        sites: Every site, sorted; those of `failures` among them.
        failures: By `Site.identity`, why a site cannot be asked about: a channel of it has more than one file.
        unmatched: Image files, relative to the folder, whose names the layout does not match.
    """

    layout: Layout
    sites: tuple[Site, ...]
    failures: dict[tuple[str, ...], Failure]
    unmatched: tuple[Path, ...]


def find_sites(
    folder: Path, layout: Layout | None = None, *, plane: str | None = None, timepoint: str | None = None
) -> FoundSites:
    """Finds the sites of a plate, or of several, in a folder and all folders below it.

    Args:
        folder: Where the images lie.
        layout: How they are named; None takes the named layout that matches the most files, and of several the
            first in `LAYOUTS`.
        plane: Takes only the files of this plane in depth, as the file names write it; leading zeros do not count.
        timepoint: Takes only the files of this time point, likewise.

    Raises:
        PlateError: If the folder cannot be read, or no file matches.
    """
    images = _images(folder)
    if layout is None:
        layout = max(LAYOUTS.values(), key=lambda known: len(_matching(known, images)))
    matches = _matching(layout, images)
    if not matches:
        raise PlateError(
            f"{folder}: none of its {len(images)} TIFF and PNG files is named as the layout {layout.name} has it "
            f"({layout.example}){_for_example(images)}. Expected a layout out of "
            f"{', '.join(LAYOUTS)}, or a pattern: pass --pattern, such as '{{well}}_s{{site}}_w{{channel}}.tif'."
        )
    files: defaultdict[tuple[str, ...], defaultdict[str, list[Path]]]
    files = defaultdict(lambda: defaultdict(list))
    for path, match in matches.items():
        groups = match.groupdict()
        if _is_other(groups.get("plane"), plane) or _is_other(groups.get("timepoint"), timepoint):
            continue
        files[_identity(folder, path, groups)][groups.get("channel") or WHOLE_STACK].append(path)
    if not files:
        raise PlateError(
            f"{folder}: no file is of plane {plane} and time point {timepoint}. Expected those that file names tell."
        )
    sites, failures = list[Site](), dict[tuple[str, ...], Failure]()
    for identity, channels in files.items():
        experiment, plate, well, number = identity
        first = {channel: paths[0] for channel, paths in channels.items()}
        sites.append(Site(experiment or None, plate, well, number, first))
        for channel, paths in channels.items():
            if len(paths) > 1:
                failures[identity] = _several(channel, paths)
    unmatched = tuple(path for path in images if path not in matches)
    return FoundSites(layout, tuple(sorted(sites, key=lambda site: site.order)), failures, unmatched)


def _images(folder: Path) -> list[Path]:
    found = list[Path]()
    try:
        if not folder.is_dir():
            raise PlateError(f"{folder}: is no folder. Expected the folder of a plate's images.")
        for where, folders, names in os.walk(folder, onerror=_raise):
            folders.sort()
            found += [
                Path(where, name) for name in sorted(names) if Path(name).suffix.lower() in _IMAGE_ENDINGS
            ]
    except OSError as error:
        raise PlateError(f"{error.filename or folder}: cannot be read ({error.strerror}).") from error
    return [path.relative_to(folder) for path in found]


def _raise(error: OSError) -> None:
    raise error


def _matching(layout: Layout, images: Sequence[Path]) -> dict[Path, re.Match[str]]:
    matches = ((path, layout.expression.fullmatch(path.as_posix())) for path in images)
    return {path: match for path, match in matches if match is not None}


def _identity(folder: Path, path: Path, groups: dict[str, str | None]) -> tuple[str, ...]:
    well = groups.get("well")
    try:
        well = well_of(groups["row"] or "", groups["col"] or "") if well is None else well_name(well)
    except ValueError as error:
        raise PlateError(f"{folder / path}: {error}") from error
    plate = groups.get("plate") or _plate_of_folders(folder, path)
    return (groups.get("experiment") or "", plate, well, _plain_number(groups.get("site") or "1"))


def _plate_of_folders(folder: Path, path: Path) -> str:
    """The nearest folder that is not one of those that instruments put into every plate."""
    names = [name for name in path.parent.parts if not _INSTRUMENT_FOLDERS.fullmatch(name)]
    return names[-1] if names else folder.resolve().name


def _is_other(found: str | None, wanted: str | None) -> bool:
    return found is not None and wanted is not None and _plain_number(found) != _plain_number(wanted)


def _plain_number(text: str) -> str:
    return str(int(text)) if text.isdecimal() else text


def _several(channel: str, paths: list[Path]) -> Failure:
    what = f"channel {channel}" if channel else "the site"
    names = ", ".join(path.as_posix() for path in paths[:_NUM_NAMES])
    return Failure(
        "incomplete",
        f"{len(paths)} files for {what}: {names}{', …' if len(paths) > _NUM_NAMES else ''}. Expected one: "
        "choose a plane with --plane, a time point with --timepoint, or give a --pattern that tells them apart.",
    )


def _for_example(images: Sequence[Path]) -> str:
    return f"; the first is {images[0].as_posix()}" if images else ""
