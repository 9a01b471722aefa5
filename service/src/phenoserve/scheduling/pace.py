"""How fast the passes of stain attributions get on."""

import threading
from typing import Final

KEPT: Final = 0.9
"""What an earlier pass counts for, relative to the one after it: the pace is that of about the last ten."""


class Pace:
    """The pixels a second of the passes that end, all workers together and whatever else they run; from any thread.

    Times are on one monotonic clock, in seconds.
    """

    def __init__(self) -> None:
        self._num_px = 0.0
        self._seconds = 0.0
        self._since = 0.0
        self._lock = threading.Lock()

    @property
    def px_per_s(self) -> float | None:
        """Pixels a second; None before the first pass."""
        with self._lock:
            return self._num_px / self._seconds if self._seconds > 0 else None

    def resume(self, now: float) -> None:
        """Say that there are passes to run from now on, and were none before: that time does not count."""
        with self._lock:
            self._since = now

    def note(self, num_px: int, now: float) -> None:
        """Say that a pass ended.

        Args:
            num_px: Pixels of its fields.
            now: The time.
        """
        with self._lock:
            self._num_px = KEPT * self._num_px + num_px
            self._seconds = KEPT * self._seconds + now - self._since
            self._since = now
