"""How a connection ends: an answer is sent whole, and what is left of a body that nobody read is taken in first.

A server that closes a connection with unread bytes resets it, and the client loses the answer. So a refusal is sent at
once, and the rest of its body is thrown away: slowly enough that it does not take the machine from what was let in,
and for a bounded time.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

DISCARD_BYTES_PER_S: Final = 128.0 * 2**20
"""Bytes a second of all connections together: what a gigabit network brings. A loopback would bring ten times that."""

STALL_S: Final = 5.0
"""Seconds without a byte after which the rest of a body is not waited for; also all that is waited while draining."""

SHORT_WAIT_S: Final = 0.005
"""Seconds below which a wait is left to the next one: a timer costs more than it would slow down."""


class Pace:
    """The pace at which all connections together throw unread bytes away.

    Args:
        bytes_per_s: Bytes a second of all connections together.
    """

    def __init__(self, bytes_per_s: float = DISCARD_BYTES_PER_S) -> None:
        self._bytes_per_s = bytes_per_s
        self._paid_until = 0.0

    def wait_s(self, num_bytes: int) -> float:
        """Seconds for which a connection that threw bytes away leaves the next ones unread.

        Args:
            num_bytes: How many it threw away.
        """
        now = time.monotonic()
        self._paid_until = max(self._paid_until, now) + num_bytes / self._bytes_per_s
        return self._paid_until - now


class LingeringMiddleware:
    """Sends an answer at once, then takes in what is left of the request's body, then ends the connection.

    While the service drains every answer ends its connection: a kept one would be closed under the client's next
    request.

    Args:
        app: The application below.
        timeout_s: Seconds in which what is left of a body must arrive.
        is_draining: Whether the service is about to stop.
        pace: How fast unread bytes are thrown away.
    """

    def __init__(
        self, app: ASGIApp, timeout_s: float, is_draining: Callable[[], bool], pace: Pace | None = None
    ) -> None:
        self.app = app
        self.timeout_s = timeout_s
        self.is_draining = is_draining
        self.pace = pace or Pace()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        has_more = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
        is_asked_for = "expect" not in headers

        async def note_received() -> Message:
            nonlocal has_more, is_asked_for
            is_asked_for = True
            message = await receive()
            has_more = has_more and message["type"] == "http.request" and message.get("more_body", False)
            return message

        async def send_and_linger(message: Message) -> None:
            if message["type"] == "http.response.start" and (has_more or self.is_draining()):
                MutableHeaders(scope=message)["Connection"] = "close"
            is_last = message["type"] == "http.response.body" and not message.get("more_body", False)
            # A client that waits to be asked for its body may never send it.
            if not is_last or not has_more or not is_asked_for:
                await send(message)
                return
            # By its Content-Length the client knows that it has the whole answer.
            await send({**message, "more_body": True})
            await self._take_in(note_received)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

        await self.app(scope, note_received, send_and_linger)

    async def _take_in(self, receive: Receive) -> None:
        """Throw away what is left of a body."""
        began = time.monotonic()
        has_more = True
        with suppress(TimeoutError):
            while has_more:
                left_s = self.timeout_s - (time.monotonic() - began)
                if self.is_draining():
                    left_s = min(left_s, STALL_S - (time.monotonic() - began))
                async with asyncio.timeout(min(left_s, STALL_S)):
                    message = await receive()
                has_more = message.get("more_body", False)
                wait_s = self.pace.wait_s(len(message.get("body", b"")))
                del message  # many connections may wait, and none needs its bytes
                if wait_s > SHORT_WAIT_S:
                    await asyncio.sleep(min(wait_s, max(left_s, 0)))
