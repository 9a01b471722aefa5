"""Reading refuses a folder that is not the bundle that was written, naming the file and the fix."""

import errno
import hashlib
import os
import re
from pathlib import Path

import pytest

from phenoserve.bundle import (
    AlteredFileError,
    BundleError,
    BundleFileError,
    ExtraFileError,
    FormatVersionError,
    ManifestError,
    MissingFileError,
    UnsafePathError,
    read_bundle,
)

FILES = ("model.onnx", "forest.joblib", "golden.npz", "calibration.npz", "card.md", "report/metrics.json")


def test_a_whole_bundle_is_read(tiny_bundle):
    """A bundle is read with its golden stacks, and its digest is that of the manifest's bytes."""
    bundle = read_bundle(tiny_bundle)
    assert bundle.digest == hashlib.sha256((tiny_bundle / "manifest.json").read_bytes()).hexdigest()
    assert bundle.model_path.read_bytes() == bundle.read_model()
    assert [stack.dtype.name for stack in bundle.golden.stacks] == ["uint8", "uint16"]
    assert bundle.golden.stacks[0].shape[1:] != bundle.golden.stacks[1].shape[1:]


def test_a_bundle_may_be_reached_through_a_link(tiny_bundle, tmp_path):
    """The folder itself may be reached through a symbolic link: a deployment's name for the current one."""
    (tmp_path / "current").symlink_to(tiny_bundle)
    assert read_bundle(tmp_path / "current").path == tiny_bundle.resolve()


@pytest.mark.parametrize("inside", [*FILES, "manifest.json"])
def test_a_missing_file_is_named(spoiled, inside):
    """A bundle without one of its files is refused with that file's path and what to do."""
    (spoiled.path / inside).unlink()
    with pytest.raises(MissingFileError, match=re.escape(inside)) as caught:
        read_bundle(spoiled.path)
    assert "Copy the bundle again" in str(caught.value)


def test_a_missing_folder_is_named(tmp_path):
    """A path that is no folder is refused with that path."""
    with pytest.raises(MissingFileError, match="nowhere is not a folder"):
        read_bundle(tmp_path / "nowhere")


@pytest.mark.parametrize("inside", ["notes.txt", "report/extra.png", "other/model.onnx", ".hidden"])
def test_an_extra_file_is_named(spoiled, inside):
    """A file the manifest does not list is refused with its path and what to do."""
    (spoiled.path / inside).parent.mkdir(exist_ok=True)
    (spoiled.path / inside).write_bytes(b"")
    with pytest.raises(ExtraFileError, match=re.escape(inside)) as caught:
        read_bundle(spoiled.path)
    assert "Move it out" in str(caught.value)


