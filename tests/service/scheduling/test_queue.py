"""The queue's laws, for any order of putting, taking and giving up."""

import asyncio
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phenoserve.engine import Engine
from phenoserve.scheduling import Engines, Work, WorkerDiedError
from phenoserve.scheduling.queue import WorkQueue

ENGINES = [Engines.of(object.__new__(Engine)) for _ in range(2)]
STACKS = st.tuples(st.integers(0, 1), st.sampled_from([1, 2, 9]), st.booleans())
STEPS = st.lists(st.one_of(STACKS, st.just("take"), st.just("discard")), max_size=40)
MAX_STACKS, MAX_BYTES, MAX_BATCH = 4, 8, 3


@pytest.fixture(scope="module")
def loop():
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def work_of(loop, which: int = 0, size: int = 1, *, attribute: bool = False, seconds: float = 60) -> Work:
    stack = np.zeros((1, 1, size), np.uint8)
    return Work(ENGINES[which], stack, attribute, time.monotonic() + seconds, loop.create_future())


@given(STEPS)
@settings(deadline=None)
def test_the_queue_keeps_its_order_and_its_bounds(loop, steps) -> None:
    """A batch is the oldest stack and later ones that fit it; nothing is lost, doubled or out of bounds."""
    queue = WorkQueue(MAX_STACKS, MAX_BYTES, MAX_BATCH)
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
            which, size, attribute = step
            work = work_of(loop, which, size, attribute=attribute)
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
    queue = WorkQueue(9, 9, 9)
    gone, late, wanted = work_of(loop), work_of(loop, seconds=-1), work_of(loop)
    gone.future.cancel()
    for work in (gone, late, wanted):
        assert queue.offer(work)
    assert queue.take().works == [wanted]
    assert queue.num_waiting == queue.num_bytes == 0


def test_a_closed_queue_fails_what_waits(loop) -> None:
    """Closing fails each waiting stack with the reason, sends workers home, and refuses what comes."""
    queue = WorkQueue(9, 9, 9)
    work = work_of(loop)
    queue.offer(work)
    queue.close(WorkerDiedError("gone"))
    loop.run_until_complete(asyncio.wait([work.future]))
    assert isinstance(work.future.exception(), WorkerDiedError)
    assert str(work.future.exception()) == "gone"
    assert queue.take() is None
    with pytest.raises(WorkerDiedError, match="gone"):
        queue.offer(work_of(loop))
