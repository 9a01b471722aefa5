"""The files of a cache folder, and the record that says what they hold.

meta.json       what the cache was made of, and whether it is finished
sites.csv       every site of the table, left-out ones among them; row i belongs to slot i of the arrays
fields.npy      (slot, channel, y', x') pooled fields
state.npy       (slot,) uint8: 0 not yet, 1 stored, 2 left out
digests.npy     (slot, 32) uint8: SHA-256 of the site's files
signatures.npy  (slot,) uint64: sizes and modification times of the site's files when they were read
left_out.csv    site_id, file, reason
"""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from numpy.lib.format import open_memmap
from pydantic import BaseModel, ConfigDict, ValidationError

from phenotrain.cache.errors import CacheError
from phenotrain.datasets import Description
from phenotrain.files import local_disk_hint, written
from phenotrain.plates import FieldForm

META, SITES, FIELDS, STATE = "meta.json", "sites.csv", "fields.npy", "state.npy"
DIGESTS, SIGNATURES, LEFT_OUT = "digests.npy", "signatures.npy", "left_out.csv"
FILES = (META, SITES, FIELDS, STATE, DIGESTS, SIGNATURES, LEFT_OUT)

PENDING, STORED, OMITTED = 0, 1, 2
DIGEST_SIZE = 32


class CacheMeta(BaseModel):
    """Content of `meta.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: Literal[1] = 1
    description: Description
    data_root: Path
    simulated: bool
    """Whether the images were drawn, not taken: the data root holds `SIMULATED.json`."""
    downsample: int
    form: FieldForm
    """What every file of the dataset has in common; the fields before pooling."""
    table_sha256: str
    """Digest of `sites.csv`."""
    fingerprint: str = ""
    """Digest of all above that shapes the fields, and of every image; empty until the cache is finished."""


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old content or the new, never a part.

    Args:
        path: The file.
        content: Its new content.

    Raises:
        OSError: If it cannot be written.
    """
    written(path, lambda partial: partial.write_bytes(content))


def write_meta(folder: Path, meta: CacheMeta) -> None:
    """Write `meta.json` atomically.

    Args:
        folder: The cache.
        meta: Its record.
    """
    write_atomically(folder / META, (meta.model_dump_json(indent=2) + "\n").encode())


def read_meta(folder: Path) -> CacheMeta:
    """Read `meta.json`.

    Args:
        folder: The cache.

    Returns:
        Its record.

    Raises:
        CacheError: If there is none, or it is of another format version or damaged.
    """
    try:
        return CacheMeta.model_validate_json((folder / META).read_bytes())
    except FileNotFoundError as error:
        raise CacheError(
            f"{folder} is no cache: it has no {META}. Make one with `phenotrain cache`"
        ) from error
    except ValidationError as error:
        raise CacheError(
            f"{folder / META} cannot be understood ({error}); delete the folder and build again"
        ) from error


def create_array(path: Path, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
    """Create a `.npy` file of zeros; the file system need not give it space before it is written.

    Args:
        path: The file.
        shape: Shape of the array.
        dtype: Its type.
    """
    open_memmap(path, mode="w+", dtype=dtype, shape=shape).flush()


def load_array(path: Path, num_slots: int, *, writable: bool = False) -> np.memmap[Any, np.dtype[Any]]:
    """Map one of the arrays of a cache.

    Args:
        path: The `.npy` file.
        num_slots: Number of slots that it must have.
        writable: Whether what is written to the array goes to the file.

    Returns:
        The mapped array.

    Raises:
        CacheError: If the file is missing, cut off, of another length, or may not be written.
    """
    try:
        array = np.load(path, mmap_mode="r+" if writable else "r")
    except (OSError, ValueError, EOFError) as error:
        if hint := local_disk_hint(error, "--cache"):
            raise CacheError(f"{path} cannot be mapped ({error}){hint}") from error
        raise CacheError(
            f"{path} is damaged ({error}); delete the cache {path.parent} and build again"
        ) from error
    if not isinstance(array, np.memmap) or len(array) != num_slots:
        raise CacheError(
            f"{path} is not of {num_slots} slots; delete the cache {path.parent} and build again"
        )
    return array
