"""Writing: wholly or not at all, and never over what is there."""

import dataclasses
import errno
import os
import stat

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

import phenoserve.bundle.files as files_module
from phenoserve.bundle import (
    BundleContentsError,
    BundleExistsError,
    ForestError,
    Golden,
    GoldenError,
    InputSpec,
    UnsafeForestError,
    read_bundle,
    write_bundle,
)


@pytest.fixture(scope="module")
def contents(tiny_module):
    """What a tiny bundle is written from."""
    return tiny_module.tiny_contents(num_trees=4)


def test_what_is_written_is_what_is_read(contents, tmp_path):
    """A bundle holds the very content it was written from, and its forest and golden answers survive."""
    bundle = write_bundle(tmp_path / "bundle", contents)
    again = read_bundle(tmp_path / "bundle")
    assert bundle.manifest == again.manifest
    assert bundle.digest == again.digest
    assert bundle.read_model() == contents.model_onnx
    assert (bundle.path / "card.md").read_text() == contents.card
    assert (bundle.path / "report" / "metrics.json").read_bytes() == contents.report["metrics.json"]
    embedding = contents.golden.outputs[0].embedding
    expected = contents.forest.predict_proba(embedding)[:, _order(contents.forest, contents)]
    np.testing.assert_array_equal(bundle.forest.probabilities(embedding), expected)


def test_the_same_contents_make_the_same_bytes(contents, tmp_path):
    """Two bundles of the same contents have the same digest."""
    first, second = (write_bundle(tmp_path / name, contents) for name in ("first", "second"))
    assert first.digest == second.digest


def test_the_scikit_learn_that_fitted_the_forest_is_recorded(contents, tmp_path):
    """The manifest says which scikit-learn wrote the forest, whoever forgot to."""
    import sklearn

    assert "scikit-learn" not in contents.provenance.packages
    bundle = write_bundle(tmp_path / "bundle", contents)
    assert bundle.manifest.provenance.packages["scikit-learn"] == sklearn.__version__


def test_the_files_are_readable_to_others(contents, tmp_path):
    """A bundle has the permissions of any new file, so that another user can serve it."""
    before = os.umask(0o022)
    try:
        path = write_bundle(tmp_path / "bundle", contents).path
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o755
    assert stat.S_IMODE((path / "model.onnx").stat().st_mode) == 0o644


@pytest.mark.parametrize("kind", ["folder", "file", "dangling link"])
def test_nothing_is_overwritten(contents, tmp_path, kind):
    """A path that exists in whatever form is refused and left as it was."""
    target = tmp_path / "bundle"
    {"folder": target.mkdir, "file": target.touch, "dangling link": lambda: target.symlink_to("nowhere")}[
        kind
    ]()
    with pytest.raises(BundleExistsError, match="never edited"):
        write_bundle(target, contents)
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def _fail_at(monkeypatch, step: int) -> None:
    """Make the disk full at one of the steps that reach it: writing, syncing, renaming."""
    calls = iter(range(1000))

    def failing(real):
        def call(*args, **kwargs):
            if next(calls) == step:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(*args, **kwargs)

        return call

    monkeypatch.setattr(files_module.os, "fsync", failing(os.fsync))
    monkeypatch.setattr(type(files_module.Path()), "rename", failing(type(files_module.Path()).rename))
    monkeypatch.setattr(type(files_module.Path()), "mkdir", failing(type(files_module.Path()).mkdir))


def test_a_failure_at_any_step_leaves_nothing_or_all(contents, tmp_path, monkeypatch):
    """Whichever step of a write fails, the target is absent or a whole bundle, and nothing else is left."""
    outcomes = []
    for step in range(100):
        target = tmp_path / str(step) / "bundle"
        target.parent.mkdir()
        with monkeypatch.context() as patch:
            _fail_at(patch, step)
            try:
                write_bundle(target, contents)
            except OSError as error:
                assert error.errno == errno.ENOSPC  # noqa: PT017
                outcomes.append("failed")
            else:
                outcomes.append("written")
        assert list(target.parent.iterdir()) in ([], [target])
        if target.exists():
            read_bundle(target)
        if outcomes[-1] == "written":
            break
    assert outcomes.count("failed") > 8
    assert outcomes[-1] == "written"


def test_a_kill_at_any_write_leaves_no_target(contents, tmp_path, monkeypatch):
    """A process that dies before the rename leaves no target, and does not hinder the next write."""
    monkeypatch.setattr("phenoserve.bundle.write.shutil.rmtree", lambda *_args, **_kwargs: None)
    with monkeypatch.context() as patch:
        _fail_at(patch, 5)
        with pytest.raises(OSError, match="No space"):
            write_bundle(tmp_path / "bundle", contents)
    [left] = (path.name for path in tmp_path.iterdir())
    assert left.startswith(".bundle.")
    assert left.endswith(".partial")
    write_bundle(tmp_path / "bundle", contents)


