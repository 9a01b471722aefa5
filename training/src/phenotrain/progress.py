"""Progress on the terminal: one bar a long step, nothing when output is not watched."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


@contextmanager
def step_bar(title: str, console: Console) -> Iterator[Callable[..., None]]:
    """Shows a bar while a counted step runs.

    Args:
        title: What is being done.
        console: Where the bar goes.

    Yields:
        A function `(done, total, loss=None)` to call after every unit of work.
    """
    columns = (
        TextColumn("[progress.description]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(title, total=None, note="")

        def advance(done: int, total: int, loss: float | None = None) -> None:
            note = "" if loss is None else f"loss {loss:.3f}"
            progress.update(task, completed=done, total=total, note=note)

        yield advance


@contextmanager
def uncounted_step(title: str, console: Console) -> Iterator[None]:
    """Shows a moving bar and the elapsed time while a step runs whose length is not known.

    Args:
        title: What is being done.
        console: Where the bar goes.
    """
    columns = (TextColumn("[progress.description]{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(title, total=None)
        yield
        progress.update(task, total=1, completed=1)
