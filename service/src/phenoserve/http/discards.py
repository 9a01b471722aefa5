"""How fast refused bodies are thrown away: slowly enough that it does not take the machine from what was let in."""

import time
from typing import Final

DISCARD_BYTES_PER_S: Final = 128.0 * 2**20
"""Bytes a second of all connections together: what a gigabit network brings. A loopback would bring ten times that."""


class Discards:
    """The pace at which all connections together throw refused bodies away.

    Args:
        timeout_s: Seconds in which what is left of a refused body must arrive.
        bytes_per_s: Bytes a second of all connections together.

    Attributes:
        timeout_s: As above.
    """

    def __init__(self, timeout_s: float, bytes_per_s: float = DISCARD_BYTES_PER_S) -> None:
        self.timeout_s = timeout_s
        self._bytes_per_s = bytes_per_s
        self._paid_until = 0.0

    def wait_s(self, num_bytes: int) -> float:
        """Seconds that a connection which threw bytes away leaves the next ones unread.

        Args:
            num_bytes: How many it threw away.
        """
        now = time.monotonic()
        self._paid_until = max(self._paid_until, now) + num_bytes / self._bytes_per_s
        return self._paid_until - now
