"""How many optimiser steps a training takes, said before it starts, and how long, said as soon as that is measured."""

import time
from collections.abc import Callable
from typing import Final

from rich.console import Console

from phenotrain.batches import Batches

_TIMED_STEPS: Final = 3
"""Steps that the pace is taken from; the one before them, in which the network is traced, is left out."""

OnStep = Callable[[int, int, float | None], None]


def steps_text(batches: Batches, num_sites: int) -> str:
    """Say how much SimCLR is about to learn.

    Args:
        batches: The steps that it takes.
        num_sites: Sites that it learns from.

    Returns:
        Such as `200 steps of 8 pairs (200 passes over 8 sites)`.
    """
    passes = f"{batches.num_epochs} {'pass' if batches.num_epochs == 1 else 'passes'}"
    return f"{batches.num_steps_in_all} steps of {batches.batch_size} pairs ({passes} over {num_sites} sites)"


def paced(title: str, console: Console, on_step: OnStep) -> OnStep:
    """Lets a training say once, after its first steps, how long it is going to take.

    Args:
        title: What is trained.
        console: Where the line goes, whether it is watched or not.
        on_step: Called as before.

    Returns:
        What to call in its place: before the first step, without a loss, and after each.
    """
    ends: list[float] = []

    def after(step: int, total: int, loss: float | None) -> None:
        on_step(step, total, loss)
        if loss is None or len(ends) > _TIMED_STEPS:
            return
        ends.append(time.monotonic())
        if len(ends) > _TIMED_STEPS and step < total:
            step_s = (ends[-1] - ends[0]) / _TIMED_STEPS
            console.print(
                f"{title}: about {step_s:.2g} s a step, about {duration_text(step_s * (total - step))} to go",
                highlight=False,
            )

    return after


def duration_text(seconds: float) -> str:
    """Write a length of time as a person would: `40 s`, `4 min`, `2 h 10 min`."""
    if seconds < 60:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    hours, rest = divmod(minutes, 60)
    return f"{minutes} min" if hours == 0 else f"{hours} h {rest} min"
