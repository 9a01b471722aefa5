"""Ends the work for clients that leave: the framework lets a handler run on when nobody listens any more."""

import asyncio
import traceback
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect

Result = TypeVar("Result")


async def unless_disconnected(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """Wait for work as long as the client waits too.

    Args:
        request: The request, its body read to the end.
        work: What is cancelled when the client leaves.

    Returns:
        What the work returns; what it raises is raised here.

    Raises:
        ClientDisconnect: If the client leaves first.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_disconnection(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientDisconnect
    finally:
        working.cancel()
        leaving.cancel()
        for task in (working, leaving):
            await _end(task)
        del task, working, leaving  # an error that is raised here refers to this frame


async def _end(task: "asyncio.Future[Any]") -> None:
    """Wait for a task that was cancelled or is done, and let go of what its error holds."""
    await asyncio.wait((task,))
    if not task.cancelled():
        _empty_frames(task.exception())
        return
    try:
        task.result()
    except asyncio.CancelledError as error:
        _empty_frames(error)


def _empty_frames(error: BaseException | None) -> None:
    """Clear the frames that an error and those behind it passed through: they hold bodies and stacks.

    asyncio's groups and timeouts refer to their task, and that to its error, so that all of it would stay until a full
    collection of garbage.
    """
    found = [error]
    cleared: set[int] = set()
    while found:
        one = found.pop()
        if one is None or id(one) in cleared:
            continue
        cleared.add(id(one))
        traceback.clear_frames(one.__traceback__)
        found += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]


async def _disconnection(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
