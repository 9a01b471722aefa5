"""A connection whose every part is bounded: its head in size, lines and time, and the wait for a client that reads."""

import asyncio
import re
import sys
from dataclasses import dataclass
from typing import Any, ClassVar, Final, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from phenoserve.errors import ErrorCode
from phenoserve.http.linger import STALL_S, Pace
from phenoserve.http.problems import problem_response
from phenoserve.http.security_headers import SECURITY_HEADERS

MAX_HEAD_BYTES: Final = 2**14
"""Bytes of a request's head; what Node allows. Browsers send a tenth of it."""

MAX_HEAD_LINES: Final = 128
"""Lines of a head: the server keeps a hundred bytes for each line, however short it is."""

LEAST_SENT_BYTES: Final = 2**16
"""Bytes of an answer that a client must take within the write timeout."""

OVERFLOW: Final = 256
"""Connections beyond the most that are open, to be told so; further ones are closed without a word."""

_HEAD_END: Final = re.compile(rb"\n\r?\n")


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one connection, and all of them, may take.

    Attributes:
        head_timeout_s: Seconds for a head, from the connection's or its first byte to its end.
        write_timeout_s: Seconds in which a client must take `LEAST_SENT_BYTES` of its answer.
        max_connections: Open connections; the one that has waited longest for a head gives way to a new one.
    """

    head_timeout_s: float
    write_timeout_s: float
    max_connections: int


class BoundedConnection(H11Protocol):
    """uvicorn's protocol with bounds; `bounded_by` makes the class that uvicorn is given.

    It relies on these names of the parent: `conn`, `connections`, `cycle`, `loop`, `transport`, `data_received`,
    `on_response_complete`, `pause_writing`, `resume_writing`, `send_400_response`, `shutdown`.
    """

    bounds: ClassVar[Bounds]
    pace: ClassVar[Pace]
    without_head: ClassVar[dict["BoundedConnection", None]]
    """Connections that wait for the head of a request, the one that has waited longest first."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._is_ending = False
        self._num_bytes = self._num_lines = 0
        self._last_bytes = b""
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._end_timer: asyncio.TimerHandle | None = None
        self._read_timer: asyncio.TimerHandle | None = None
        self._num_unsent = 0

    def connection_made(self, transport: Any) -> None:  # uvloop's are no asyncio.Transport
        """Take a connection in; where there are too many, the longest without a request gives way."""
        super().connection_made(transport)
        self._expect_head(has_begun=True)
        num_too_many = len(self.connections) - self.bounds.max_connections
        if num_too_many <= 0:
            return
        oldest = next(iter(self.without_head))
        if oldest is not self:
            oldest.give_way()
        elif num_too_many > OVERFLOW:
            self.transport.abort()
        else:
            self._refuse(
                ErrorCode.TOO_MANY_REQUESTS,
                f"{self.bounds.max_connections} connections are open already. Try again later.",
            )

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of what waits for this connection."""
        self._forget_head()
        for timer in (self._write_timer, self._end_timer, self._read_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; those of a head in small pieces, as the parser looks at its size only when it misses more."""
        if self._is_ending:
            self._throw_away(len(data))
            return
        at = 0
        while at < len(data) and self.conn.their_state is h11.IDLE and not self._has_ended:
            piece = data[at : at + MAX_HEAD_BYTES]
            at += len(piece)
            if self._is_head_too_large(piece):
                self._refuse(
                    ErrorCode.HEAD_TOO_LARGE,
                    f"The head has more than {MAX_HEAD_BYTES} bytes or {MAX_HEAD_LINES} lines.",
                )
                return
            super().data_received(piece)
        if at < len(data) and not self._has_ended:
            super().data_received(data[at:])
        if self.conn.their_state is h11.IDLE and not self._has_ended:
            self._expect_head(has_begun=True)
        else:
            self._forget_head()

    def on_response_complete(self) -> None:
        """Wait for the next request, whose head may be here in part."""
        super().on_response_complete()
        self._watch_writing()
        if self.conn.their_state is h11.IDLE and not self._has_ended:
            self._expect_head(has_begun=bool(self.conn.trailing_data[0]))

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP."""
        self._refuse(ErrorCode.MALFORMED_REQUEST, f"{msg} {sys.exc_info()[1]}.")

    def pause_writing(self) -> None:
        """Note that the client reads more slowly than its answer is written."""
        super().pause_writing()
        self._watch_writing()

    def shutdown(self) -> None:
        """End the connection, or have it end with the answer that is on its way."""
        if self._is_ending:
            self.transport.close()
        else:
            super().shutdown()

    def give_way(self) -> None:
        """End the connection, which waits for the head of a request, so that another may be open."""
        self._is_ending = True
        self._forget_head()
        self.transport.close()

    @property
    def _has_ended(self) -> bool:
        return self._is_ending or self.transport.is_closing()

    def _is_head_too_large(self, piece: bytes) -> bool:
        """Count bytes and lines of a head up to its end; what follows in the same piece is its body."""
        joined = self._last_bytes + piece
        found = _HEAD_END.search(joined)
        end = len(joined) if found is None else found.end()
        self._num_bytes += end - len(self._last_bytes)
        self._num_lines += joined.count(b"\n", len(self._last_bytes), end)
        self._last_bytes = joined[-2:]
        return self._num_bytes > MAX_HEAD_BYTES or self._num_lines > MAX_HEAD_LINES

    def _expect_head(self, *, has_begun: bool) -> None:
        self.without_head[self] = None
        if has_begun and self._head_timer is None:
            self._head_timer = self.loop.call_later(self.bounds.head_timeout_s, self._end_without_head)

    def _forget_head(self) -> None:
        self.without_head.pop(self, None)
        self._num_bytes = self._num_lines = 0
        self._last_bytes = b""
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _end_without_head(self) -> None:
        self._head_timer = None
        if self._has_ended:
            return
        if self.conn.trailing_data[0]:
            self._refuse(
                ErrorCode.HEAD_TOO_SLOW,
                f"The head was not complete after {self.bounds.head_timeout_s:g} s. Send it whole within that time.",
            )
        else:
            self.transport.close()

    def _refuse(self, code: ErrorCode, detail: str) -> None:
        """Answer in place of the application, and end the connection once the client can have read it."""
        self._is_ending = True
        self._forget_head()
        self._unset_keepalive_if_required()
        cycle = cast("RequestResponseCycle | None", self.cycle)  # None before the first request
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        response = problem_response(code, detail, headers={**SECURITY_HEADERS, "Connection": "close"})
        try:
            parts = (
                h11.Response(status_code=response.status_code, headers=response.raw_headers),
                h11.Data(data=bytes(response.body)),
                h11.EndOfMessage(),
            )
            self.transport.write(b"".join(self.conn.send(part) or b"" for part in parts))
        except h11.LocalProtocolError:  # an answer is on its way already
            self.transport.close()
            return
        self.flow.resume_reading()
        self._end_timer = self.loop.call_later(STALL_S, self.transport.close)

    def _throw_away(self, num_bytes: int) -> None:
        """Take in what was sent behind a refused head, at the pace of refused bodies, as closing would reset it."""
        if (wait_s := self.pace.wait_s(num_bytes)) > 0:
            self.flow.pause_reading()
            self._read_timer = self.loop.call_later(wait_s, self.flow.resume_reading)

    def _watch_writing(self) -> None:
        """Look again after the write timeout whether the client takes its answer, as long as some of it waits."""
        if self._write_timer is None and (num_unsent := self.transport.get_write_buffer_size()):
            self._num_unsent = num_unsent
            self._write_timer = self.loop.call_later(self.bounds.write_timeout_s, self._end_unless_read)

    def _end_unless_read(self) -> None:
        self._write_timer = None
        num_taken = self._num_unsent - self.transport.get_write_buffer_size()
        if self.transport.get_write_buffer_size() and num_taken < LEAST_SENT_BYTES:
            self.logger.info("A client took %d bytes of its answer in the write timeout: closed", num_taken)
            self.transport.abort()
        else:
            self._watch_writing()


def bounded_by(bounds: Bounds) -> type[BoundedConnection]:
    """Make the protocol of one server.

    Args:
        bounds: What its connections may take.
    """
    return type(
        "BoundedConnection", (BoundedConnection,), {"bounds": bounds, "pace": Pace(), "without_head": {}}
    )
