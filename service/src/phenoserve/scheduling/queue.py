"""The stacks that wait for a worker: plain ones first, then attributions in turn; bounded in number and bytes."""

import threading
from collections import deque
from dataclasses import dataclass

from phenoserve.scheduling.errors import SchedulingError
from phenoserve.scheduling.work import Work


@dataclass(frozen=True, slots=True)
class Batch:
    """What one worker infers at once: stacks together, or one pass of an attribution.

    Attributes:
        works: The stacks, the one that waited longest first; all fit one another.
        is_alone: Whether nothing else ran or waited when they were taken.
    """

    works: list[Work]
    is_alone: bool


class Lane:
    """Works of one kind, in the order in which they are taken; the queue that it is a part of guards it.

    Args:
        name: What its works are called, in the plural.
        max_stacks: Stacks that may wait.
        max_bytes: Bytes of their arrays; one stack that is larger may wait by itself.

    Attributes:
        name: What its works are called.
        works: What waits.
        num_bytes: Bytes of its arrays.
    """

    def __init__(self, name: str, max_stacks: int, max_bytes: int) -> None:
        self.name = name
        self.works: deque[Work] = deque()
        self.num_bytes = 0
        self._max_stacks = max_stacks
        self._max_bytes = max_bytes

    def __len__(self) -> int:
        return len(self.works)

    @property
    def is_full(self) -> bool:
        """Whether no further stack is taken in, however small; an empty lane takes one whatever its bounds."""
        if not self.works:
            return False
        return len(self) >= self._max_stacks or self.num_bytes >= self._max_bytes

    def has_room(self, work: Work) -> bool:
        """Whether this stack may wait as well."""
        fits = len(self) < self._max_stacks and self.num_bytes + work.stack.nbytes <= self._max_bytes
        return fits or not self.works

    def append(self, work: Work) -> None:
        """Put a stack at the end, whatever the bounds."""
        self.works.append(work)
        self.num_bytes += work.stack.nbytes

    def remove(self, work: Work) -> None:
        """Take a stack out; one that does not wait here is left alone."""
        if work in self.works:
            self.works.remove(work)
            self.num_bytes -= work.stack.nbytes

    def remove_unwanted(self) -> None:
        """Take out what nobody waits for any more; whoever did was answered, or is being answered."""
        for work in [work for work in self.works if not work.is_wanted]:
            self.remove(work)

    def clear(self) -> list[Work]:
        """Take everything out."""
        works = list(self.works)
        self.works.clear()
        self.num_bytes = 0
        return works


class WorkQueue:
    """A bounded queue between the event loop, which never blocks on it, and the workers, which wait on it.

    Plain stacks are taken first come, first served, and before any attribution. An attribution is taken for one
    pass, and then waits behind the other attributions. Attributions wait in a lane of their own, so that they take no
    place from plain stacks and are not refused between two passes.

    While both wait, every plain stack that is taken adds to what attributions are owed, counted in pixels, so that they
    get their share; once a whole pass is owed, it is taken first. When no plain stack waits, nothing is owed.

    Args:
        max_stacks: Plain stacks that may wait.
        max_bytes: Bytes of their arrays; one stack that is larger may wait by itself.
        max_batch: Stacks of one batch.
        attribution_share: Share of the work that attributions get while plain stacks wait, and of `max_stacks` and
            `max_bytes` that they may take beside those, one at least; from 0 to below 1.

    Attributes:
        stacks: The plain stacks that wait.
        attributions: The attributions that wait, for their first pass or for another.
    """

    def __init__(self, max_stacks: int, max_bytes: int, max_batch: int, attribution_share: float) -> None:
        self.stacks = Lane("stacks", max_stacks, max_bytes)
        self.attributions = Lane(
            "stain attributions",
            max(1, int(attribution_share * max_stacks)),
            int(attribution_share * max_bytes),
        )
        self._max_batch = max_batch
        self._attribution_share = attribution_share
        self._owed_px = 0.0
        self._num_running = 0
        self._closed_by: SchedulingError | None = None
        self._changed = threading.Condition()

    @property
    def num_waiting(self) -> int:
        """Stacks that wait, attributions among them."""
        return len(self.stacks) + len(self.attributions)

    @property
    def num_bytes(self) -> int:
        """Bytes of the arrays that wait."""
        return self.stacks.num_bytes + self.attributions.num_bytes

    def offer(self, work: Work) -> bool:
        """Put a stack at the end of its lane, unless there is no room.

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
            lane = self._lane(work)
            if not lane.has_room(work):
                return False
            lane.append(work)
            self._changed.notify()
            return True

    def discard(self, work: Work) -> None:
        """Take a stack out that nobody waits for any more; one that is not in the queue is left alone."""
        with self._changed:
            self._lane(work).remove(work)

    def take(self) -> Batch | None:
        """Wait for a pass of an attribution, or a stack with those behind it that fit it, without any further wait.

        `finish` must be called when they are done.

        Returns:
            The batch; None once the queue is closed.
        """
        with self._changed:
            while self._closed_by is None:
                self.stacks.remove_unwanted()
                self.attributions.remove_unwanted()
                if self.num_waiting > 0:
                    works = self._take_pass() or self._take_stacks()
                    self._num_running += 1
                    return Batch(works, is_alone=self._num_running == 1 and self.num_waiting == 0)
                self._changed.wait()
            return None

    def finish(self, unfinished: Work | None = None) -> None:
        """Say that what was taken is done with.

        Args:
            unfinished: An attribution that was taken for a pass and has passes left: it waits again, whatever the
                bounds, which it kept to when it came; in a queue that was closed it fails.
        """
        with self._changed:
            self._num_running -= 1
            if unfinished is not None and self._closed_by is None:
                self.attributions.append(unfinished)
                self._changed.notify()
                return
        if unfinished is not None and self._closed_by is not None:
            unfinished.fail(_again(self._closed_by))

    def close(self, reason: SchedulingError) -> None:
        """End the queue: what waits fails with the reason, what is offered raises it, workers get no more.

        Args:
            reason: Why; the first one stands.
        """
        with self._changed:
            reason = self._closed_by = self._closed_by or reason
            waiting = self.stacks.clear() + self.attributions.clear()
            self._changed.notify_all()
        for work in waiting:
            work.fail(_again(reason))

    def _lane(self, work: Work) -> Lane:
        return self.stacks if work.attribution is None else self.attributions

    def _take_pass(self) -> list[Work]:
        """Take the attribution that waited longest, if it is the turn of one."""
        if not self.attributions:
            return []
        work = self.attributions.works[0]
        if self.stacks:
            price_px = (1 - self._attribution_share) * work.num_px
            if self._owed_px < price_px:
                return []
            self._owed_px -= price_px
        else:
            self._owed_px = 0.0
        self.attributions.remove(work)
        return [work]

    def _take_stacks(self) -> list[Work]:
        """Take the stack that waited longest with those that fit it."""
        first = self.stacks.works[0]
        fitting = [work for work in self.stacks.works if work.fits(first)][: self._max_batch]
        for work in fitting:
            self.stacks.remove(work)
            if self.attributions:
                self._owed_px += self._attribution_share * work.num_px
        return fitting


def _again(error: SchedulingError) -> SchedulingError:
    """An error like this one: an exception that is raised again and again keeps every traceback."""
    return type(error)(*error.args)
