"""Progress on standard error: one bar a long step on a terminal, plain lines where nobody watches."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

PLAIN_INTERVAL_S: Final = 30.0
"""Least time between two lines of one step."""


@contextmanager
def step_bar(title: str, console: Console) -> Iterator[Callable[..., None]]:
    """Shows how far a counted step has come.

    On a terminal it is a bar. Elsewhere it is a line when the step starts, one each half minute, and one when it ends.
    What a resumed step had done before counts as done, and the time left follows from new work alone.

    Args:
        title: What is being done.
        console: Where the progress goes.

    Yields:
        A function `(done, total, loss=None)` to call with what is done already before the first unit of work, and
        after every unit.
    """
    if not console.is_interactive:
        lines = _Lines(title, console)
        yield lines.advance
        lines.end()
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(title, total=None, note="")
        is_started = False

        def advance(done: int, total: int, loss: float | None = None) -> None:
            nonlocal is_started
            if not is_started:
                is_started = True
                progress.reset(task, total=total, completed=done)
            progress.update(task, completed=done, note=_note(loss))

        yield advance


@contextmanager
def uncounted_step(title: str, console: Console) -> Iterator[None]:
    """Shows a moving bar and the elapsed time while a step runs whose length is not known.

    Where nobody watches it is a line when the step starts and one when it ends.

    Args:
        title: What is being done.
        console: Where the progress goes.
    """
    if not console.is_interactive:
        started_s = time.monotonic()
        console.print(f"{title} …", markup=False, highlight=False)
        yield
        _print_end(title, time.monotonic() - started_s, console)
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(title, total=None)
        yield
        progress.update(task, total=1, completed=1)


class _Lines:
    """A counted step told in lines."""

    def __init__(self, title: str, console: Console) -> None:
        self._title, self._console = title, console
        self._started_s = self._told_s = time.monotonic()
        self._num_before: int | None = None

    def advance(self, done: int, total: int, loss: float | None = None) -> None:
        now = time.monotonic()
        if self._num_before is None:
            self._num_before = done
            self._started_s = now
            self._tell(f"{done}/{total} …")
        elif now - self._told_s >= PLAIN_INTERVAL_S and done < total:
            left_s = (total - done) * (now - self._started_s) / max(done - self._num_before, 1)
            parts = (f"{done}/{total}", _note(loss), f"{_clock(left_s)} left")
            self._tell(", ".join(filter(None, parts)))

    def end(self) -> None:
        _print_end(self._title, time.monotonic() - self._started_s, self._console)

    def _tell(self, text: str) -> None:
        self._told_s = time.monotonic()
        self._console.print(f"{self._title}: {text}", markup=False, highlight=False)


def _print_end(title: str, elapsed_s: float, console: Console) -> None:
    console.print(f"{title}: done in {_clock(elapsed_s)}", markup=False, highlight=False)


def _note(loss: float | None) -> str:
    return "" if loss is None else f"loss {loss:.3f}"


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
