"""Keeps several processes serving one port: starts them, passes signals on, and starts another for one that ends."""

import logging
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Final

POLL_S: Final = 0.1
RESTART_DELAY_S: Final = 1.0
"""Least seconds between two starts in the same place, so that one that cannot start does not keep the machine busy."""

KILL_MARGIN_S: Final = 5.0
"""Seconds beyond all that a worker may take to end after which it is killed."""

READY_BYTE: Final = b"1"

logger = logging.getLogger(__name__)


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    ready_fd: int
    started: float


class Supervisor:
    """Runs worker processes until it is told to stop.

    A worker inherits the open port, and a pipe to say by one byte that it serves. While no worker has ever served, one
    that ends by itself ends all: it cannot be started as it was asked to. Later one that ends is replaced.

    Args:
        command: The worker's command; it is called with the file descriptors of the port and of the pipe.
        num_workers: How many to keep.
        listener: The socket, bound and listening.
        environment: The workers' environment.
        stop_s: Seconds a worker has to end.
        after_end: Called with the process id of a worker that ended.
    """

    def __init__(
        self,
        command: Callable[[int, int], Sequence[str]],
        *,
        num_workers: int,
        listener: socket.socket,
        environment: Mapping[str, str],
        stop_s: float,
        after_end: Callable[[int], object] = lambda _: None,
    ) -> None:
        self._command = command
        self._listener = listener
        self._environment = dict(environment)
        self._stop_s = stop_s
        self._after_end = after_end
        self._workers: list[_Worker] = []
        self._starts: list[float] = [0.0] * num_workers
        self._signals: list[int] = []
        self._has_served = False
        self._kill_at: float | None = None
        self._exit_code = 0

    def run(self) -> int:
        """Start the workers and look after them until SIGTERM or SIGINT.

        Returns:
            The exit code: 0, or that of a worker that could not start.
        """
        taken = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        before = {sig: signal.signal(sig, self._take) for sig in taken}
        try:
            while self._workers or self._starts:
                for due in [due for due in self._starts if due <= time.monotonic()]:
                    self._starts.remove(due)
                    self._workers.append(self._start())
                time.sleep(POLL_S)
                while self._signals:
                    self._obey(self._signals.pop(0))
                for worker in list(self._workers):
                    self._look_at(worker)
        finally:
            for sig, handler in before.items():
                signal.signal(sig, handler)
        return self._exit_code

    def _start(self) -> _Worker:
        ready_fd, write_fd = os.pipe()
        os.set_blocking(ready_fd, False)
        listener_fd = self._listener.fileno()
        process = subprocess.Popen(  # noqa: S603  (this very program)
            self._command(listener_fd, write_fd),
            pass_fds=(listener_fd, write_fd),
            env=self._environment,
            # Ctrl-C reaches the supervisor alone, which passes it on once.
            start_new_session=True,
        )
        os.close(write_fd)
        logger.info("Worker %d started", process.pid)
        return _Worker(process, ready_fd, time.monotonic())

    def _look_at(self, worker: _Worker) -> None:
        """Note whether a worker serves, and what became of it."""
        if not self._has_served and select.select([worker.ready_fd], [], [], 0)[0]:
            self._has_served = os.read(worker.ready_fd, 1) == READY_BYTE
        if worker.process.poll() is not None:
            os.close(worker.ready_fd)
            self._workers.remove(worker)
            self._after_end(worker.process.pid)
            self._follow_up(worker)
        elif self._kill_at is not None and time.monotonic() > self._kill_at:
            logger.error("Worker %d did not end in time and is killed", worker.process.pid)
            worker.process.kill()

    def _follow_up(self, ended: _Worker) -> None:
        """Replace a worker that ended, or end all if none could be started."""
        code = ended.process.returncode
        if self._kill_at is not None:
            return
        if not self._has_served and code > 0:
            self._exit_code = code
            self._stop()
            return
        logger.error("Worker %d ended with %d; another is started", ended.process.pid, code)
        self._starts.append(ended.started + RESTART_DELAY_S)

    def _take(self, sig: int, frame: FrameType | None) -> None:
        del frame  # where the signal came in does not matter
        self._signals.append(sig)

    def _obey(self, sig: int) -> None:
        logger.info("%s: passed on to %d workers", signal.Signals(sig).name, len(self._workers))
        if sig == signal.SIGHUP:
            self._send(signal.SIGHUP)
        else:
            self._stop()

    def _stop(self) -> None:
        self._kill_at = self._kill_at or time.monotonic() + self._stop_s + KILL_MARGIN_S
        self._starts.clear()
        self._listener.close()
        self._send(signal.SIGTERM)

    def _send(self, sig: signal.Signals) -> None:
        for worker in self._workers:
            worker.process.send_signal(sig)
