"""How many requests are in flight, and what is done while the service is away."""

import asyncio
import time
from http import HTTPStatus
from random import SystemRandom
from typing import final

from phenoclient.client import AsyncClient
from phenoclient.errors import PhenoclientError, ServiceError, TransportError

LARGEST_WINDOW = 32
FIRST_WINDOW = 4
_SHRINK = 0.75
_ROUNDS_BEFORE_A_PROBE = 8
_WAIT_INITIAL_S = 0.25
_WAIT_MAX_S = 5.0
_NOT_READY = "not_ready"
_BETWEEN_STATUSES = frozenset(
    {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
)


def is_not_ready(error: PhenoclientError) -> bool:
    """Whether the service itself says that it is not ready yet."""
    return isinstance(error, ServiceError) and error.code == _NOT_READY


def is_away(error: PhenoclientError) -> bool:
    """Whether an error says that the service is not there now.

    That is: no connection, a service that is not ready, or something between that answers alone, which is a status of
    502, 503 or 504 without a code of the service. A 503 with another code comes from a service that is there.
    """
    if isinstance(error, ServiceError):
        return is_not_ready(error) or (error.code is None and error.status in _BETWEEN_STATUSES)
    return isinstance(error, TransportError)


def wait_s(attempt: int, retry_after_s: float | None = None) -> float:
    """Seconds to wait before the next attempt: what the service asks for, or twice as long each time; a part is random.

    Args:
        attempt: Attempts so far, 1 or more.
        retry_after_s: What the service asked for; None when it did not.
    """
    base = (
        min(_WAIT_MAX_S, _WAIT_INITIAL_S * 2.0 ** (attempt - 1)) if retry_after_s is None else retry_after_s
    )
    return base + SystemRandom().uniform(0, max(_WAIT_INITIAL_S, base / 4))


@final
class Window:
    """How many requests may be in flight, found by trying.

    It grows by one with every answer until the service first refuses one (429). A refusal cuts it by a quarter, and
    from then on it grows by one after several rounds of answers. Refusals of requests sent before the last cut do
    not cut again. A refused request keeps its place while it waits, so a service that is full is asked less.

    Args:
        largest: Most requests in flight, 1 or more.

    Attributes:
        limit: Requests that may be in flight now.
        in_flight: Requests that are.
        cuts: How often the limit was changed downwards.
    """

    def __init__(self, largest: int = LARGEST_WINDOW) -> None:
        self._largest = largest
        self._freed = asyncio.Condition()
        self.in_flight = 0
        self.limit = min(FIRST_WINDOW, largest)
        self.cuts = 0
        self._was_refused = False
        self._num_answered = 0

    def restart(self) -> None:
        """Begins to look for the limit again, as the service may be another one."""
        self.limit = min(FIRST_WINDOW, self._largest)
        self.cuts += 1
        self._was_refused = False
        self._num_answered = 0

    async def enter(self) -> None:
        """Waits for a place."""
        async with self._freed:
            await self._freed.wait_for(lambda: self.in_flight < self.limit)
            self.in_flight += 1

    async def leave(self) -> None:
        """Gives a place back."""
        async with self._freed:
            self.in_flight -= 1
            self._freed.notify_all()

    def answered(self) -> None:
        """Takes note of an answer."""
        self._num_answered += 1
        needed = _ROUNDS_BEFORE_A_PROBE * self.limit if self._was_refused else 1
        if self._num_answered >= needed:
            self._num_answered = 0
            self.limit = min(self._largest, self.limit + 1)

    def refused(self, cuts_when_sent: int) -> None:
        """Takes note of a refusal of a request that was sent after so many cuts."""
        if cuts_when_sent != self.cuts:
            return
        self.cuts += 1
        self._was_refused = True
        self._num_answered = 0
        self.limit = max(1, int(self.limit * _SHRINK))


@final
class Presence:
    """Whether the service is there; while it is not, one request at a time asks whether it is back.

    Args:
        client: Client of the service.
        patience_s: Seconds to wait for the service to come back.
    """

    def __init__(self, client: AsyncClient, patience_s: float) -> None:
        self._client = client
        self._patience_s = patience_s
        self._return: asyncio.Task[None] | None = None

    @property
    def is_away(self) -> bool:
        """Whether the service is waited for."""
        return self._return is not None

    async def wait(self) -> None:
        """Waits until the service is there.

        Raises:
            PhenoclientError: If it did not come back in time: the error that said so last.
        """
        if self._return is not None:
            await asyncio.shield(self._return)

    async def lost(self, error: PhenoclientError) -> None:
        """Takes note that the service is away, and waits until it is back.

        Raises:
            PhenoclientError: As `wait`.
        """
        if self._return is None:
            self._return = asyncio.create_task(self._await_return(error))
        await self.wait()

    async def close(self) -> None:
        """Stops waiting."""
        if self._return is not None:
            self._return.cancel()
            await asyncio.gather(self._return, return_exceptions=True)

    async def _await_return(self, error: PhenoclientError) -> None:
        deadline, attempt = time.monotonic() + self._patience_s, 0
        while True:
            attempt += 1
            asked_for = error.retry_after_s if isinstance(error, ServiceError) else None
            await asyncio.sleep(wait_s(attempt, asked_for if attempt == 1 else None))
            try:
                if await self._client.ready():
                    self._return = None
                    return
            except PhenoclientError as found:
                if not is_away(found):
                    raise
                error = found
            if time.monotonic() > deadline:
                raise error
