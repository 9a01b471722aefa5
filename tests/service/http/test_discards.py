"""The pace at which refused bodies are thrown away."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phenoserve.http import discards
from phenoserve.http.discards import Discards

RATE = 1000.0


@given(st.lists(st.tuples(st.floats(0, 10), st.integers(1, 10**5)), min_size=1, max_size=20))
def test_all_together_never_exceed_the_pace(steps: list[tuple[float, int]]) -> None:
    """Whoever throws bytes away waits until all bytes so far are worth their time; a pause saves none up."""
    now, pace = 0.0, Discards(1.0, RATE)
    total = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(discards.time, "monotonic", lambda: now)
        for elapsed, num_bytes in steps:
            now += elapsed
            total += num_bytes
            wait_s = pace.wait_s(num_bytes)
            assert wait_s >= num_bytes / RATE - 1e-9
            assert now + wait_s >= steps[0][0] + total / RATE - 1e-6
