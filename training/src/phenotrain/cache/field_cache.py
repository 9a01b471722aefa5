"""A finished cache, as training reads it."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from phenotrain.cache.errors import CacheError
from phenotrain.cache.layout import (
    FIELDS,
    LEFT_OUT,
    SITES,
    STATE,
    STORED,
    CacheMeta,
    load_array,
    read_meta,
)
from phenotrain.cache.pooling import means
from phenotrain.cache.tables import sites_from_csv
from phenotrain.datasets import Description
from phenotrain.plates import FieldForm, IncompleteSitesError, read_site, site_files, unmatched_names

Rows = Sequence[int] | npt.NDArray[np.integer]


class FieldCache:
    """The pooled fields of a screen on disk; opening it reads the table but no pixels.

    Row i of `sites` is row i everywhere. Made by `build_cache`, opened by `FieldCache.open`.

    Args:
        path: Folder of a finished cache.

    Raises:
        CacheError: If there is none, or its files contradict each other.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._meta = read_meta(path)
        if not self._meta.fingerprint:
            raise CacheError(
                f"the cache {path} is not finished; run `phenotrain cache` again to go on where it stopped"
            )
        try:
            table = sites_from_csv(path / SITES, self._meta.table_sha256)
            self.left_out = pd.read_csv(path / LEFT_OUT, dtype=str, keep_default_na=False)
        except (OSError, ValueError) as error:
            raise CacheError(
                f"the cache {path} is damaged ({error}); delete the folder and build again"
            ) from error
        states = load_array(path / STATE, len(table))
        self._fields = load_array(path / FIELDS, len(table))
        self._slots = np.flatnonzero(states == STORED)
        self.sites = table.iloc[self._slots].reset_index(drop=True)

    @classmethod
    def open(cls, path: Path) -> "FieldCache":
        """Open a finished cache.

        Args:
            path: Its folder.

        Returns:
            The cache.

        Raises:
            CacheError: As the constructor.
        """
        return cls(path)

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def meta(self) -> CacheMeta:
        """The record in `meta.json`."""
        return self._meta

    @property
    def description(self) -> Description:
        """The description of the dataset."""
        return self._meta.description

    @property
    def stains(self) -> tuple[str, ...]:
        """The stains in channel order."""
        return self._meta.description.stains

    @property
    def downsample(self) -> int:
        """Side of the square that one stored pixel pools, px."""
        return self._meta.downsample

    @property
    def form(self) -> FieldForm:
        """Size and dtype of the files before pooling."""
        return self._meta.form

    @property
    def field_shape(self) -> tuple[int, int, int]:
        """Shape of one pooled field, `(channel, y, x)`."""
        _, num_channels, height, width = self._fields.shape
        return num_channels, height, width

    @property
    def fingerprint(self) -> str:
        """SHA-256 over images, table and pooling; equal for equal data, wherever they lie."""
        return self._meta.fingerprint

    @property
    def simulated(self) -> bool:
        """Whether the images were drawn by a simulation."""
        return self._meta.simulated

    def read(self, rows: Rows) -> npt.NDArray[np.float32]:
        """Read pooled fields.

        Args:
            rows: Row numbers, any order, repeats allowed; negative ones count from the end.

        Returns:
            `(len(rows), channel, y', x')` mean intensities of `downsample` x `downsample` squares, as average
            pooling of the raw stack gives them.

        Raises:
            TypeError: If the rows are not whole numbers.
            IndexError: If a row does not exist.
        """
        index = np.asarray(rows)
        if index.size and index.dtype.kind not in "iu":
            raise TypeError(
                f"rows are of type {index.dtype}; expected whole numbers (np.flatnonzero of a mask)"
            )
        return means(self._fields[self._slots[index.astype(np.intp)]], self.downsample)

    def files(self, row: int) -> list[Path]:
        """Name the original files of a site.

        Args:
            row: Row number.

        Returns:
            One path a channel; a single one where it holds the whole stack.

        Raises:
            IndexError: If the row does not exist.
        """
        return [self._meta.data_root / file for file in self._files[row]]

    def read_raw(self, row: int) -> npt.NDArray[np.generic]:
        """Read the original stack of a site again, at full size.

        Args:
            row: Row number.

        Returns:
            `(channel, y, x)` in the files' dtype.

        Raises:
            IndexError: If the row does not exist.
            IncompleteSitesError: If a file has gone or changed its form since the cache was built.
        """
        site_id = str(self.sites["site_id"].iloc[row])
        read = read_site(
            self._meta.data_root,
            site_id,
            self._files[row],
            self.form,
            stack_stains=self._meta.description.stack_stains,
        )
        if read.stack is None:
            raise IncompleteSitesError(
                read.faults, "The cache was built when they were readable; put them back."
            )
        return read.stack

    def names_note(self) -> str:
        """Say what the files of stacks call their channels where the description's order was taken all the same.

        Returns:
            One sentence about the first site's file; empty where there is nothing to say.
        """
        stains = self._meta.description.stack_stains
        if not stains:
            return ""
        file = self.files(0)[0]
        names = unmatched_names(file.read_bytes(), stains)
        if not names:
            return ""
        return (
            f"{file.name} calls its channels {', '.join(name or '(no name)' for name in names)}; they are taken as"
            f" {', '.join(stains)}, in the order of [images] channels."
        )

    @cached_property
    def _files(self) -> list[tuple[str, ...]]:
        return site_files(self._meta.description, self.sites)
