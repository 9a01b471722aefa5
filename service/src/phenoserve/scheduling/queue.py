"""The stacks that wait for a worker: first come, first served, bounded by their number and their bytes."""

import threading
from collections import deque
from dataclasses import dataclass

from phenoserve.scheduling.errors import SchedulingError
from phenoserve.scheduling.work import Work


@dataclass(frozen=True, slots=True)
class Batch:
    """Stacks that one worker answers together.

    Attributes:
        works: The stacks, the one that waited longest first; all fit one another.
        is_alone: Whether nothing else ran or waited when they were taken.
    """

    works: list[Work]
    is_alone: bool


class WorkQueue:
    """A bounded queue between the event loop, which never blocks on it, and the workers, which wait on it.

    Args:
        max_stacks: Stacks that may wait.
        max_bytes: Bytes of their arrays; one stack that is larger may wait by itself.
        max_batch: Stacks of one batch.

    Attributes:
        num_bytes: Bytes of the stacks that wait.
    """

    def __init__(self, max_stacks: int, max_bytes: int, max_batch: int) -> None:
        self.num_bytes = 0
        self._max_stacks = max_stacks
        self._max_bytes = max_bytes
        self._max_batch = max_batch
        self._waiting: deque[Work] = deque()
        self._num_running = 0
        self._closed_by: SchedulingError | None = None
        self._changed = threading.Condition()

    @property
    def num_waiting(self) -> int:
        """Stacks that wait."""
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        """Whether not even the smallest stack would be taken."""
        return self.num_waiting >= self._max_stacks or self.num_bytes >= self._max_bytes

    @property
    def is_alone(self) -> bool:
        """Whether one batch runs and nothing waits."""
        return self._num_running == 1 and not self._waiting

    @property
    def is_closed(self) -> bool:
        """Whether nothing is taken any more."""
        return self._closed_by is not None

    def offer(self, work: Work) -> bool:
        """Put a stack at the end of the queue, unless there is no room.

        Args:
            work: The stack.

        Returns:
            Whether it was put.

        Raises:
            SchedulingError: What the queue was closed with.
        """
        with self._changed:
            if self._closed_by is not None:
                raise _again(self._closed_by)
            num_bytes = self.num_bytes + work.stack.nbytes
            if self._waiting and (self.num_waiting >= self._max_stacks or num_bytes > self._max_bytes):
                return False
            self._waiting.append(work)
            self.num_bytes = num_bytes
            self._changed.notify()
            return True

    def discard(self, work: Work) -> None:
        """Take a stack out that nobody waits for any more; one that is not in the queue is left alone."""
        with self._changed:
            if work in self._waiting:
                self._remove(work)

    def take(self) -> Batch | None:
        """Wait for a stack, and take it with those behind it that fit it, without any further wait.

        `finish` must be called when they are answered.

        Returns:
            The batch; None once the queue is closed.
        """
        with self._changed:
            while True:
                for work in [work for work in self._waiting if not work.is_wanted]:
                    self._remove(work)  # whoever waited for it was told so, or is being told
                if self._waiting or self._closed_by is not None:
                    break
                self._changed.wait()
            if self._closed_by is not None:
                return None
            first = self._waiting[0]
            works = [first, *(work for work in list(self._waiting)[1:] if work.fits(first))][
                : self._max_batch
            ]
            for work in works:
                self._remove(work)
            self._num_running += 1
            return Batch(works, is_alone=self.is_alone)

    def finish(self) -> None:
        """Say that a batch that was taken is done with."""
        with self._changed:
            self._num_running -= 1

    def close(self, reason: SchedulingError) -> None:
        """End the queue: what waits fails with the reason, what is offered raises it, workers are sent home.

        Args:
            reason: Why; the first one stands.
        """
        with self._changed:
            reason = self._closed_by = self._closed_by or reason
            waiting, self._waiting = list(self._waiting), deque[Work]()
            self.num_bytes = 0
            self._changed.notify_all()
        for work in waiting:
            work.fail(_again(reason))

    def _remove(self, work: Work) -> None:
        self._waiting.remove(work)
        self.num_bytes -= work.stack.nbytes


def _again(error: SchedulingError) -> SchedulingError:
    """An error like this one: an exception that is raised again and again keeps every traceback."""
    return type(error)(*error.args)
