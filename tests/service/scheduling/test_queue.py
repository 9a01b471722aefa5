"""The queue's laws, for any order of putting, taking, finishing and giving up."""

import asyncio
import time
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phenoserve.engine import Engine
from phenoserve.engine.attribution import AttributionPasses
from phenoserve.scheduling import Engines, Work, WorkerDiedError
from phenoserve.scheduling.queue import Batch, WorkQueue
from phenoserve.scheduling.work import AttributionProgress

ENGINES = [Engines.of(object.__new__(Engine)) for _ in range(2)]
STACKS = st.tuples(st.integers(0, 1), st.sampled_from([1, 2, 9]))
STEPS = st.lists(st.one_of(STACKS, st.just("take"), st.just("discard")), max_size=40)
MAX_STACKS, MAX_BYTES, MAX_BATCH = 4, 8, 3


@pytest.fixture(scope="module")
def loop():
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def work_of(loop, which: int = 0, size: int = 1, *, seconds: float = 60) -> Work:
    stack = np.zeros((1, 1, size), np.uint8)
    return Work(ENGINES[which], stack, time.monotonic() + seconds, None, loop.create_future())


def attribution_of(loop, num_stains: int = 1, size: int = 1) -> Work:
    """A stack whose attribution takes a pass for itself and one for every subset of its stains."""
    stack = np.zeros((num_stains, 1, size), np.uint8)
    progress = AttributionProgress(AttributionPasses.of(stack, max_batch_px=1))
    return Work(ENGINES[0], stack, time.monotonic() + 60, progress, loop.create_future())


@given(STEPS)
@settings(deadline=None)
def test_the_queue_keeps_its_order_and_its_bounds(loop, steps) -> None:
    """A batch is the oldest stack and later ones that fit it; nothing is lost, doubled or out of bounds."""
    queue = WorkQueue(MAX_STACKS, MAX_BYTES, MAX_BATCH, 0.5)
    waiting: list[Work] = []
    for step in steps:
        if step == "take":
            if waiting:
                batch = queue.take()
                queue.finish()
                fitting = [work for work in waiting[1:] if work.fits(waiting[0])]
                assert batch.works == [waiting[0], *fitting][:MAX_BATCH]
                waiting = [work for work in waiting if work not in batch.works]
                assert batch.is_alone == (not waiting)
        elif step == "discard":
            if waiting:
                queue.discard(waiting.pop(len(waiting) // 2))
        else:
            which, size = step
            work = work_of(loop, which, size)
            has_room = not waiting or (
                len(waiting) < MAX_STACKS and queue.num_bytes + work.stack.nbytes <= MAX_BYTES
            )
            assert queue.offer(work) == has_room
            if has_room:
                waiting.append(work)
        assert queue.num_waiting == len(waiting)
        assert queue.num_bytes == sum(work.stack.nbytes for work in waiting)


def test_what_nobody_wants_is_not_taken(loop) -> None:
    """A stack whose future is done or whose deadline passed is never in a batch."""
    queue = WorkQueue(9, 9, 9, 0.5)
    gone, late, wanted = work_of(loop), work_of(loop, seconds=-1), work_of(loop)
    gone.future.cancel()
    for work in (gone, late, wanted):
        assert queue.offer(work)
    assert queue.take().works == [wanted]
    assert queue.num_waiting == queue.num_bytes == 0


def test_a_closed_queue_fails_what_waits(loop) -> None:
    """Closing fails each waiting stack with the reason, sends workers home, and refuses what comes."""
    queue = WorkQueue(9, 9, 9, 0.5)
    work = work_of(loop)
    queue.offer(work)
    queue.close(WorkerDiedError("gone"))
    loop.run_until_complete(asyncio.wait([work.future]))
    assert isinstance(work.future.exception(), WorkerDiedError)
    assert str(work.future.exception()) == "gone"
    assert queue.take() is None
    with pytest.raises(WorkerDiedError, match="gone"):
        queue.offer(work_of(loop))


@dataclass
class Simulation:
    """Workers that take whatever the queue gives as soon as they are free; `finish` is their clock.

    Attributes:
        plain: Plain stacks that wait, the oldest first.
        attributions: Attributions that wait, the one whose last pass is longest ago first.
        running: What is at a worker.
        finished: What got its outcome.
        earned_px: What plain stacks earned for attributions, and `spent_px` what passes before plain stacks cost, since
            the last pass that no plain stack waited for.
    """

    loop: asyncio.AbstractEventLoop
    num_workers: int
    share: float
    plain: list[Work] = field(default_factory=list)
    attributions: list[Work] = field(default_factory=list)
    running: list[Batch] = field(default_factory=list)
    finished: list[Work] = field(default_factory=list)
    earned_px: float = 0.0
    spent_px: float = 0.0

    def __post_init__(self) -> None:
        self.queue = WorkQueue(99, 999, MAX_BATCH, self.share)

    def offer(self, work: Work) -> None:
        """Put a stack into the queue; an attribution for which there is no room is given up."""
        if self.queue.offer(work):
            (self.plain if work.attribution is None else self.attributions).append(work)
            self.take()
        else:
            assert work.attribution is not None
            work.future.cancel()

    def take(self) -> None:
        """Have every free worker take what there is, and check whose turn it was."""
        while (self.plain or self.attributions) and len(self.running) < self.num_workers:
            batch = self.queue.take()
            first = batch.works[0]
            if first.attribution is None:
                assert first is self.plain[0]
                self.plain = [work for work in self.plain if work not in batch.works]
                self.earned_px += self.share * sum(work.num_px for work in batch.works)
            else:
                assert batch.works == [self.attributions.pop(0)]
                if self.plain:
                    self.spent_px += (1 - self.share) * first.num_px
                    assert self.spent_px <= self.earned_px
                else:
                    self.earned_px = self.spent_px = 0.0
            self.running.append(batch)
            waits = self.plain or self.attributions
            assert batch.is_alone == (len(self.running) == 1 and not waits)

    def finish(self, which: int) -> None:
        """End what one of the workers runs."""
        batch = self.running.pop(which % len(self.running))
        progress = batch.works[0].attribution
        unfinished = None
        if progress is not None:
            if progress.outputs is None:
                progress.outputs = object()
            else:
                progress.logits.append(np.zeros(1, np.float32))
            unfinished = batch.works[0] if len(progress.logits) < len(progress.passes) else None
        self.queue.finish(unfinished)
        if unfinished is None:
            self.finished += batch.works
        elif not unfinished.future.done():
            self.attributions.append(unfinished)
        self.take()

    def abandon(self, work: Work) -> None:
        """Give up a stack, wherever it is."""
        work.future.cancel()
        self.queue.discard(work)
        for lane in (self.plain, self.attributions):
            if work in lane:
                lane.remove(work)


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("plain"), st.sampled_from([1, 1, 2, 9])),
        st.tuples(st.just("attribution"), st.integers(1, 2), st.sampled_from([1, 4])),
        st.tuples(st.just("finish"), st.integers(0, 2)),
        st.tuples(st.just("abandon"), st.integers(0, 40)),
    ),
    max_size=60,
)


