"""Files that are there whole or not at all."""

import os
from pathlib import Path

from phenoclient.errors import PlateError


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file under another name, and gives it its own once every byte is on the disk.

    Raises:
        PlateError: If it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise PlateError(f"{path}: cannot be written ({error.strerror}).") from error


def sync_folder(folder: Path) -> None:
    """Makes the names of new files in a folder last through a power cut, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
