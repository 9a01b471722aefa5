"""The journal outlives what may happen to it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phenoclient import PlateError
from phenoclient.plate.journal import Entry, Journal

BINDING = {"bundle digest": "ab", "layout": "rxrx"}
ENTRIES = [
    Entry(("", "7", f"A{index:02d}", "1"), ((index, 5),), {"predicted_treatment": "µ|\n", "x": 0.1 * index})
    for index in range(1, 5)
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("journal") / "whole"
    with Journal(path, BINDING) as journal:
        for entry in ENTRIES:
            journal.append(entry)
    return path.read_bytes()


@given(data=st.data())
def test_a_journal_cut_anywhere_holds_every_whole_line(whole, tmp_path_factory, data):
    """Cut at any byte, the journal gives the entries whose lines are whole, and takes the rest again."""
    length = data.draw(st.integers(0, len(whole)))
    path = tmp_path_factory.mktemp("cut") / "journal"
    path.write_bytes(whole[:length])
    num_whole = max(0, whole[:length].count(b"\n") - 1)
    with Journal(path, BINDING) as journal:
        assert list(journal.entries.values()) == ENTRIES[:num_whole]
        for entry in ENTRIES[num_whole:]:
            journal.append(entry)
    assert path.read_bytes() == whole


def test_a_last_line_of_anything_else_is_torn_too(whole, tmp_path):
    """A last line that ends but holds no JSON object, as a power cut leaves, is cut off."""
    path = tmp_path / "journal"
    path.write_bytes(whole + b"\0\0\0\n")
    with Journal(path, BINDING) as journal:
        assert list(journal.entries.values()) == ENTRIES
    assert path.read_bytes() == whole


def test_damage_before_the_last_line_is_refused(whole, tmp_path):
    """A damaged line with whole ones behind it was no kill: the journal is refused by the line's number."""
    lines = whole.split(b"\n")
    lines[2] = b"{"
    (tmp_path / "journal").write_bytes(b"\n".join(lines))
    with pytest.raises(PlateError, match="line 3 of 5"):
        Journal(tmp_path / "journal", BINDING)


def test_another_run_is_refused_by_what_differs(whole, tmp_path):
    """A journal of another bundle is refused with both digests, and left as it is."""
    path = tmp_path / "journal"
    path.write_bytes(whole)
    with pytest.raises(PlateError, match="bundle digest: ab in the journal, cd now"):
        Journal(path, BINDING | {"bundle digest": "cd"})
    assert path.read_bytes() == whole


def test_another_file_is_refused_and_left_alone(tmp_path):
    """A file of JSON lines that is no journal is refused and keeps its content."""
    path = tmp_path / "journal"
    content = json.dumps({"some": "thing"}) + "\n"
    path.write_text(content)
    with pytest.raises(PlateError, match="not that of a journal"):
        Journal(path, BINDING)
    assert path.read_text() == content


def test_a_journal_belongs_to_one_run_at_a_time(tmp_path):
    """While one run holds the journal another is refused; afterwards it is free."""
    path = tmp_path / "journal"
    with Journal(path, BINDING), pytest.raises(PlateError, match="another process"):
        Journal(path, BINDING)
    with Journal(path, BINDING) as journal:
        assert journal.entries == {}