@given(EVENTS, st.integers(1, 3), st.sampled_from([0.0, 0.25, 0.5, 0.9]))
@settings(deadline=None)
def test_plain_stacks_come_first_and_attributions_in_turn(loop, events, num_workers, share) -> None:
    """Plain stacks go in order, before them only passes that they earned; attributions in turn; all end once."""
    simulation, offered = Simulation(loop, num_workers, share), []
    for event in events:
        match event:
            case ("plain", size):
                offered.append(work_of(loop, size=size))
                simulation.offer(offered[-1])
            case ("attribution", num_stains, size):
                offered.append(attribution_of(loop, num_stains, size))
                simulation.offer(offered[-1])
            case ("finish", which) if simulation.running:
                simulation.finish(which)
            case ("abandon", which) if offered:
                simulation.abandon(offered[which % len(offered)])
        assert len(simulation.queue.stacks) == len(simulation.plain)
        wanted = [work for work in simulation.queue.attributions.works if work.is_wanted]
        assert wanted == simulation.attributions
    while simulation.running:
        simulation.finish(0)
    left = [work for work in offered if not work.future.cancelled()]
    assert [work for work in left if work not in simulation.finished] == []
    assert len(simulation.finished) == len(set(simulation.finished))
    for work in left:
        if work.attribution is not None:
            assert len(work.attribution.logits) == 2 ** len(work.stack)


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, "P" * 12), (0.25, "PPPA" * 3), (0.5, "PA" * 6), (0.75, "PAAA" * 3)]
)
def test_attributions_get_their_share_of_a_full_queue(loop, share, expected) -> None:
    """While plain stacks wait all the time, attributions get exactly their share of the work, and none at 0."""
    queue, taken = WorkQueue(99, 999, 1, share), ""
    for _ in range(13):
        queue.offer(work_of(loop))
    queue.offer(attribution_of(loop, num_stains=4))
    while len(taken) < 12:
        (work,) = queue.take().works
        taken += "P" if work.attribution is None else "A"
        queue.finish(None if work.attribution is None else work)
    assert taken == expected


def test_small_stacks_earn_little(loop) -> None:
    """What stacks earn for attributions goes by their pixels: 9 of one pixel pay for one pass of 9 at a half."""
    queue, taken = WorkQueue(99, 999, 1, 0.5), ""
    for _ in range(12):
        queue.offer(work_of(loop))
    queue.offer(attribution_of(loop, size=9))
    for _ in range(12):
        (work,) = queue.take().works
        taken += "P" if work.attribution is None else "A"
        queue.finish(None if work.attribution is None else work)
    assert taken == "P" * 9 + "A" + "P" * 2


def test_attributions_take_no_place_from_plain_stacks(loop) -> None:
    """However many attributions wait, as many plain stacks as ever have room; one attribution always has."""
    queue = WorkQueue(4, 4, 1, 0.5)
    assert [queue.offer(attribution_of(loop)) for _ in range(3)] == [True, True, False]
    assert [queue.offer(work_of(loop)) for _ in range(5)] == [True] * 4 + [False]
    without_share = WorkQueue(4, 4, 1, 0.0)
    assert not without_share.attributions.is_full
    assert without_share.offer(attribution_of(loop, size=9))
    assert without_share.attributions.is_full


def test_a_pass_is_followed_by_another_whatever_came_meanwhile(loop) -> None:
    """An attribution between two passes waits again though its lane was filled meanwhile."""
    queue = WorkQueue(2, 9, 1, 0.5)
    queue.offer(first := attribution_of(loop))
    assert queue.take().works == [first]
    assert queue.offer(second := attribution_of(loop))
    queue.finish(first)
    assert list(queue.attributions.works) == [second, first]
    assert queue.num_bytes == 2


def test_a_closed_queue_fails_an_attribution_after_its_pass(loop) -> None:
    """Where the queue was closed during a pass, what has passes left fails with the reason too."""
    queue = WorkQueue(9, 9, 9, 0.5)
    queue.offer(work := attribution_of(loop))
    assert queue.take().works == [work]
    queue.close(WorkerDiedError("gone"))
    queue.finish(work)
    loop.run_until_complete(asyncio.wait([work.future]))
    assert str(work.future.exception()) == "gone"
    assert queue.num_waiting == 0
