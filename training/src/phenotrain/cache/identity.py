"""How a cache knows its images again: by size and time for itself, by content for everybody else."""

import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from phenotrain.cache.layout import CacheMeta


def signature_of(data_root: Path, files: tuple[str, ...]) -> int:
    """Sign the size and modification time of files, to notice later that one was replaced.

    Args:
        data_root: Folder that the paths are relative to.
        files: Paths; one that cannot be looked at counts as missing.

    Returns:
        64 bits.
    """
    digest = hashlib.blake2b(digest_size=8)
    for file in files:
        try:
            status = (data_root / file).stat()
            digest.update(f"{status.st_size}:{status.st_mtime_ns};".encode())
        except OSError:
            digest.update(b"missing;")
    return int.from_bytes(digest.digest(), "little")


def fingerprint_of(meta: CacheMeta, states: npt.NDArray[np.uint8], digests: npt.NDArray[np.uint8]) -> str:
    """Fingerprint a finished cache: the same on every machine, whatever the names and times of folders.

    Args:
        meta: Its record; channels, paths, downsample and table count, titles and tasks do not.
        states: `(slot,)` states.
        digests: `(slot, 32)` SHA-256 of each site's files, zeros where left out.

    Returns:
        SHA-256, hexadecimal.
    """
    digest = hashlib.sha256()
    parts = (
        meta.description.images.model_dump_json(),
        str(meta.downsample),
        str(meta.form),
        meta.table_sha256,
    )
    for part in parts:
        digest.update(part.encode() + b"\0")
    digest.update(states.tobytes())
    digest.update(digests.tobytes())
    return digest.hexdigest()
