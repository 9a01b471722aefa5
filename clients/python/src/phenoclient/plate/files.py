"""Files that are there whole or not at all."""

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from phenoclient.errors import PlateError

LOCAL_DISK = "Expected a folder on a disk that can: choose one on a local disk with --out"
_UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})
"""How file systems say that they cannot do something at all, network shares for example"""


@contextmanager
def replacing(path: Path) -> Generator[BinaryIO]:
    """A file under another name that gets its own once every byte is on the disk; none is left after an error.

    Raises:
        PlateError: If it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        try:
            with temporary.open("wb") as file:
                yield file
                file.flush()
                sync(file.fileno())
            temporary.replace(path)
            sync_folder(path.parent)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise PlateError(f"{path}: cannot be written ({error.strerror}).") from error


def sync(descriptor: int) -> None:
    """Puts what was written on the disk; where the file system has no such call, whenever it does so itself."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise


def sync_folder(folder: Path) -> None:
    """Makes the names of new files in a folder last through a power cut, where the system can."""
    if os.name != "posix":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return  # a folder that may be written but not listed
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)
