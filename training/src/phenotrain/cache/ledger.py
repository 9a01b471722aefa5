"""Which slots of a cache are stored: noted only after their pixels are safe on disk."""

import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from phenoserve.synced import sync
from phenotrain.cache.layout import DIGESTS, FIELDS, OMITTED, PENDING, SIGNATURES, STATE, STORED, load_array
from phenotrain.cache.worker import Outcome

_SAVE_EVERY_S = 1.0


class Ledger:
    """The open book of a build: state, digest and signature of every slot.

    Used as a context manager; leaving it saves. A slot is marked as stored only once the operating system has
    written its pixels, so even a power cut leaves no slot that claims to be stored and is not.

    Args:
        folder: The cache, whose arrays exist.
        num_slots: Number of its slots.

    Raises:
        CacheError: If an array is damaged.
    """

    def __init__(self, folder: Path, num_slots: int) -> None:
        self.states = load_array(folder / STATE, num_slots, writable=True)
        self.digests = load_array(folder / DIGESTS, num_slots, writable=True)
        self.signatures = load_array(folder / SIGNATURES, num_slots, writable=True)
        self.fields_offset = load_array(folder / FIELDS, num_slots).offset
        self._fields = (folder / FIELDS).open("rb+")
        self._unsaved: list[Outcome] = []
        self._saved_at = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.save()
        self._fields.close()

    def reset(self, slots: Sequence[int]) -> None:
        """Mark slots as not yet stored.

        Args:
            slots: Which.
        """
        index = np.asarray(slots, dtype=np.intp)
        self.states[index] = PENDING
        self.digests[index] = 0
        self.signatures[index] = 0
        self._flush()

    def omit_the_rest(self) -> None:
        """Mark every slot that is not stored as left out."""
        self.states[self.states != STORED] = OMITTED
        self._flush()

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Note outcomes; they are saved about once a second, also when called with none.

        Args:
            outcomes: Of finished jobs.
        """
        self._unsaved.extend(outcomes)
        if self._unsaved and time.monotonic() - self._saved_at >= _SAVE_EVERY_S:
            self.save()

    def save(self) -> None:
        """Save everything noted so far."""
        sync(self._fields.fileno())
        for outcome in self._unsaved:
            self.signatures[outcome.slot] = outcome.signature
            if not outcome.faults:
                self.digests[outcome.slot] = np.frombuffer(outcome.digest, dtype=np.uint8)
                self.states[outcome.slot] = STORED
        self._flush()
        self._unsaved.clear()
        self._saved_at = time.monotonic()

    def _flush(self) -> None:
        self.digests.flush()
        self.signatures.flush()
        self.states.flush()
