"""Golden stacks: plain arrays that fit their manifest."""

import dataclasses
import io
import zipfile

import numpy as np
import pytest

from phenoserve.bundle import GoldenError, read_bundle
from phenoserve.bundle.golden import read_golden


@pytest.fixture(scope="module")
def bundle(tiny_bundle):
    """The tiny bundle, read."""
    return read_bundle(tiny_bundle)


def arrays_of(bundle) -> dict[str, np.ndarray]:
    """Return the arrays of the bundle's golden file."""
    with np.load(bundle.path / "golden.npz", allow_pickle=False) as archive:
        return dict(archive)


def packed(arrays, **options) -> bytes:
    """Return an archive of the arrays."""
    file = io.BytesIO()
    np.savez_compressed(file, **options, **arrays)
    return file.getvalue()


def test_golden_stacks_survive_their_file(bundle):
    """Golden stacks and answers are read bit for bit as they were written, in the pixel type of their file."""
    again = read_golden(bundle.golden.to_npz(), bundle.manifest)
    assert len(again.stacks) == 2
    for stack, other in zip(bundle.golden.stacks, again.stacks, strict=True):
        assert stack.dtype == other.dtype
        np.testing.assert_array_equal(stack, other)
    for answers, others in zip(bundle.golden.outputs, again.outputs, strict=True):
        for name, array in answers.arrays().items():
            np.testing.assert_array_equal(array, others.arrays()[name])


def test_an_object_array_is_refused_without_unpickling(bundle, tmp_path):
    """An archive with a pickled array is refused, and the pickle does not run."""

    class Hostile:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    content = packed({**arrays_of(bundle), "stack_0": np.array([Hostile()], dtype=object)})
    with pytest.raises(GoldenError, match="not an archive of plain arrays"):
        read_golden(content, bundle.manifest)
    assert not (tmp_path / "ran").exists()


def test_an_inflating_archive_is_refused_before_it_is_inflated(bundle, monkeypatch):
    """An archive that states more bytes than the limit is refused."""
    monkeypatch.setattr("phenoserve.bundle.golden.MAX_GOLDEN_BYTES", 1000)
    with pytest.raises(GoldenError, match="inflates to"):
        read_golden(bundle.golden.to_npz(), bundle.manifest)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no archive"])
def test_what_is_no_archive_is_refused(bundle, content):
    """Bytes that are no archive are refused as such."""
    with pytest.raises(GoldenError, match=r"golden\.npz"):
        read_golden(content, bundle.manifest)


def test_a_member_that_is_no_array_is_refused(bundle):
    """An archive with a member that is no NumPy file is refused."""
    file = io.BytesIO(packed(arrays_of(bundle)))
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("notes.txt", "hello")
    with pytest.raises(GoldenError):
        read_golden(file.getvalue(), bundle.manifest)


SPOILED = {
    "a stack of another type": ("stack_0", lambda array: array.astype(np.int16)),
    "a stack of other channels": ("stack_1", lambda array: array[:5]),
    "a stack without channels": ("stack_1", lambda array: array[0]),
    "a stack too small": ("stack_0", lambda array: array[:, :63]),
    "an embedding of another size": ("embedding_0", lambda array: array[:, :512]),
    "an answer of two rows": ("logits_1", lambda array: np.concatenate([array, array])),
    "logits of fewer treatments": ("logits_0", lambda array: array[:, 1:]),
    "a flat heatmap": ("heatmap_0", lambda array: array[:, :, 0]),
    "an answer of another type": ("projection_0", lambda array: array.astype(np.float64)),
    "an answer that is not finite": ("forest_0", lambda array: array * np.nan),
}


@pytest.mark.parametrize(("name", "change"), SPOILED.values(), ids=SPOILED)
def test_an_array_that_does_not_fit_is_named(bundle, name, change):
    """A golden array that does not fit the manifest is refused by its name."""
    arrays = arrays_of(bundle)
    with pytest.raises(GoldenError, match=f"^{name} of golden.npz"):
        read_golden(packed({**arrays, name: change(arrays[name])}), bundle.manifest)


@pytest.mark.parametrize("name", ["stack_0", "heatmap_1"])
def test_an_absent_array_is_refused(bundle, name):
    """An archive that lacks a stack or an answer is refused."""
    arrays = arrays_of(bundle)
    del arrays[name]
    with pytest.raises(GoldenError, match="holds the arrays"):
        read_golden(packed(arrays), bundle.manifest)


def test_every_stack_has_its_answers(bundle):
    """Golden stacks cannot be written with fewer answers than stacks."""
    with pytest.raises(ValueError, match="zip"):
        dataclasses.replace(bundle.golden, outputs=bundle.golden.outputs[:1]).to_npz()
