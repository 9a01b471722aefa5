"""How fast passes get on, by times that are given."""

import pytest

from phenoserve.scheduling.pace import KEPT, Pace


def test_the_pace_is_that_of_the_time_with_passes() -> None:
    """Passes of 10 pixels every 2 s are 5 a second, however long there was none in between."""
    pace = Pace()
    assert pace.px_per_s is None
    pace.resume(100.0)
    assert pace.px_per_s is None
    for now in (102.0, 104.0, 106.0):
        pace.note(10, now)
    assert pace.px_per_s == pytest.approx(5)
    pace.resume(1000.0)
    pace.note(10, 1002.0)
    assert pace.px_per_s == pytest.approx(5)


def test_later_passes_count_more() -> None:
    """A pass counts nine tenths of the one after it, in pixels and in seconds, so that a new pace is soon the pace."""
    pace = Pace()
    pace.note(10, 1.0)
    pace.note(10, 3.0)
    assert pace.px_per_s == pytest.approx((KEPT * 10 + 10) / (KEPT * 1 + 2))
    for second in range(50):
        pace.note(30, 4.0 + second)
    assert pace.px_per_s == pytest.approx(30, rel=0.01)
