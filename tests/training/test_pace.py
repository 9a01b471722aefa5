"""What a training says of its length."""

import io

import pytest
from rich.console import Console

from phenotrain import pace


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (59, "59 s"), (95, "2 min"), (3599, "1 h 0 min"), (7800, "2 h 10 min")],
)
def test_a_duration_is_written_as_a_person_would(seconds, text):
    """Seconds up to a minute, then minutes, then hours and minutes."""
    assert pace.duration_text(seconds) == text


def said(monkeypatch, num_steps: int, *, first: int = 1) -> tuple[str, list[int]]:
    """What is written while steps from `first` on take 2 s each, the first of them 30 s; and the steps passed on."""
    clock = [0.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: clock[0])
    out, steps = io.StringIO(), []
    after = pace.paced("SimCLR", Console(file=out, width=200), lambda step, total, loss: steps.append(step))
    for step in range(first, num_steps + 1):
        clock[0] += 30.0 if step == first else 2.0
        after(step, num_steps, 1.0)
    return out.getvalue(), steps


def test_the_pace_leaves_the_tracing_out(monkeypatch):
    """After four steps, one of them slow, the line says the pace of the others and what is left, once."""
    text, steps = said(monkeypatch, 200)
    assert text == "SimCLR: about 2 s a step, about 7 min to go\n"
    assert steps == list(range(1, 201))


def test_a_resumed_training_says_what_is_left(monkeypatch):
    """The time to go is that of the steps that are left, wherever the training goes on."""
    assert said(monkeypatch, 200, first=151)[0] == "SimCLR: about 2 s a step, about 2 min to go\n"


def test_a_training_of_a_few_steps_says_no_pace(monkeypatch):
    """Four steps are over by the time their pace is known."""
    assert said(monkeypatch, 4)[0] == ""
