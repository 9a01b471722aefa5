"""Which files lie below a folder: links are followed once, and what systems leave there is passed over."""

import os
import re
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from phenoclient.errors import PlateError
from phenoclient.plate.reading.sites import Failure

_SYSTEM_NAMES = frozenset(
    {
        "#recycle",
        "#snapshot",
        "$recycle.bin",
        "@eadir",
        "@recently-snapshot",
        "@recycle",
        "@tmp",
        "__macosx",
        "lost+found",
        "network trash folder",
        "recycler",
        "system volume information",
        "temporary items",
        "thumbs.db",
        "~snapshot",
    }
)
_LOST_CLUSTERS = re.compile(r"found\.[0-9]{3}")
_STACK_FOLDER = re.compile(r".*\.(?:zarr|n5)", re.IGNORECASE)
"""Folders that are one image in a format of chunks"""

_Inode = tuple[int, int]


@dataclass
class Walk:
    """What lies below a folder.

    Attributes:
        files: Every file, and every folder that is one image, relative to the folder and sorted. A folder that links
            lead to again is read once.
        links: For those of `files` that are links: which file they lead to.
        failures: Dead links, and folders that cannot be read, with the reason.
        passed_over: Hidden files and folders, and those that systems and editors leave; not looked into.
        linked_again: Links to folders that are read under another name, or that lead up.
    """

    files: list[Path] = field(default_factory=list[Path])
    links: dict[Path, _Inode] = field(default_factory=dict[Path, _Inode])
    failures: dict[Path, Failure] = field(default_factory=dict[Path, Failure])
    passed_over: list[Path] = field(default_factory=list[Path])
    linked_again: list[Path] = field(default_factory=list[Path])


def walk(folder: Path) -> Walk:
    """Lists a folder and all folders below it. Links count after what lies there itself.

    Raises:
        PlateError: If the folder is none, or cannot be read.
    """
    found = Walk()
    try:
        if not folder.is_dir():
            raise PlateError(f"{folder}: is no folder. Expected the folder of a plate's images.")
        above = {_inode(parent) for parent in folder.resolve().parents}
        os.scandir(folder).close()
    except OSError as error:
        raise PlateError(f"{error.filename or folder}: cannot be read ({error.strerror}).") from error
    seen, linked = set[_Inode](), deque[Path]()
    folders = deque([Path()])
    while folders or linked:
        is_link = not folders
        here = linked.popleft() if is_link else folders.popleft()
        try:
            inode = _inode(folder / here)
            if inode in seen or inode in above:
                found.linked_again.append(here)
                continue
            with os.scandir(folder / here) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            found.failures[here] = Failure("file", _unread(here, error.strerror or "an error of the disk"))
            continue
        seen.add(inode)
        for entry in entries:
            _sort(entry, here / entry.name, found, folders, linked)
    found.files.sort()
    return found


def _sort(
    entry: os.DirEntry[str], path: Path, found: Walk, folders: deque[Path], linked: deque[Path]
) -> None:
    name = path.name.lower()
    if name.startswith((".", "~$")) or name in _SYSTEM_NAMES or _LOST_CLUSTERS.fullmatch(name):
        found.passed_over.append(path)
        return
    try:
        is_link, is_folder, status = entry.is_symlink(), entry.is_dir(), None
        if is_link:
            status = entry.stat()
    except OSError as error:
        found.failures[path] = Failure("file", _unread(path, error.strerror or "an error of the disk"))
        return
    if is_folder and not _STACK_FOLDER.fullmatch(path.name):
        (linked if is_link else folders).append(path)
    elif not is_folder and not entry.is_file():
        found.failures[path] = Failure("file", _unread(path, "a pipe, a socket or a device"))
    else:
        found.files.append(path)
        if status is not None:
            found.links[path] = (status.st_dev, status.st_ino)


def _inode(path: Path) -> _Inode:
    status = path.stat()
    return (status.st_dev, status.st_ino)


def _unread(path: Path, why: str) -> str:
    return (
        f"{path.as_posix()}: cannot be read ({why}). Expected a file or a folder that may be read: mend or "
        "remove it, then run again."
    )