def test_a_report_cannot_be_written_outside_the_bundle(contents, tmp_path):
    """A report's path that leaves the folder is refused before anything is written."""
    with pytest.raises(BundleContentsError, match="inside the bundle"):
        write_bundle(tmp_path / "bundle", dataclasses.replace(contents, report={"../../escaped": b""}))
    assert not list(tmp_path.iterdir())


def test_contents_that_contradict_the_format_are_refused(contents, tmp_path):
    """Contents without their control are refused, and nothing is left behind."""
    with pytest.raises(BundleContentsError, match="DMSO"):
        write_bundle(tmp_path / "bundle", dataclasses.replace(contents, control="DMSO"))
    assert not list(tmp_path.iterdir())


def test_golden_stacks_must_be_of_the_input(contents, tmp_path):
    """Golden stacks of another number of channels than the input's are refused."""
    spec = InputSpec.of(("Hoechst",), contents.input.downsample)
    with pytest.raises(GoldenError, match="stack_0"):
        write_bundle(tmp_path / "bundle", dataclasses.replace(contents, input=spec))
    assert not list(tmp_path.iterdir())


def test_a_bundle_without_golden_stacks_is_refused(contents, tmp_path):
    """A bundle must carry at least one golden stack."""
    with pytest.raises(GoldenError, match="holds the arrays"):
        write_bundle(tmp_path / "bundle", dataclasses.replace(contents, golden=Golden((), ())))


def test_golden_answers_must_come_from_the_forest(contents, tmp_path):
    """A forest that does not repeat the golden probabilities is refused when it is written."""
    generator = np.random.default_rng(1)
    other = RandomForestClassifier(3, random_state=1)
    other.fit(generator.normal(size=(20, 1024)), np.resize(contents.treatments, 20))
    with pytest.raises(ForestError, match="away from the golden ones"):
        write_bundle(tmp_path / "bundle", dataclasses.replace(contents, forest=other))


@pytest.mark.parametrize("fault", ["unfitted", "other classes", "other features"])
def test_a_forest_of_something_else_is_refused(contents, tmp_path, fault):
    """A forest that was not fitted on embeddings against the treatments is refused with what it knows."""
    generator = np.random.default_rng(1)
    forest = RandomForestClassifier(2, random_state=1)
    if fault == "other classes":
        forest.fit(generator.normal(size=(20, 1024)), np.resize(["a", "b"], 20))
    elif fault == "other features":
        forest.fit(generator.normal(size=(20, 16)), np.resize(contents.treatments, 20))
    with pytest.raises(
        ForestError, match="not a fitted one" if fault == "unfitted" else "Fit it on embeddings of 1024"
    ):
        write_bundle(tmp_path / "bundle", dataclasses.replace(contents, forest=forest))


def test_classes_may_be_python_strings(contents, tmp_path):
    """A forest fitted on Python strings, as a table holds them, is written as one fitted on NumPy text."""
    generator = np.random.default_rng(0)
    embeddings = generator.normal(size=(30, 1024)).astype(np.float32)
    forest = RandomForestClassifier(3, random_state=0)
    forest.fit(embeddings, np.resize(contents.treatments, 30).astype(object))
    answers = tuple(
        dataclasses.replace(
            golden, forest=forest.predict_proba(golden.embedding)[:, _order(forest, contents)]
        )
        for golden in contents.golden.outputs
    )
    golden = Golden(contents.golden.stacks, answers)
    bundle = write_bundle(tmp_path / "bundle", dataclasses.replace(contents, forest=forest, golden=golden))
    expected = forest.predict_proba(embeddings)[:, _order(forest, contents)]
    np.testing.assert_array_equal(bundle.forest.probabilities(embeddings), expected)
    assert forest.classes_.dtype == object


def test_what_the_reader_would_refuse_is_not_written(contents, tmp_path):
    """A forest whose file the reader would not admit is refused when it is written, with what to change."""
    generator = np.random.default_rng(0)
    forest = RandomForestClassifier(2, random_state=np.random.RandomState(3))
    forest.fit(generator.normal(size=(20, 1024)), np.resize(contents.treatments, 20))
    with pytest.raises(UnsafeForestError, match="integer random_state"):
        write_bundle(tmp_path / "bundle", dataclasses.replace(contents, forest=forest))
    assert not list(tmp_path.iterdir())


def _order(forest, contents) -> list[int]:
    return [list(forest.classes_).index(name) for name in contents.treatments]
