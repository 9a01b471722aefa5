"""The file over bytes that stay where they are."""

import io
import os
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phenoserve.stack.bytes_file import BytesFile

CONTENT = bytes(range(100))
steps = st.lists(
    st.one_of(
        st.tuples(st.just("seek"), st.integers(0, 150), st.just(os.SEEK_SET)),
        st.tuples(st.just("seek"), st.integers(0, 50), st.sampled_from([os.SEEK_CUR, os.SEEK_END])),
        st.tuples(st.just("read"), st.integers(-1, 120)),
        st.tuples(st.just("readinto"), st.integers(0, 120)),
        st.tuples(st.just("tell")),
    ),
    max_size=12,
)


@given(steps)
def test_it_reads_as_a_file_in_memory_does(steps) -> None:
    """Whatever is read from wherever, it is what `io.BytesIO` gives."""
    ours, theirs = BytesFile(memoryview(CONTENT)), io.BytesIO(CONTENT)
    for name, *arguments in steps:
        if name == "readinto":
            buffers = [bytearray(arguments[0]) for _ in range(2)]
            assert ours.readinto(buffers[0]) == theirs.readinto(buffers[1])
            assert buffers[0] == buffers[1]
        else:
            assert getattr(ours, name)(*arguments) == getattr(theirs, name)(*arguments)


def test_there_is_nothing_before_the_first_byte() -> None:
    """Going to before the beginning is refused, and where it is read from stays."""
    file = BytesFile(CONTENT)
    file.seek(3)
    with pytest.raises(ValueError, match="no byte -1"):
        file.seek(-4, os.SEEK_CUR)
    assert file.tell() == 3


def test_a_closed_file_holds_nothing() -> None:
    """Once it is closed the bytes are free, though the file is still referred to."""
    content = np.zeros(1000, np.uint8)
    held = weakref.ref(content)
    file = BytesFile(content.data)
    file.close()
    del content
    assert held() is None
