"""Files written whole or not at all, on file systems that promise little."""

import errno
import os

import pytest

from phenoserve import synced
from phenotrain.files import local_disk_hint, written


@pytest.fixture
def failing_sync(monkeypatch):
    """Let every sync fail with an error."""

    def fail_with(code):
        def fsync(_descriptor):
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(synced.os, "fsync", fsync)

    return fail_with


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP, errno.EPERM, errno.ENOSYS])
def test_a_share_without_sync_is_written_to(tmp_path, failing_sync, code):
    """Where a file system knows no sync, the file is written and the folder's entries stand."""
    failing_sync(code)
    written(tmp_path / "a", lambda path: path.write_text("new"))
    synced.sync_folder(tmp_path)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "new")]


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_a_failed_write_keeps_the_old_file(tmp_path, failing_sync, code):
    """Where the disk is broken or full, the error is raised and the old content stays."""
    (tmp_path / "a").write_text("old")
    failing_sync(code)
    with pytest.raises(OSError, match=os.strerror(code)):
        written(tmp_path / "a", lambda path: path.write_text("new"))
    with pytest.raises(OSError, match=os.strerror(code)):
        synced.sync_folder(tmp_path)
    assert (tmp_path / "a").read_text() == "old"


def test_what_a_place_lacks_is_told_from_what_is_wrong():
    """A map that a share refuses is answered with a local disk; a full disk and damaged content are not."""
    assert "local disk with --cache" in local_disk_hint(OSError(errno.ENODEV, "no map"), "--cache")
    assert local_disk_hint(OSError(errno.ENOSPC, "full"), "--cache") == ""
    assert local_disk_hint(ValueError("damaged"), "--cache") == ""
