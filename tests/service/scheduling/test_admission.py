"""What is let in never goes beyond the limits, and all of it comes back."""

from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phenoserve.scheduling import Admission, FullError

MAX_REQUESTS, MAX_BYTES = 3, 100


@given(
    st.lists(st.tuples(st.integers(0, 120), st.floats(0, 1)), max_size=12),
    st.lists(st.booleans(), max_size=12),
)
def test_the_budget_is_kept_and_given_back(bodies, leaving) -> None:
    """A request is let in exactly if its count and bytes fit, and afterwards nothing is held."""
    admission = Admission(MAX_REQUESTS, MAX_BYTES)
    inside: list[tuple[ExitStack, int]] = []
    for (most, share), leaves in zip(bodies, leaving, strict=False):
        held = sum(num_bytes for _, num_bytes in inside)
        request = ExitStack()
        if len(inside) == MAX_REQUESTS or held + most > MAX_BYTES:
            with pytest.raises(FullError):
                request.enter_context(admission.admit(most))
        else:
            lease = request.enter_context(admission.admit(most))
            lease.shrink(int(most * share))
            inside.append((request, lease.num_bytes))
        if leaves and inside:
            inside.pop(0)[0].close()
        assert admission.num_requests == len(inside) <= MAX_REQUESTS
        assert admission.num_bytes == sum(num_bytes for _, num_bytes in inside) <= MAX_BYTES
    for request, _ in inside:
        request.close()
    assert admission.num_requests == admission.num_bytes == 0