@pytest.mark.parametrize("inside", FILES)
def test_one_changed_bit_is_noticed(spoiled, inside):
    """A file of the same size and other content is refused with its path."""
    content = bytearray((spoiled.path / inside).read_bytes())
    content[len(content) // 2] ^= 1
    (spoiled.path / inside).write_bytes(content)
    with pytest.raises(AlteredFileError, match=f"{re.escape(inside)} has SHA-256"):
        read_bundle(spoiled.path)


@pytest.mark.parametrize("inside", FILES)
@pytest.mark.parametrize(
    "change", [lambda content: content[:-1], lambda content: content + b"x"], ids=["shrunk", "grown"]
)
def test_another_size_is_noticed(spoiled, inside, change):
    """A file that grew or shrank is refused with both sizes."""
    content = (spoiled.path / inside).read_bytes()
    (spoiled.path / inside).write_bytes(change(content))
    with pytest.raises(AlteredFileError, match=f"says {len(content)}"):
        read_bundle(spoiled.path)


def test_a_graph_changed_after_reading_is_noticed(spoiled):
    """The graph's bytes are verified again when they are read: what was verified is what is loaded."""
    bundle = read_bundle(spoiled.path)
    bundle.model_path.write_bytes(b"x" * bundle.model_path.stat().st_size)
    with pytest.raises(AlteredFileError, match=r"model\.onnx"):
        bundle.read_model()


@pytest.mark.parametrize("inside", [*FILES, "manifest.json"])
def test_a_link_is_refused_even_to_the_same_content(spoiled, tmp_path, inside):
    """A symbolic link inside a bundle is refused wherever it leads."""
    outside = tmp_path / "outside"
    (spoiled.path / inside).rename(outside)
    (spoiled.path / inside).symlink_to(outside)
    with pytest.raises(UnsafePathError, match=re.escape(inside)):
        read_bundle(spoiled.path)


def test_a_linked_folder_is_refused(spoiled, tmp_path):
    """A folder inside a bundle that is a link out of it is refused with its path and what to do."""
    (spoiled.path / "report").rename(tmp_path / "outside")
    (spoiled.path / "report").symlink_to(tmp_path / "outside")
    with pytest.raises(UnsafePathError, match=r"report is a symbolic link.*--dereference"):
        read_bundle(spoiled.path)


def test_a_pipe_is_refused_without_reading_it(spoiled):
    """What is neither file nor folder is refused before it is opened: a pipe would never end."""
    os.mkfifo(spoiled.path / "report" / "pipe")
    with pytest.raises(UnsafePathError, match="neither a regular file nor a folder"):
        read_bundle(spoiled.path)


@pytest.mark.parametrize("path", ["../outside", "/etc/hostname", "report/../../outside"])
def test_a_path_that_leaves_the_folder_is_refused(spoiled, tmp_path, path):
    """A manifest that lists a path outside the folder is refused with that path."""
    (tmp_path / "outside").write_bytes(b"")
    manifest = read_bundle(spoiled.path).manifest.dump()
    spoiled.change_manifest(files={**manifest["files"], path: {"sha256": "0" * 64, "size_bytes": 0}})
    with pytest.raises(ManifestError, match=re.escape(path)):
        read_bundle(spoiled.path)


@pytest.mark.parametrize("version", [0, 8, "1", True, 1.5])
def test_an_unknown_format_version_is_named(spoiled, version):
    """A bundle of another format is refused with its version, the one that is read, and what to do."""
    spoiled.change_manifest(format_version=version)
    with pytest.raises(FormatVersionError, match=re.escape(f"format_version {version!r}")) as caught:
        read_bundle(spoiled.path)
    assert "Install the phenoserve" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"{}", b"null", b"{" * 100_000, b"[" * 100_000])
def test_a_manifest_that_is_none_is_refused(spoiled, content):
    """Bytes that are no manifest are refused with the manifest's path."""
    (spoiled.path / "manifest.json").write_bytes(content)
    with pytest.raises(ManifestError, match=r"manifest\.json"):
        read_bundle(spoiled.path)


def test_an_endless_manifest_is_not_read(spoiled):
    """A manifest is read up to a limit only."""
    with (spoiled.path / "manifest.json").open("r+b") as file:
        file.truncate(2**40)
    with pytest.raises(ManifestError, match="larger than"):
        read_bundle(spoiled.path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads what is not readable")
def test_an_unreadable_file_is_named(spoiled):
    """A file this user may not read is refused with its path and what to do."""
    (spoiled.path / "card.md").chmod(0)
    with pytest.raises(BundleFileError, match=r"card\.md cannot be read.*Make it readable"):
        read_bundle(spoiled.path)


def test_every_refusal_is_a_bundle_error():
    """A caller that catches `BundleError` catches every refusal."""
    import phenoserve.bundle as bundle

    errors = [kind for name, kind in vars(bundle).items() if name.endswith("Error")]
    assert len(errors) > 10
    assert all(issubclass(kind, BundleError) for kind in errors)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.EMFILE, errno.ENOENT, errno.ELOOP])
@pytest.mark.parametrize("call", ["iterdir", "lstat", "resolve"])
def test_whatever_the_disk_says_is_a_bundle_error(tiny_bundle, monkeypatch, code, call):
    """An error of the system while the folder is looked at becomes a refusal with the path and the reason."""

    def fail(self, *args, **kwargs):
        raise OSError(code, os.strerror(code), str(self))

    monkeypatch.setattr(Path, call, fail)
    with pytest.raises(BundleFileError, match=re.escape(os.strerror(code))) as caught:
        read_bundle(tiny_bundle)
    assert str(tiny_bundle) in str(caught.value)
