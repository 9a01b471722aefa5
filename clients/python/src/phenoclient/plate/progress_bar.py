"""The progress of a run on a terminal: bar, count, rate, remaining time, requests in flight."""

import time
from types import TracebackType
from typing import final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from phenoclient.plate.asking import Progress, Run

_PLAIN_INTERVAL_S = 30.0


@final
class ProgressBar:
    """Draws on standard error; where that is no terminal, says how far it is every half minute."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(compact=True),
            TextColumn("left, {task.fields[in_flight]} in flight"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("sites", total=None, rate="", in_flight=0)
        self._num_before = self._num_sites = 0
        self._started_s = self._told_s = time.monotonic()

    def __enter__(self) -> "ProgressBar":
        self._bar.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def start(self, _run: Run, num_sites: int, num_done: int) -> None:
        """Takes note of how many sites there are, and how many were done before."""
        self._num_sites, self._num_before = num_sites, num_done
        self._started_s = self._told_s = time.monotonic()
        self._bar.reset(self._task, total=num_sites, completed=num_done)

    def update(self, progress: Progress) -> None:
        """Shows how far the run is."""
        now = time.monotonic()
        rate = f"{progress.num_done / max(now - self._started_s, 1e-9):.1f} sites/s"
        what = "waiting for the service" if progress.is_waiting else "sites"
        done = self._num_before + progress.num_done
        self._bar.update(
            self._task, completed=done, description=what, rate=rate, in_flight=progress.num_in_flight
        )
        if not self._console.is_terminal and now - self._told_s >= _PLAIN_INTERVAL_S:
            self._told_s = now
            left_s = (self._num_sites - done) * (now - self._started_s) / max(progress.num_done, 1)
            self._console.print(f"{what}: {done}/{self._num_sites}, {rate}, {left_s:.0f} s left")
