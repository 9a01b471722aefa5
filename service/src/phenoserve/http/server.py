"""Runs the application under uvicorn, and drains it when the process is told to stop."""

import asyncio
import logging
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn

from phenoserve.http.app import App
from phenoserve.settings import Settings

logger = logging.getLogger(__name__)


class DrainingServer(uvicorn.Server):
    """A uvicorn server that first stops being ready, serves on for a while, then finishes what is in flight.

    A second signal ends the wait; after it, SIGINT also ends the requests in flight.

    Args:
        app: The application.
        settings: Address, and how long to drain.
        on_listening: Called with the address of the page once the port is open.
    """

    def __init__(self, app: App, settings: Settings, on_listening: Callable[[str], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=settings.host,
                port=settings.port,
                log_config=None,
                access_log=False,
                # Named, as `auto` would fall back to slower ones without a word.
                http="httptools",
                loop="uvloop" if sys.platform != "win32" else "asyncio",
                timeout_graceful_shutdown=settings.shutdown_timeout_s,
            )
        )
        self._app = app
        self._host = settings.host
        self._on_listening = on_listening
        self._drain_s = settings.drain_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_draining = False

    async def startup(self, sockets: list[Any] | None = None) -> None:
        """Start to listen."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        if self.started:
            host = "127.0.0.1" if self._host in {"0.0.0.0", "::"} else self._host  # noqa: S104 (compared, not bound)
            port = self.servers[0].sockets[0].getsockname()[1]
            self._on_listening(f"http://{f'[{host}]' if ':' in host else host}:{port}/")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal to stop."""
        del frame  # where the signal came in does not matter
        if self._is_draining or self._loop is None:
            self._stop(sig)
            return
        self._is_draining = True
        self._app.service.scheduler.drain()
        logger.info("%s: not ready any more, closing in %g s", signal.Signals(sig).name, self._drain_s)
        self._loop.call_soon_threadsafe(self._loop.call_later, self._drain_s, self._stop, sig)

    def _stop(self, sig: int) -> None:
        """Close the door; the parent class would also raise the signal again, an end by error."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True
