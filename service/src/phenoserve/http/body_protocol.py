"""Receives a body from the socket straight into the buffer that it stays in, and throws away what was refused.

uvicorn copies a body four times before the application sees it: out of the socket, out of the parser, into a
bytearray, and out of it. For stacks of megabytes this costs more than all else that HTTP does. Here another protocol
takes over the connection from the head of a request to the end of its body. It reads into the buffer, not a byte too
many, and a new parser goes on with the next request.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, cast

import httptools
import numpy as np
from uvicorn._types import (
    ASGI3Application,
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    ASGISendEvent,
    HTTPScope,
    Scope,
)
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from phenoserve.http.discards import Discards
from phenoserve.http.observe.requests import RECEIVED

WORTH_IT: Final = 2**16
"""Bytes of a body from which it is received so; smaller ones mostly arrive with the head of their request."""

_DISCARDED: Final = memoryview(bytearray(2**18))
"""Where refused bytes go: few enough to stay in a core's cache."""


class BodyProtocol(HttpToolsProtocol):
    """uvicorn's protocol, but a body of stated length reaches the application as one message, without a copy.

    Args:
        max_body_bytes: Bytes up to which a buffer is made before they have arrived; a body that states more is left to
            uvicorn.
        discards: How refused bodies are thrown away.
        options: As for the parent class.
    """

    def __init__(self, *, max_body_bytes: int, discards: Discards, **options: Any) -> None:
        super().__init__(**options)
        self.discards = discards
        self._max_body_bytes = max_body_bytes
        self._num_parsed = 0
        self._taker: _Taker | None = None

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._num_parsed = 0
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        """Take what arrives of a body before the application asks for it."""
        self._num_parsed += len(body)
        super().on_body(body)

    def on_response_complete(self) -> None:
        """Go on to the next request, once what is left of a body that nobody wanted is thrown away."""
        super().on_response_complete()
        if not self.cycle.response_complete or self.transport.is_closing():
            return
        if self._taker is not None:
            self._taker.discard()
        elif (num_left := _stated_bytes(self.cycle.scope) - self._num_parsed) > 0 and self.cycle.more_body:
            self._taker = _Taker(self, num_left, None, lambda: None)
            self._hand_to(self._taker)
        else:
            return
        self._close_after(self.discards.timeout_s)

    def take_back(self) -> None:
        """Have the connection back: the rest of the body has arrived, or was thrown away."""
        self._taker = None
        # The old one waits for bytes that it was not shown.
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own
        self._hand_to(self)
        if self.cycle.response_complete:
            self._close_after(float(self.timeout_keep_alive))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        super()._start_asgi_task(cycle, self._with_whole_body(cycle, app))

    def _with_whole_body(self, cycle: RequestResponseCycle, app: ASGI3Application) -> ASGI3Application:
        num_bytes = _stated_bytes(cycle.scope)
        is_worth_it = WORTH_IT <= num_bytes <= self._max_body_bytes

        async def with_whole_body(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
            body: memoryview | None = None
            taker: _Taker | None = None

            async def receive_whole() -> ASGIReceiveEvent:
                nonlocal body, taker
                is_over = cycle.disconnected or cycle.response_complete
                if body is None and is_worth_it and cycle.more_body and not is_over:
                    body, taker = self._begin(cycle, num_bytes)
                if body is None:
                    return await receive()
                await cycle.message_event.wait()
                cycle.message_event.clear()
                if cycle.more_body:
                    return {"type": "http.disconnect"}
                whole, body = cast("bytes", body), None  # as good as bytes to whoever joins or reads them
                return {"type": "http.request", "body": whole, "more_body": False}

            async def send_and_part(message: ASGISendEvent) -> None:
                if cycle.waiting_for_100_continue and not self._num_parsed:
                    cycle.keep_alive = False  # nobody asked for the body, so it may never come
                await send(message)

            its_scope: Any = scope
            counting = {RECEIVED: lambda: 0 if taker is None else num_bytes - taker.num_left}
            its_scope["extensions"] = its_scope.get("extensions", {}) | counting
            await app(scope, receive_whole, send_and_part)

        return with_whole_body

    def _begin(self, cycle: RequestResponseCycle, num_bytes: int) -> tuple[memoryview, "_Taker"]:
        """Begin to receive a body; its event is set when it is there, or the client has left."""
        if cycle.waiting_for_100_continue:
            cycle.waiting_for_100_continue = False
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # Not zeroed, as it is handed on when it is full; and numpy asks for huge pages, of which few are missed.
        body = np.empty(num_bytes, np.uint8).data
        num_here = len(cycle.body)
        body[:num_here] = cycle.body
        cycle.body = bytearray()
        cycle.message_event.clear()

        def finish() -> None:
            cycle.more_body = False
            cycle.message_event.set()

        taker = self._taker = _Taker(self, num_bytes - num_here, body[num_here:], finish)
        self._hand_to(taker)
        return body, taker

    def _hand_to(self, protocol: asyncio.BaseProtocol) -> None:
        # Callbacks of a transport that reads are set when it begins to.
        self.flow.pause_reading()
        self.transport.set_protocol(protocol)
        self.flow.resume_reading()

    def _close_after(self, seconds: float) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)


class _Taker(asyncio.BufferedProtocol):
    """Has the connection until so many bytes have come; what is not about bytes goes on to uvicorn's protocol.

    Args:
        owner: Who has the connection back afterwards.
        num_left: Bytes that are still to come.
        into: Where they go, as long; None if nobody wants them.
        finish: Called once they are there, unless they were discarded.

    Attributes:
        num_left: Bytes that are still to come.
    """

    def __init__(
        self, owner: BodyProtocol, num_left: int, into: memoryview | None, finish: Callable[[], None]
    ) -> None:
        self._owner = owner
        self.num_left = num_left
        self._into = into
        self._finish = finish
        self._reading_on: asyncio.TimerHandle | None = None

    def discard(self) -> None:
        """Throw away what is still to come."""
        self._into = None
        self._finish = lambda: None

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next bytes go."""
        del sizehint  # as much as there is
        return _DISCARDED[: self.num_left] if self._into is None else self._into

    def buffer_updated(self, nbytes: int) -> None:
        """Take note of bytes that came."""
        self.num_left -= nbytes
        if self.num_left == 0:
            self._into = None  # the request that this is known to may be referred to for long
            self._owner.take_back()
            self._finish()
        elif self._into is not None:
            self._into = self._into[nbytes:]
        elif (wait_s := self._owner.discards.wait_s(nbytes)) > 0:
            self._owner.flow.pause_reading()
            self._reading_on = self._owner.loop.call_later(wait_s, self._owner.flow.resume_reading)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the client is gone."""
        self.discard()
        if self._reading_on is not None:
            self._reading_on.cancel()
        self._owner.connection_lost(exc)

    def pause_writing(self) -> None:
        """Note that the client reads too slowly."""
        self._owner.pause_writing()

    def resume_writing(self) -> None:
        """Note that it does not any more."""
        self._owner.resume_writing()


def _stated_bytes(scope: HTTPScope) -> int:
    """The length of a body that its request states; 0 if it states none."""
    headers = {
        name: value for name, value in scope["headers"] if name in {b"content-length", b"transfer-encoding"}
    }
    return 0 if b"transfer-encoding" in headers else int(headers.get(b"content-length", 0))
