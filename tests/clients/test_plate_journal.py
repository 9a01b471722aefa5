"""The journal outlives what may happen to it."""

import errno
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phenoclient import PlateError
from phenoclient.plate.journal import Entry, Journal
from phenoclient.plate.tables import read_table, write_table

BINDING = {"bundle digest": "ab", "layout": "rxrx"}
ENTRIES = [
    Entry(
        ("", "plat\udce9", f"A{index:02d}", "1"),
        ((index, 5),),
        {"predicted_treatment": "µ|\n", "distance": 0.1 * index},
    )
    for index in range(1, 5)
]


def entries(journal: Journal) -> list[Entry]:
    return [journal.entry(site) for site in journal.signatures]


def fill(path) -> None:
    with Journal(path, BINDING) as journal:
        for entry in ENTRIES:
            journal.append(entry)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("journal") / "whole"
    fill(path)
    return path.read_bytes()


@given(data=st.data())
def test_a_journal_cut_anywhere_holds_every_whole_line(whole, tmp_path_factory, data):
    """Cut at any byte, the journal gives the entries whose lines are whole, and takes the rest again."""
    length = data.draw(st.integers(0, len(whole)))
    path = tmp_path_factory.mktemp("cut") / "journal"
    path.write_bytes(whole[:length])
    num_whole = max(0, whole[:length].count(b"\n") - 1)
    with Journal(path, BINDING) as journal:
        assert entries(journal) == ENTRIES[:num_whole]
        for entry in ENTRIES[num_whole:]:
            journal.append(entry)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("num_whole", [0, 2])
def test_a_full_disk_is_one_line_and_loses_no_whole_entry(whole, tmp_path, num_whole):
    """Where the disk takes no more, opening or adding is refused with the reason, and what was added before stays."""
    resource = pytest.importorskip("resource")
    path = tmp_path / "journal"
    room = len(b"".join(whole.splitlines(keepends=True)[: num_whole + 1])) if num_whole else 10
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        with pytest.raises(PlateError, match=r"cannot be .*written \(File too large\)"):
            fill(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    with Journal(path, BINDING) as journal:
        assert (entries(journal), journal.num_damaged) == (ENTRIES[:num_whole], 0)


@pytest.mark.parametrize("tail", [b"\0" * 700, b"{", b'{"site":["","7","A09","1"],"sig' + b"\0" * 40])
def test_a_last_line_without_an_end_is_torn(whole, tmp_path, tail):
    """A last line that does not end, or zeros as a power cut leaves them, is cut off; nothing else is lost."""
    path = tmp_path / "journal"
    path.write_bytes(whole + tail)
    with Journal(path, BINDING) as journal:
        assert (entries(journal), journal.num_damaged) == (ENTRIES, 0)
    assert path.read_bytes() == whole


SITE, SIGNATURE, ANSWER = ["", "7", "A02", "1"], [[2, 5]], {"predicted_treatment": "x", "distance": 1}


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "\0\0",
        "[]",
        json.dumps({"site": SITE, "answer": ANSWER}),
        json.dumps({"site": SITE[1:], "signature": SIGNATURE, "answer": ANSWER}),
        json.dumps({"site": "A02", "signature": SIGNATURE, "answer": ANSWER}),
        json.dumps({"site": [*SITE[:3], 1], "signature": SIGNATURE, "answer": ANSWER}),
        json.dumps({"site": SITE, "signature": [[2]], "answer": ANSWER}),
        json.dumps({"site": SITE, "signature": [["2", 5]], "answer": ANSWER}),
        json.dumps({"site": SITE, "signature": SIGNATURE, "answer": None}),
        json.dumps({"site": SITE, "signature": SIGNATURE, "answer": {"predicted_treatment": "x"}}),
        json.dumps({"site": SITE, "signature": SIGNATURE, "answer": ANSWER | {"distance": "near"}}),
        json.dumps({"site": SITE, "signature": SIGNATURE, "answer": ANSWER | {"predicted_treatment": 7}}),
        "[" * 100_000,
    ],
)
def test_a_damaged_line_counts_for_nothing_and_is_counted(whole, tmp_path, line):
    """A line that is no entry loses its own site and no other; a new answer about the site is kept behind it."""
    lines = whole.decode().split("\n")
    lines[2] = line
    path = tmp_path / "journal"
    path.write_text("\n".join(lines))
    with Journal(path, BINDING) as journal:
        assert (entries(journal), journal.num_damaged) == ([ENTRIES[0], *ENTRIES[2:]], 1)
        journal.append(ENTRIES[1])
    with Journal(path, BINDING) as journal:
        assert sorted(entries(journal), key=lambda entry: entry.site) == ENTRIES


def test_a_journal_of_an_earlier_version_is_refused_in_a_sentence(whole, tmp_path):
    """Answers that an earlier version kept have no order of channels and no notices: they are not filled up."""
    path = tmp_path / "journal"
    path.write_bytes(whole.replace(b"plate journal 3", b"plate journal 1"))
    with pytest.raises(PlateError, match=r"another version of phenoclient .*journal 1.*move it away"):
        Journal(path, BINDING)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_a_folder_that_cannot_sync_is_gone_on_with(tmp_path, monkeypatch, number):
    """Where a file system has no fsync, answers and tables are written all the same."""

    def refuse(_descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with Journal(tmp_path / "journal", BINDING) as journal:
        journal.append(ENTRIES[0])
    write_table(tmp_path / "t.csv", [{"code": "x"}], ["code"])
    assert read_table(tmp_path / "t.csv") == [{"code": "x"}]
    with Journal(tmp_path / "journal", BINDING) as journal:
        assert entries(journal) == ENTRIES[:1]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.EINVAL])
def test_a_folder_that_cannot_lock_is_refused_with_advice(tmp_path, monkeypatch, number):
    """Where a file system has no locks two runs could write one journal: a local disk is asked for."""

    def refuse(*_arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(PlateError, match=r"cannot be locked .* on a local disk with --out"):
        Journal(tmp_path / "journal", BINDING)


def test_a_disk_that_is_full_is_no_disk_without_sync(tmp_path, monkeypatch):
    """An error of fsync that is not "no such call" is an error: nothing counts that may not be on the disk."""

    def refuse(_descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with Journal(tmp_path / "journal", BINDING) as journal:
        monkeypatch.setattr(os, "fsync", refuse)
        with pytest.raises(PlateError, match="cannot be written"):
            journal.append(ENTRIES[0])
        assert journal.signatures == {}


def test_another_run_is_refused_by_what_differs(whole, tmp_path):
    """A journal of another bundle is refused with both digests, and left as it is."""
    path = tmp_path / "journal"
    path.write_bytes(whole)
    with pytest.raises(PlateError, match="bundle digest: ab in the journal, cd now"):
        Journal(path, BINDING | {"bundle digest": "cd"})
    assert path.read_bytes() == whole


@pytest.mark.parametrize("content", ['{"some": "thing"}\n', '{"some": "thing"}', "x", '{"format":"x"}\n'])
def test_another_file_is_refused_and_left_alone(tmp_path, content):
    """A file that is no journal, with or without an end of its line, is refused and keeps its content."""
    path = tmp_path / "journal"
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
        assert journal.signatures == {}
