"""Waiting until what was written is on the disk, as far as the file system can promise that."""

import errno
import os
from pathlib import Path

_NO_SUCH_PROMISE = frozenset(
    {
        errno.EACCES,
        errno.EBADF,
        errno.EINVAL,
        errno.EISDIR,
        errno.ENOSYS,
        errno.ENOTSUP,
        errno.EOPNOTSUPP,
        errno.EPERM,
    }
)
"""What network shares and mounted object stores answer to a sync that they do not know."""


def sync(descriptor: int) -> None:
    """Wait until an open file or folder is on the disk; where the file system cannot tell, go on.

    Args:
        descriptor: Of the open file or folder.

    Raises:
        OSError: If writing failed: the disk is full, or broken.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SUCH_PROMISE:
            raise


def sync_folder(directory: Path) -> None:
    """Wait until a folder's entries are on the disk, where the file system opens folders and can tell.

    Args:
        directory: The folder.

    Raises:
        OSError: As `sync`, or if there is no such folder.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except OSError as error:
        if error.errno not in _NO_SUCH_PROMISE:
            raise
        return
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)
