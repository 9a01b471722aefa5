"""Files that are written whole or not at all, and places that cannot hold what a run needs."""

import errno
from collections.abc import Callable
from pathlib import Path

from phenoserve.synced import sync

_LACKING = frozenset(
    {errno.EINVAL, errno.ENODEV, errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM}
)


def written(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` write beside `path`, then move the file there; nothing half-written ever has the name.

    Args:
        path: The file.
        write: Writes the content to the path it is given.

    Raises:
        OSError: If it cannot be written.
    """
    partial = path.with_name(path.name + ".tmp")
    write(partial)
    with partial.open("rb+") as file:
        sync(file.fileno())
    partial.replace(path)


def local_disk_hint(error: Exception, option: str) -> str:
    """Advise another place where an error shows that the file system lacks something.

    Args:
        error: What was raised.
        option: The option or argument that names the place.

    Returns:
        A clause to put behind a message; empty where the error shows nothing of the kind.
    """
    if isinstance(error, OSError) and error.errno in _LACKING:
        return (
            f"; the file system there lacks what is needed, so choose a folder on a local disk with {option}"
        )
    return ""
