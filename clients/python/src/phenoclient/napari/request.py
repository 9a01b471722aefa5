"""A request to the service that runs off the viewer's thread and can be cancelled."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import Any

from phenoclient.errors import PhenoclientError


@dataclass(frozen=True)
class Outcome:
    """What became of a request.

    Attributes:
        request: The request.
        value: What it gave; None where it failed or was cancelled.
        error: Why it failed, in words; None where it did not.
    """

    request: "Request"
    value: Any = None
    error: str | None = None


class Request:
    """A coroutine that is run once, on a thread of its own, and may be cancelled from another.

    Cancelling closes its connection, so the service drops the work.

    Args:
        ask: Makes the coroutine; called on the thread that runs it.
    """

    def __init__(self, ask: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self._ask = ask
        self._lock = Lock()
        self._is_cancelled = False
        self._cancel_task: Callable[[], object] | None = None

    def run(self) -> Outcome:
        """Runs the coroutine to its end on this thread; errors that are meant for the user are in the outcome."""
        with asyncio.Runner() as runner:
            try:
                return Outcome(self, value=runner.run(self._until_cancelled()))
            except (PhenoclientError, ValueError) as error:
                return Outcome(self, error=str(error))
            except asyncio.CancelledError:
                return Outcome(self)

    def cancel(self) -> None:
        """Ends it as soon as possible; does nothing once it is over."""
        with self._lock:
            self._is_cancelled = True
            cancel_task = self._cancel_task
        if cancel_task is not None:
            with suppress(RuntimeError):  # its loop is closed: it is over
                cancel_task()

    async def _until_cancelled(self) -> Any:
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._ask())
        with self._lock:
            self._cancel_task = lambda: loop.call_soon_threadsafe(task.cancel)
            if self._is_cancelled:
                task.cancel()
        return await task


class Latest:
    """The request that runs now, if any: starting another cancels it."""

    def __init__(self) -> None:
        self.request: Request | None = None

    def exchange(self, request: Request | None) -> None:
        """Cancels the request that runs, and puts another, or none, in its place."""
        if self.request is not None:
            self.request.cancel()
        self.request = request

    def cancel(self) -> None:
        """Cancels the request that runs."""
        self.exchange(None)
