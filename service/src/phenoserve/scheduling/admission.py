"""Lets requests in as long as their number and the bytes of their bodies allow.

A request holds what has arrived of its body and a step more, never what it only announces: who opens connections
and sends nothing takes no room from others. Nobody waits here while holding a part of the budget, so bodies cannot
block one another: a step that does not fit refuses its request at once.
"""

from typing import Final

from phenoserve.scheduling.errors import FullError

MIB: Final = 2**20


class Admission:
    """Counts requests in flight and the bytes that they hold; used on the event loop alone.

    Args:
        max_requests: Requests at the same time.
        max_bytes: Bytes of all their bodies.
        within: What the requests count for as well; a request that is alone here may then hold more than `max_bytes`.
        name: What is counted, in the plural.

    Attributes:
        num_requests: Requests in flight.
        num_bytes: Bytes held by them.
    """

    def __init__(
        self, max_requests: int, max_bytes: int, within: "Admission | None" = None, name: str = "requests"
    ) -> None:
        self.num_requests = 0
        self.num_bytes = 0
        self._max_requests = max_requests
        self._max_bytes = max_bytes
        self._within = within
        self._name = name

    def require_room(self, num_bytes: int, *, is_new: bool = True) -> None:
        """Refuse what does not fit at this moment; nothing is taken.

        Args:
            num_bytes: Bytes that are asked for, beside those that are held.
            is_new: Whether they are for a request that is not counted yet.

        Raises:
            FullError: If there are as many requests as may be, or the bytes would be more than may be.
        """
        if is_new and self.num_requests >= self._max_requests:
            raise FullError(f"{self.num_requests} {self._name} are in flight already")
        is_alone = self.num_requests == (0 if is_new else 1)
        if self.num_bytes + num_bytes > self._max_bytes and not (self._within and is_alone):
            raise FullError(
                f"Bodies of {self._name} in flight hold {self.num_bytes / MIB:.1f} of {self._max_bytes / MIB:g} MiB, "
                f"and this one needs {num_bytes / MIB:.1f} more"
            )
        if self._within is not None:
            self._within.require_room(num_bytes, is_new=is_new)

    def change(self, num_requests: int, num_bytes: int) -> None:
        """Count more requests and bytes, or less, whether they fit or not.

        Args:
            num_requests: How many more.
            num_bytes: How many more.
        """
        self.num_requests += num_requests
        self.num_bytes += num_bytes
        if self._within is not None:
            self._within.change(num_requests, num_bytes)


class Lease:
    """What one request holds of an admission, from the first step of its body until its answer is sent.

    Args:
        admission: What it is taken from.

    Attributes:
        num_bytes: Bytes it holds at present.
    """

    def __init__(self, admission: Admission) -> None:
        self.num_bytes = 0
        self._admission = admission
        self._is_counted = False

    def hold(self, num_bytes: int) -> None:
        """Hold so many bytes in place of those that are held.

        Args:
            num_bytes: Bytes that the body needs.

        Raises:
            FullError: If they are more than before and do not fit; nothing has changed then.
        """
        more = num_bytes - self.num_bytes
        if more > 0 or not self._is_counted:
            self._admission.require_room(max(more, 0), is_new=not self._is_counted)
        self.recount(num_bytes)

    def recount(self, num_bytes: int) -> None:
        """Hold so many bytes whether they fit or not: an answer that is there is not refused.

        Args:
            num_bytes: Bytes of the answer.
        """
        self._admission.change(0 if self._is_counted else 1, num_bytes - self.num_bytes)
        self._is_counted = True
        self.num_bytes = num_bytes

    def release(self) -> None:
        """Give everything back; a second time does nothing."""
        if self._is_counted:
            self._admission.change(-1, -self.num_bytes)
        self._is_counted = False
        self.num_bytes = 0
