"""Lets requests in, before their bodies are read, as long as their number and their bytes allow.

Nobody ever waits here while holding a part of the budget: a request takes all that its body may need at once or is
refused at once. So bodies cannot block one another, and a body that was let in is never refused for its bytes later.
"""

from collections.abc import Generator
from contextlib import contextmanager

from phenoserve.scheduling.errors import FullError

MIB = 2**20


class Lease:
    """The bytes one request may hold.

    Attributes:
        num_bytes: How many it holds at present.
    """

    def __init__(self, admission: "Admission", num_bytes: int) -> None:
        self.num_bytes = num_bytes
        self._admission = admission

    def shrink(self, num_bytes: int) -> None:
        """Give back what is not needed, once the size of the body is known.

        Args:
            num_bytes: Bytes that the body takes, at most what is held.
        """
        self._admission.num_bytes -= self.num_bytes - num_bytes
        self.num_bytes = num_bytes


class Admission:
    """Counts requests in flight and the bytes of their bodies; used on the event loop alone.

    Args:
        max_requests: Requests at the same time.
        max_bytes: Bytes of all their bodies.

    Attributes:
        num_requests: Requests in flight.
        num_bytes: Bytes taken by them.
    """

    def __init__(self, max_requests: int, max_bytes: int) -> None:
        self.num_requests = 0
        self.num_bytes = 0
        self._max_requests = max_requests
        self._max_bytes = max_bytes

    @contextmanager
    def admit(self, num_bytes: int) -> Generator[Lease]:
        """Count one request from before its body is read until it is answered.

        Args:
            num_bytes: The most its body may take.

        Raises:
            FullError: If there are as many requests as may be, or the bytes would be more than may be.
        """
        if self.num_requests >= self._max_requests:
            raise FullError(f"{self._max_requests} requests are in flight already")
        if self.num_bytes + num_bytes > self._max_bytes:
            raise FullError(
                f"Bodies in flight hold {self.num_bytes / MIB:.1f} of {self._max_bytes / MIB:g} MiB, and this one may "
                f"take {num_bytes / MIB:.1f}"
            )
        self.num_requests += 1
        self.num_bytes += num_bytes
        lease = Lease(self, num_bytes)
        try:
            yield lease
        finally:
            self.num_requests -= 1
            self.num_bytes -= lease.num_bytes
