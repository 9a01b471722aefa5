"""The files of a bundle: listed without following links, read under their digest, written to stay."""

import hashlib
import os
import stat
from pathlib import Path

from phenoserve.bundle.errors import (
    AlteredFileError,
    BundleFileError,
    ExtraFileError,
    MissingFileError,
    UnsafePathError,
)
from phenoserve.bundle.manifest import MANIFEST_FILE, FileRecord, Manifest
from phenoserve.synced import sync

_FIX = "Copy the bundle again from where it was exported, or export it again."


def record_of(content: bytes) -> FileRecord:
    """Return the digest and the size of a file with this content."""
    return FileRecord(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))


def list_files(directory: Path) -> set[str]:
    """List every file under a bundle's folder, by its path inside it.

    Args:
        directory: The bundle's folder.

    Returns:
        Relative paths with `/` between their parts, `manifest.json` among them.

    Raises:
        UnsafePathError: If anything in it is neither a regular file nor a folder: a link lets content from
            outside in, and reading a pipe may never end.
    """
    found: set[str] = set()
    pending = [directory]
    while pending:
        for path in sorted(pending.pop().iterdir()):
            inside = path.relative_to(directory).as_posix()
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                raise UnsafePathError(
                    f"{path} is a symbolic link to {path.readlink()}; a bundle holds files and folders. "
                    "Replace the link by the file itself, for instance with `cp --dereference`."
                )
            if stat.S_ISDIR(mode):
                pending.append(path)
            elif stat.S_ISREG(mode):
                found.add(inside)
            else:
                raise UnsafePathError(
                    f"{path} is neither a regular file nor a folder, and a bundle holds nothing else. {_FIX}"
                )
    return found


def require_listed(directory: Path, found: set[str], manifest: Manifest) -> None:
    """Refuse a folder whose files are not exactly those of the manifest.

    Args:
        directory: The bundle's folder.
        found: Its files, as `list_files` lists them.
        manifest: Its manifest.

    Raises:
        MissingFileError: If a file the manifest lists is absent.
        ExtraFileError: If a file is there that the manifest does not list.
    """
    expected = {MANIFEST_FILE, *manifest.files}
    if missing := sorted(expected - found):
        raise MissingFileError(
            f"{directory / missing[0]} is in {MANIFEST_FILE} but not in the folder. {_FIX}"
        )
    if extra := sorted(found - expected):
        raise ExtraFileError(
            f"{directory / extra[0]} is in the folder but not in {MANIFEST_FILE}. Move it out of the bundle."
        )


def read_recorded(directory: Path, inside: str, record: FileRecord) -> bytes:
    """Read one file of a bundle, refusing content that is not the recorded one.

    Args:
        directory: The bundle's folder.
        inside: The file's path inside it.
        record: Its digest and size in the manifest.

    Returns:
        The file's content: the very bytes whose digest was checked.

    Raises:
        AlteredFileError: If the size or the digest differs.
        MissingFileError: If the file is absent.
    """
    path = directory / inside
    content = read_bounded(path, record.size_bytes)
    found = record_of(content)
    if found.size_bytes != record.size_bytes:
        more = " or more" if found.size_bytes > record.size_bytes else ""  # it was not read beyond that
        raise AlteredFileError(
            f"{path} has {found.size_bytes} bytes{more}; {MANIFEST_FILE} says {record.size_bytes}. {_FIX}"
        )
    if found.sha256 != record.sha256:
        raise AlteredFileError(
            f"{path} has SHA-256 {found.sha256}; {MANIFEST_FILE} says {record.sha256}. {_FIX}"
        )
    return content


def read_bounded(path: Path, limit_bytes: int) -> bytes:
    """Read a regular file, at most one byte beyond `limit_bytes`, without following a link in its last part.

    Raises:
        MissingFileError: If there is no such file.
        BundleFileError: If it cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(descriptor, "rb") as file:
            return file.read(limit_bytes + 1)
    except FileNotFoundError as error:
        raise MissingFileError(f"{path} does not exist. {_FIX}") from error
    except OSError as error:
        raise BundleFileError(
            f"{path} cannot be read ({error.strerror}). Make it readable to this user."
        ) from error


def write_synced(path: Path, content: bytes) -> None:
    """Write a new file and wait until its content is on the disk."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        sync(file.fileno())
