"""From a folder to the sites in it."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from phenoclient.errors import PlateError
from phenoclient.plate.reading.formats import is_image, is_picture, why_unread
from phenoclient.plate.reading.layouts import BY_PRODUCT, IMAGE_ENDINGS, LAYOUTS, Layout
from phenoclient.plate.reading.readings import Reading, plain, plain_depth_or_time, read_paths, two_wells
from phenoclient.plate.reading.sites import WHOLE_STACK, Failure, Site, natural
from phenoclient.plate.reading.walking import Walk, walk

_NUM_NAMES = 3
_NONE = "none"
_DEPTH_AND_TIME = {"plane": "plane", "timepoint": "time point"}
_Identity = tuple[str, ...]


@dataclass(frozen=True)
class FoundSites:
    """What a folder holds under one layout. Every image in it is in a site, or in `file_failures`, or in `left_out`.

    Attributes:
        layout: The layout that the files were read by.
        sites: Every site, sorted; those of `failures` among them.
        failures: By `Site.identity`, why a site cannot be asked about: a channel of it has more than one file, or none
            of the plane or time point that was chosen.
        file_failures: By path relative to the folder, why a file (or a folder) belongs to no site.
        left_out: Images that are no site's on purpose: thumbnails, other planes and time points than the chosen
            ones, and links to files that are read already.
        notes: What else the folder holds, a sentence each.
    """

    layout: Layout
    sites: tuple[Site, ...]
    failures: dict[_Identity, Failure]
    file_failures: dict[Path, Failure] = field(default_factory=dict[Path, Failure])
    left_out: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()


def find_sites(
    folder: Path, layout: Layout | None = None, *, plane: str | None = None, timepoint: str | None = None
) -> FoundSites:
    """Finds the sites of a plate, or of several, in a folder and all folders below it.

    Args:
        folder: Where the images lie.
        layout: How they are named; None takes the named layout that matches the most files, and of several the
            first in `LAYOUTS`.
        plane: Takes only the files of this plane in depth, as the names of files or folders write it; leading zeros do
            not count. `none` takes those that tell no plane, such as projections beside a stack.
        timepoint: Takes only the files of this time point, likewise.

    Raises:
        PlateError: If the folder cannot be read, no file matches, all files could be of two wells, or no file is of
            the plane or time point.
    """
    walked = walk(folder)
    by_products = {path for path in walked.files if _is_by_product(path, layout)}
    images = [path for path in walked.files if path not in by_products and is_image(path)]
    named = layout
    layout = named or max(LAYOUTS.values(), key=lambda known: len(read_paths(known, images, folder)[0]))
    readings, unmatched = read_paths(layout, images, folder)
    if not readings:
        raise PlateError(_nothing_fits(folder, named, images, unmatched, walked.failures))
    if layout.by_products is not None:
        beside = {path for path in unmatched if layout.by_products.fullmatch(path.as_posix())}
        by_products |= beside
        unmatched = {path: why for path, why in unmatched.items() if path not in beside}
    files = [path for path in walked.files if path not in by_products]
    ambiguous = two_wells(readings, layout) if layout.name in LAYOUTS else {}
    if len(ambiguous) == len(readings):
        raise PlateError(f"{folder}: {next(iter(ambiguous.values()))}")
    readings = [reading for reading in readings if reading.path not in ambiguous]
    repeated = _read_already(folder, walked, images, readings)
    readings = [reading for reading in readings if reading.path not in repeated]
    unmatched = {path: _unmatched(path, why, folder, layout) for path, why in unmatched.items()} | ambiguous
    file_failures = walked.failures | {
        path: Failure("unmatched", why) for path, why in unmatched.items() if path not in repeated
    }
    forms = {frozenset(reading.spans) for reading in readings}
    unread = {path: why_unread(path, is_named_as_one=_fits(layout, path, folder, forms)) for path in files}
    file_failures |= {path: Failure("file", why) for path, why in unread.items() if why is not None}

    chosen = _chosen(folder, readings, {"plane": plane, "timepoint": timepoint})
    sites, failures = _sites(readings, chosen, {"plane": plane, "timepoint": timepoint})
    used = {path for site in sites for path in (*site.files.values(), *site.more_files)}
    others = [reading.path for reading in readings if reading.path not in used]
    notes = (
        _note(sorted(by_products), "thumbnails or other by-products are skipped"),
        _note(others, "files of other planes or time points are left out, as chosen"),
        _note(sorted(repeated), "links to files or files under two names are read once"),
        _note(walked.linked_again, "links to folders lead to what is read already"),
        _note(
            [path for path in walked.passed_over if is_image(path) or (folder / path).is_dir()],
            "hidden files or folders, or those that systems leave, are skipped",
        ),
        _note(
            [path for path in files if is_picture(path) and unread[path] is None],
            "pictures of other formats are left alone",
        ),
    )
    return FoundSites(
        layout,
        tuple(sites),
        failures,
        dict(sorted(file_failures.items())),
        (*sorted(by_products), *others, *sorted(repeated)),
        tuple(note for note in notes if note),
    )


def _is_by_product(path: Path, layout: Layout | None) -> bool:
    is_asked_for = layout is not None and layout.name not in LAYOUTS and "thumb" in layout.name.lower()
    return not is_asked_for and BY_PRODUCT.fullmatch(path.as_posix()) is not None


def _nothing_fits(
    folder: Path,
    named: Layout | None,
    images: Sequence[Path],
    unmatched: Mapping[Path, str],
    failures: Mapping[Path, Failure],
) -> str:
    as_what = "as any known layout has it" if named is None else f"as the layout {named.name} has it"
    unread = f" {next(iter(failures.values())).reason}" if failures else ""
    if not images:
        return f"{folder}: holds no TIFF or PNG file. Expected the folder of a plate's images.{unread}"
    example = f"; the first is {images[0].as_posix()}"
    if named is not None:
        example += f" ({unmatched[images[0]]})"
    return (
        f"{folder}: none of its {len(images)} TIFF and PNG files is named {as_what}{example}. Expected a layout out of "
        f"{', '.join(LAYOUTS)}, or a pattern: pass --pattern, such as '{{well}}_s{{site}}_w{{channel}}.tif'.{unread}"
    )


def _unmatched(path: Path, why: str, folder: Path, layout: Layout) -> str:
    others = [
        known.name
        for known in LAYOUTS.values()
        if known.name != layout.name and read_paths(known, [path], folder)[0]
    ]
    hint = f" It fits the layout {others[0]}: --layout {others[0]} reads such files alone." if others else ""
    return (
        f"{path.as_posix()}: {why.rstrip('.')}. Expected a name that tells its site: rename it, move it away, or pass "
        f"a --pattern.{hint}"
    )


def _fits(layout: Layout, path: Path, folder: Path, forms: Collection[frozenset[str]]) -> bool:
    """Whether a file that is not read is named as an image of the layout, but for its ending.

    `fig_B2.svg` is none where the images are named as `x_B02_s1_w1.tif` is: a name tells as much as one of `forms`.
    """
    if is_image(path):
        return False
    found = [
        reading
        for ending in ("", *IMAGE_ENDINGS)
        for reading in read_paths(layout, [path.with_name(path.stem + ending)], folder)[0]
    ]
    return bool(found) and (is_picture(path) or frozenset(found[0].spans) in forms)


def _read_already(
    folder: Path, walked: Walk, images: Iterable[Path], readings: Iterable[Reading]
) -> set[Path]:
    """Links, and files that links lead to, whose pixels are read under another name of the same meaning."""
    if not walked.links:
        return set()
    meanings = {
        reading.path: (reading.well, reading.site, reading.channel, reading.plane, reading.timepoint)
        for reading in readings
    }
    names = defaultdict[tuple[int, int], list[Path]](list)
    linked_to = set(walked.links.values())
    for path in images:
        inode = walked.links.get(path) or _inode(folder / path)
        if inode in linked_to:
            names[inode].append(path)
    repeated = set[Path]()
    for paths in names.values():
        seen = set[tuple[str | None, ...] | None]()
        for path in sorted(paths, key=lambda path: (path not in meanings, path in walked.links, path)):
            meaning = meanings.get(path)
            if meaning in seen or (meaning is None and seen):
                repeated.add(path)
            seen.add(meaning)
    return repeated


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None  # gone since: asking about its site says so
    return (status.st_dev, status.st_ino)


def _chosen(folder: Path, readings: Sequence[Reading], wanted: Mapping[str, str | None]) -> list[Reading]:
    """The readings of the plane and the time point that were asked for."""
    chosen = list(readings)
    for gap, choice in wanted.items():
        if choice is None:
            continue
        wanted_text = plain_depth_or_time(gap, choice)
        chosen = [reading for reading in chosen if (_told(reading, gap) or _NONE) == wanted_text]
        if not chosen:
            raise PlateError(
                f"{folder}: no file is of {_asked(wanted)}; {_those(readings)}. Expected one that the names of files "
                f"or folders tell: choose another, or leave --{gap} out."
            )
    return chosen


def _told(reading: Reading, gap: str) -> str | None:
    text: str | None = getattr(reading, gap)
    return None if text is None else plain_depth_or_time(gap, text)


def _asked(wanted: Mapping[str, str | None]) -> str:
    return " and ".join(
        f"{_DEPTH_AND_TIME[gap]} {choice}" for gap, choice in wanted.items() if choice is not None
    )


def _those(readings: Iterable[Reading]) -> str:
    """Which planes and time points some files are of, in words."""
    found = list(readings)
    words = list[str]()
    for gap, word in _DEPTH_AND_TIME.items():
        values = sorted({_told(reading, gap) or _NONE for reading in found}, key=natural)
        words.append(f"{word}s found: {', '.join(values)}")
    return ", ".join(words)


def _sites(
    readings: Sequence[Reading], chosen: Sequence[Reading], wanted: Mapping[str, str | None]
) -> tuple[list[Site], dict[_Identity, Failure]]:
    spellings = dict[str, str]()
    for channel in sorted({reading.channel for reading in readings}, key=natural):
        spellings.setdefault(plain(channel), channel)
    of_choice, of_any = _by_site(chosen), _by_site(readings)
    sites, failures = list[Site](), dict[_Identity, Failure]()
    for identity, every in of_any.items():
        channels = defaultdict[str, list[Reading]](list)
        for reading in of_choice.get(identity, every):
            channels[spellings[plain(reading.channel)]].append(reading)
        experiment, plate, well, number = identity
        files = {channel: found[0].path for channel, found in channels.items()}
        if identity not in of_choice:
            failures[identity] = Failure(
                "incomplete",
                f"no file of {_asked(wanted)}; {_those(every)}. Expected the same for every site: restore its "
                "files, or choose another.",
            )
        elif WHOLE_STACK in files and len(files) > 1:
            failures[identity] = _both_kinds(files)
        for channel, found in channels.items():
            if len(found) > 1 and identity in of_choice:
                failures.setdefault(identity, _several(channel, found))
        more = [reading.path for found in channels.values() for reading in found[1:]]
        sites.append(Site(experiment or None, plate, well, number, files, tuple(more)))
    return sorted(sites, key=lambda site: site.order), failures


def _by_site(readings: Iterable[Reading]) -> dict[_Identity, list[Reading]]:
    found = defaultdict[_Identity, list[Reading]](list)
    for reading in readings:
        found[reading.site_key].append(reading)
    return dict(found)


def _both_kinds(files: Mapping[str, Path]) -> Failure:
    return Failure(
        "incomplete",
        f"{files[WHOLE_STACK].as_posix()} names no channel, and other files of the site do. Expected a file a channel, "
        "or one file with the whole stack: move the others away, or pass a --pattern that fits one kind.",
    )


def _several(channel: str, readings: Sequence[Reading]) -> Failure:
    what = f"channel {channel}" if channel else "the site"
    names = ", ".join(reading.path.as_posix() for reading in readings[:_NUM_NAMES])
    differing = [gap for gap in _DEPTH_AND_TIME if len({_told(reading, gap) for reading in readings}) > 1]
    ways = [
        f"choose a {_DEPTH_AND_TIME[gap]} with --{gap}, out of "
        + ", ".join(sorted({_told(reading, gap) or _NONE for reading in readings}, key=natural))
        for gap in differing
    ]
    advice = " and ".join(ways) or "move all but one away, or give a --pattern that tells them apart"
    more = ", …" if len(readings) > _NUM_NAMES else ""
    return Failure("incomplete", f"{len(readings)} files for {what}: {names}{more}. Expected one: {advice}.")


def _note(paths: Sequence[Path], what: str) -> str:
    if not paths:
        return ""
    return f"{len(paths)} {what}: {paths[0].as_posix()}{' and others' if len(paths) > 1 else ''}"
