"""What is held never goes beyond the limits while it grows, and all of it comes back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phenoserve.scheduling import Admission, FullError, Lease

MAX_REQUESTS, MAX_BYTES = 3, 100


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from(["hold", "release"]), st.integers(0, 120)), max_size=40
    )
)
def test_the_budget_is_kept_and_given_back(steps) -> None:
    """A request grows exactly if its count and bytes fit, is unchanged if not, and afterwards nothing is held."""
    admission = Admission(MAX_REQUESTS, MAX_BYTES)
    leases = [Lease(admission) for _ in range(6)]
    held: dict[int, int] = {}
    for index, step, num_bytes in steps:
        if step == "release":
            leases[index].release()
            held.pop(index, None)
        else:
            others = {other: count for other, count in held.items() if other != index}
            grows = index not in held or num_bytes > held[index]
            fits = len(others) < MAX_REQUESTS and sum(others.values()) + num_bytes <= MAX_BYTES
            if grows and not fits:
                with pytest.raises(FullError):
                    leases[index].hold(num_bytes)
            else:
                leases[index].hold(num_bytes)
                held[index] = num_bytes
        assert admission.num_requests == len(held) <= MAX_REQUESTS
        assert admission.num_bytes == sum(held.values()) <= MAX_BYTES
    for lease in leases:
        lease.release()
    assert admission.num_requests == admission.num_bytes == 0


def test_a_share_counts_for_the_whole() -> None:
    """What is held of a share is held of the whole; one alone may exceed the share, but never the whole."""
    whole = Admission(3, 100)
    share = Admission(2, 40, within=whole, name="attributions")
    first, second, plain = Lease(share), Lease(share), Lease(whole)
    first.hold(60)
    assert (whole.num_requests, whole.num_bytes) == (1, 60)
    with pytest.raises(FullError, match="attributions"):
        second.hold(1)
    with pytest.raises(FullError):
        first.hold(101)
    plain.hold(40)
    with pytest.raises(FullError):
        first.hold(61)
    first.release()
    assert (share.num_requests, share.num_bytes, whole.num_requests, whole.num_bytes) == (0, 0, 1, 40)


def test_an_answer_that_is_there_is_counted_and_not_refused() -> None:
    """Bytes of an answer may go beyond the budget; what comes next is refused until they are given back."""
    admission = Admission(2, 100)
    answered = Lease(admission)
    answered.hold(10)
    answered.recount(150)
    with pytest.raises(FullError):
        admission.require_room(1)
    answered.release()
    admission.require_room(100)
