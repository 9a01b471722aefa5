"""Runs the application under uvicorn: address, signals, and an end at which nothing accepted is lost."""

import asyncio
import ctypes
import gc
import ipaddress
import logging
import os
import signal
import socket
import struct
import sys
import threading
from collections.abc import Awaitable, Callable
from contextvars import Context
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp

from phenoserve.process.connection import MAX_HEAD_BYTES, OVERFLOW, Bounds, bounded_by
from phenoserve.settings import Settings

if sys.platform != "win32":
    import resource

IDLE_GRACE_S: Final = 0.3
"""Seconds between closing the listener and closing idle connections, for requests that are on their way on them."""

HANDSHAKE_S: Final = 0.1
"""Seconds between turning new connections away and closing the listener, for those that are half open."""

_SO_ATTACH_FILTER: Final = 26
_DROP_NEW: Final = (
    (0x30, 0, 0, 13),
    (0x54, 0, 0, 0x12),
    (0x15, 0, 1, 0x02),
    (0x06, 0, 0, 0),
    (0x06, 0, 0, 0xFFFFFFFF),
)
"""Classic BPF over a segment: drop it where of the flags SYN and ACK (byte 13 of the TCP header) only SYN is set."""

KEEP_ALIVE_S: Final = 75
"""Seconds that an idle connection is kept: longer than a client takes between two stacks, or its next request may meet
the end of the connection."""

BACKLOG: Final = 2048
"""Connections that may wait to be accepted."""

OTHER_FILES: Final = 128
"""Files that the process needs besides its connections: libraries, the bundle, logs, metrics."""

FAILURE: Final = 1

EVERY_INTERFACE: Final = frozenset({"", "::"})
"""Hosts that mean every interface in both families: the system alone may take `::` for IPv6 only."""

TICKS_A_SAMPLE: Final = 10
"""Ticks between two notes of what is in flight, for the processes beside this one: a second."""

logger = logging.getLogger(__name__)


def open_listener(host: str, port: int) -> socket.socket:
    """Bind and listen on an address; every interface is both families where the system can.

    Args:
        host: Address or name; empty and `::` are every interface.
        port: Port; 0 takes a free one.

    Raises:
        OSError: If the address cannot be had.
    """
    if host in EVERY_INTERFACE:
        if socket.has_dualstack_ipv6():
            return socket.create_server(
                ("::", port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True
            )
        return socket.create_server(("", port), backlog=BACKLOG)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def page_url(host: str, port: int) -> str:
    """The address of the page, for whoever runs the service on this machine.

    Args:
        host: Address that is listened on.
        port: Port that is listened on.
    """
    if _is_unspecified(host):
        host = "127.0.0.1"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def _refuse_new_connections(listener: socket.socket) -> None:
    """Let no new connection begin, where the system can (Linux); those that are open or half open go on.

    Between the last connection that is accepted and the closing of the listener another could come in, to be reset.
    """
    if sys.platform != "linux":
        return
    filters = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in _DROP_NEW))
    program = struct.pack("HL", len(_DROP_NEW), ctypes.addressof(filters))
    try:
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
    except OSError as error:
        logger.debug("new connections are not turned away before the listener closes: %s", error)


def _is_unspecified(host: str) -> bool:
    """Whether a host means every interface of one family or both; nobody can ask one at such an address."""
    try:
        return not host or ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False  # a name


