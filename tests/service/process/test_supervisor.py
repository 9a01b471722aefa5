"""The supervisor, over workers that are small shell scripts."""

import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from phenoserve.process import supervisor as module
from phenoserve.process.supervisor import KILL_MARGIN_S, Supervisor
from phenoserve.scheduling import JOIN_LIMIT_S
from phenoserve.settings import Settings

LIMIT_S = 20.0


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture(autouse=True)
def _quickly(monkeypatch) -> None:
    monkeypatch.setattr(module, "RESTART_DELAY_S", 0.05)
    monkeypatch.setattr(module, "POLL_S", 0.02)


def supervise(
    script: str, listener: socket.socket, log: Path, *, num_workers: int = 2, stop_s: float = LIMIT_S
) -> Supervisor:
    """Workers that run a script, with the pipe's descriptor in `$READY` and the log's path in `$LOG`."""
    return Supervisor(
        lambda _, ready_fd: ["bash", "-c", f"READY={ready_fd}; {script}"],
        num_workers=num_workers,
        listener=listener,
        environment={"PATH": os.environ["PATH"], "LOG": str(log)},
        stop_s=stop_s,
    )


def meanwhile(act) -> threading.Thread:
    """Act beside the supervisor, which needs the main thread for its signals."""
    thread = threading.Thread(target=act)
    thread.start()
    return thread


def wait_for(log: Path, num_lines: int) -> list[str]:
    deadline = time.monotonic() + LIMIT_S
    while not log.exists() or len(log.read_text().splitlines()) < num_lines:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return log.read_text().splitlines()


SERVE = (
    'trap "exit 0" TERM; trap "echo hup $$ >> $LOG" HUP; echo 1 >&$READY; echo $$ >> $LOG; '
    "while true; do sleep 0.05; done"
)


@pytest.mark.parametrize("code", [1, 2, 3])
def test_workers_that_cannot_start_end_it(listener, tmp_path, code) -> None:
    """If workers end by themselves before any serves, so does the supervisor, with their exit code."""
    assert supervise(f"exit {code}", listener, tmp_path / "log").run() == code


def test_a_worker_that_ends_is_replaced(listener, tmp_path) -> None:
    """A killed worker is replaced, and SIGTERM ends all of them with 0."""
    log = tmp_path / "log"

    def act() -> None:
        os.kill(int(wait_for(log, 2)[0]), signal.SIGKILL)
        wait_for(log, 3)
        os.kill(os.getpid(), signal.SIGTERM)

    acting = meanwhile(act)
    assert supervise(SERVE, listener, log).run() == 0
    acting.join()
    pids = [int(line) for line in log.read_text().split()]
    assert len(set(pids)) == 3
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_sighup_reaches_every_worker(listener, tmp_path) -> None:
    """SIGHUP is passed on to every worker, and ends none."""
    log = tmp_path / "log"

    def act() -> None:
        wait_for(log, 2)
        os.kill(os.getpid(), signal.SIGHUP)
        wait_for(log, 4)
        os.kill(os.getpid(), signal.SIGINT)

    acting = meanwhile(act)
    assert supervise(SERVE, listener, log).run() == 0
    acting.join()
    lines = log.read_text().splitlines()
    assert {f"hup {pid}" for pid in lines if pid.isdigit()} == {line for line in lines if not line.isdigit()}


def test_a_worker_that_does_not_end_is_killed(listener, tmp_path, monkeypatch) -> None:
    """A worker that ignores SIGTERM is killed once its time is over."""
    monkeypatch.setattr(module, "KILL_MARGIN_S", 0.1)
    log = tmp_path / "log"

    def act() -> None:
        wait_for(log, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    acting = meanwhile(act)
    stubborn = SERVE.replace('trap "exit 0" TERM', 'trap "" TERM')
    assert supervise(stubborn, listener, log, num_workers=1, stop_s=0.1).run() == 0
    acting.join()


def test_the_container_waits_longer_than_a_service_takes_to_end() -> None:
    """The grace of docker-compose.yml exceeds drain, shutdown, the threads' limit and the supervisor's margin."""
    text = (Path(__file__).parents[3] / "docker-compose.yml").read_text("utf-8")
    fields = Settings.model_fields
    needed = fields["drain_s"].default + fields["shutdown_timeout_s"].default + JOIN_LIMIT_S + KILL_MARGIN_S
    graces = [int(grace) for grace in re.findall(r"stop_grace_period: (\d+)s", text)]
    assert graces
    assert min(graces) > needed