def most_connections(wanted: int) -> int:
    """How many connections may be open: as many as are wanted, or as the system leaves files to this process.

    Args:
        wanted: How many are wanted; the process's limit of open files is raised for them as far as it may be.
    """
    if sys.platform == "win32":
        return wanted
    needed = wanted + OVERFLOW + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    logger.warning("%d files may be open, which leaves less than %d connections", soft, wanted)
    return max(1, soft - OTHER_FILES - min(OVERFLOW, soft // 4))


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a server tells its application, and asks it.

    Attributes:
        drain: Says that the service is about to stop.
        is_lame: Whether a thread that runs inferences died.
        sample: Notes what is in flight, for the processes beside this one.
        reload: Loads the bundle's folder and the keys again; says itself what comes of it, and raises nothing.
    """

    drain: Callable[[], None]
    is_lame: Callable[[], bool]
    sample: Callable[[], None]
    reload: Callable[[], Awaitable[None]]


class DrainingServer(uvicorn.Server):
    """A uvicorn server that first stops being ready, serves on for a while, then finishes what is in flight.

    SIGTERM and SIGINT begin the end; a second one ends the wait, and after it SIGINT also ends the requests in
    flight. SIGHUP reads the keys and the bundle's folder again. `run` is given the listener.

    Of uvicorn it relies on these names: `config`, `servers`, `server_state`, `lifespan`, `started`, `should_exit`,
    `force_exit`, `startup`, `on_tick`, `handle_exit`, `shutdown`.

    Args:
        app: The application.
        hooks: What the server tells the application, and asks it.
        settings: Bounds of a connection, and how long to drain.
        on_listening: Called with the address of the page once the port is open.
        supervisor_pid: Process without which there is no point in serving; None where nobody supervises.

    Attributes:
        exit_code: Of the process, once the server has ended: `FAILURE` where it ended because it could not infer.
    """

    def __init__(
        self,
        app: ASGIApp,
        hooks: Hooks,
        settings: Settings,
        on_listening: Callable[[str], None],
        supervisor_pid: int | None = None,
    ) -> None:
        max_connections = most_connections(settings.max_connections)
        bounds = Bounds(settings.head_timeout_s, settings.write_timeout_s, max_connections)
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                http=bounded_by(bounds),
                ws="none",
                h11_max_incomplete_event_size=MAX_HEAD_BYTES,
                loop="uvloop"
                if sys.platform != "win32"
                else "asyncio",  # `auto` would fall back without a word
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=settings.shutdown_timeout_s,
            )
        )
        self.exit_code = 0
        self._hooks = hooks
        self._host = settings.host
        self._on_listening = on_listening
        self._drain_s = settings.drain_s
        self._supervisor_pid = supervisor_pid
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_draining = False
        self._reloading: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen."""
        self._loop = asyncio.get_running_loop()
        if hasattr(signal, "SIGHUP") and threading.current_thread() is threading.main_thread():
            self._loop.add_signal_handler(signal.SIGHUP, self._begin_reload)
        await super().startup(sockets)
        if self.started:
            # What stays for good is not looked at again: a full collection of it stops every thread for 0.1 s.
            gc.collect()
            gc.freeze()
            # Full collections come when a quarter as many objects are new as the last one left: now of none, not all.
            gc.collect()
            self._on_listening(page_url(self._host, self.servers[0].sockets[0].getsockname()[1]))
            if self._supervisor_pid is not None:
                self._begin_reload()  # the others may have been told of a new bundle while this one was loading

    async def on_tick(self, counter: int) -> bool:
        """Look after what sends no signal, ten times a second."""
        is_orphan = self._supervisor_pid is not None and os.getppid() != self._supervisor_pid
        is_lame = self._hooks.is_lame()
        if is_lame:
            self.exit_code = FAILURE  # so that whoever looks after the process starts another
        if (is_orphan or is_lame) and not self._is_draining:
            why = "The supervisor is gone" if is_orphan else "A worker that runs inferences died"
            self._begin_end(why)
        if counter % TICKS_A_SAMPLE == 0:
            self._hooks.sample()
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal to stop."""
        del frame  # where the signal came in does not matter
        if self._is_draining or self._loop is None:
            self.force_exit = self.should_exit and sig == signal.SIGINT
            self.should_exit = True
            return
        self._is_draining = True  # at once: a second signal may come before the loop's next turn
        # In a context of its own: the signal may have come in while a request was answered, whose id is not its.
        self._loop.call_soon_threadsafe(self._begin_end, signal.Signals(sig).name, context=Context())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the listener so that nobody who came in is left standing, then finish what is in flight."""
        self._hooks.drain()
        listeners = [
            socket.socket(fileno=os.dup(listener.fileno()))
            for server in self.servers
            for listener in server.sockets
        ]
        is_lone = self._supervisor_pid is None  # other workers go on at a listener that they share
        if is_lone and not self.force_exit:
            for listener in listeners:
                _refuse_new_connections(listener)
            await asyncio.sleep(HANDSHAKE_S)
        for server in self.servers:
            server.close()
        for listener in listeners:
            with listener:
                if is_lone or self.exit_code == 0:  # what cannot infer leaves its callers to the others
                    await self._accept_backlog(listener)
        await asyncio.sleep(0 if self.force_exit else IDLE_GRACE_S)
        if self._reloading:
            await asyncio.wait(self._reloading)
        await super().shutdown(sockets)

    async def _accept_backlog(self, listener: socket.socket) -> None:
        """Serve the connections that the system accepted before the listener closed: closing it would reset them."""
        loop = asyncio.get_running_loop()
        listener.setblocking(False)
        while True:
            try:
                connection, _ = listener.accept()
            except BlockingIOError:
                return
            except OSError:  # there may be no file descriptor left
                logger.exception("The rest of the backlog is not accepted")
                return
            connection.setblocking(False)
            await loop.connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> asyncio.Protocol:
        kind: Any = self.config.http_protocol_class
        return kind(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

    def _begin_end(self, why: str) -> None:
        """Stop being ready, and close later; the parent class would close at once and raise the signal again."""
        self._is_draining = True
        self._hooks.drain()
        logger.info("%s: not ready any more, closing in %g s", why, self._drain_s)
        asyncio.get_running_loop().call_later(self._drain_s, self._stop)

    def _stop(self) -> None:
        self.should_exit = True

    def _begin_reload(self) -> None:
        task = asyncio.ensure_future(self._hooks.reload())
        self._reloading.add(task)
        task.add_done_callback(self._reloading.discard)
