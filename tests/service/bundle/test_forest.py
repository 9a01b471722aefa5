"""The forest: equal to scikit-learn's, and read without running what a pickle asks for."""

import io
import os
import struct
import warnings
import zlib
from pathlib import Path

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from phenoserve.bundle import (
    BundleError,
    Forest,
    ForestError,
    ForestVersionError,
    UnsafeForestError,
    read_bundle,
)
from phenoserve.bundle.forest import dump_forest
from phenoserve.bundle.unpickle import unpickle_forest

TREATMENTS = ("EMPTY", "IFNB-1", "IFN-gamma")


def fitted(**options):
    """Fit a forest on random embeddings; its classes are sorted otherwise than `TREATMENTS`."""
    generator = np.random.default_rng(7)
    forest = RandomForestClassifier(**{"n_estimators": 5, "random_state": 0, **options})
    return forest.fit(generator.normal(size=(60, 1024)).astype(np.float32), np.resize(TREATMENTS, 60))


def dumped(value, compress=0) -> bytes:
    """Return what joblib writes for any value."""
    file = io.BytesIO()
    joblib.dump(value, file, compress=compress)
    return file.getvalue()


@pytest.mark.parametrize(
    "options",
    [{}, {"n_estimators": 60}, {"class_weight": "balanced_subsample", "max_depth": 3}, {"bootstrap": False}],
    ids=["plain", "many trees", "balanced", "no bootstrap"],
)
@pytest.mark.parametrize("batch", [0, 1, 9])
def test_probabilities_are_those_of_scikit_learn(options, batch):
    """The forest gives exactly scikit-learn's `predict_proba`, its columns in the order of the treatments."""
    classifier = fitted(**options)
    embeddings = np.random.default_rng(8).normal(size=(batch, 1024)).astype(np.float32)
    found = Forest.of(unpickle_forest(dump_forest(classifier)), TREATMENTS).probabilities(embeddings)
    assert found.shape == (batch, 3)
    if batch:
        columns = [list(classifier.classes_).index(name) for name in TREATMENTS]
        np.testing.assert_array_equal(found, classifier.predict_proba(embeddings)[:, columns])


def test_a_batch_is_its_rows():
    """Every row of a batch gets the probabilities it gets alone, which sum to 1."""
    forest = Forest.of(fitted(), TREATMENTS)
    embeddings = np.random.default_rng(9).normal(size=(6, 1024)).astype(np.float32)
    together = forest.probabilities(embeddings)
    alone = np.concatenate([forest.probabilities(embeddings[i : i + 1]) for i in range(6)])
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_allclose(together.sum(axis=1), 1, atol=1e-12)


@pytest.mark.parametrize("compress", [0, 3, ("zlib", 9)])
def test_what_joblib_writes_is_read(compress):
    """A plain joblib file and a zlib-compressed one are both read."""
    classifier = unpickle_forest(dumped(fitted(), compress))
    assert classifier.n_estimators == 5


class Runs:
    """An object whose unpickling calls a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def hostile_top_level(marker):
    """A pickle that is nothing but a call."""
    return Runs(os.system, f"touch {marker}")


def hostile_in_an_attribute(marker):
    """A forest with one hostile attribute: the pickle names admitted classes first."""
    forest = fitted()
    forest.verbose = Runs(Path.touch, marker)
    return forest


def hostile_in_an_argument(marker):
    """An admitted class called with a hostile argument, as its own `__reduce__` would ask for."""
    return Runs(RandomForestClassifier, Runs(exec, f"import pathlib; pathlib.Path({str(marker)!r}).touch()"))


def hostile_in_an_object_array(marker):
    """A forest whose classes are an array of objects: joblib writes that as a pickle within the pickle."""
    forest = fitted()
    forest.classes_ = np.array([Runs(os.system, f"touch {marker}"), None], dtype=object)
    return forest


class Impostor(RandomForestClassifier):
    """An admitted class's subclass with a `__reduce__` of its own."""

    def __reduce__(self):
        return os.system, (f"touch {self.verbose}",)


def hostile_behind_an_admitted_class(marker):
    """A forest among whose trees is an impostor of an admitted class."""
    forest = fitted()
    forest.estimators_.append(Impostor(verbose=marker))
    return forest


HOSTILE = [
    hostile_top_level, hostile_in_an_attribute, hostile_in_an_argument, hostile_in_an_object_array,
    hostile_behind_an_admitted_class,
]  # fmt: skip


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("compress", [0, 3])
def test_a_hostile_pickle_is_refused_without_running(tmp_path, hostile, compress):
    """A pickle that names anything but a forest's classes is refused, and what it asks for does not happen."""
    marker = tmp_path / "ran"
    content = dumped(hostile(marker), compress)
    with pytest.raises(UnsafeForestError, match="it was not run"):
        unpickle_forest(content)
    assert not marker.exists()
    joblib.load(io.BytesIO(content))  # noqa: TID251 - shows that the pickle does run when it is let to
    assert marker.exists()


def test_a_hostile_bundle_is_refused_with_its_path(spoiled, tmp_path):
    """A bundle whose manifest vouches for a hostile forest is refused all the same, naming the bundle and the file."""
    spoiled.replace("forest.joblib", dumped(hostile_top_level(tmp_path / "ran")))
    with pytest.raises(UnsafeForestError, match=r"spoiled: forest\.joblib names posix\.system"):
        read_bundle(spoiled.path)
    assert not (tmp_path / "ran").exists()


def test_the_digest_is_checked_before_anything_is_unpickled(spoiled, tmp_path, monkeypatch):
    """A forest whose digest is not the manifest's never reaches the unpickler."""
    monkeypatch.setattr("phenoserve.bundle.forest.unpickle_forest", lambda _: pytest.fail("it was unpickled"))
    (spoiled.path / "forest.joblib").write_bytes(dumped(hostile_top_level(tmp_path / "ran")))
    with pytest.raises(BundleError, match=r"forest\.joblib has"):
        read_bundle(spoiled.path)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("sklearn.ensemble._forest", "RandomForestClassifier.fit.__globals__"),
        ("sklearn.ensemble._forest", "ForestClassifier"),
        ("builtins", "getattr"),
        ("numpy", "load"),
        ("joblib.numpy_pickle", "load"),
    ],
)
def test_only_whole_names_on_the_list_are_admitted(module, name):
    """A name beside, below or above one on the list is refused: the list is compared whole."""
    stream = b"\x80\x04" + b"".join(
        b"\x8c" + struct.pack("<B", len(part)) + part.encode() for part in (module, name)
    )
    with pytest.raises(UnsafeForestError, match="not among the classes"):
        unpickle_forest(stream + b"\x93.")


def test_a_forest_needs_every_name_on_the_list():
    """The list admits no more than what joblib writes for a forest."""
    from phenoserve.bundle.unpickle import _ADMITTED

    content = dumped(fitted())
    assert all(name.encode() in content for pair in _ADMITTED for name in pair)


@pytest.mark.parametrize("value", [RandomForestRegressor(2), [1, 2], None], ids=["regressor", "list", "none"])
def test_what_is_no_classifier_is_refused(value):
    """A harmless pickle of something else is refused too."""
    with pytest.raises(ForestError):
        unpickle_forest(dumped(value))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80",
        b"\x80\x04.",
        b"no pickle",
        zlib.compress(b"")[:-1],
        b"\x78\x9c\xff",
        b"(((((",
        b"\x1f\x8b\x08",
    ],
)
def test_what_is_no_pickle_is_refused(content):
    """Bytes that are no joblib file are refused as such."""
    with pytest.raises(ForestError, match=r"forest\.joblib"):
        unpickle_forest(content)


def test_an_inflating_file_is_cut_off(monkeypatch):
    """A file that inflates beyond the limit is refused without being inflated."""
    monkeypatch.setattr("phenoserve.bundle.unpickle.MAX_FOREST_BYTES", 1000)
    with pytest.raises(ForestError, match="inflates to more than 1000"):
        unpickle_forest(zlib.compress(bytes(10_000_000)))


def test_an_array_beyond_the_file_is_not_allocated():
    """An array record that states more bytes than the file holds is refused before memory is asked for."""
    content = dumped(fitted())
    huge = content.replace(b"K\x03\x85", b"J\xff\xff\xff\x7f\x85", 1)
    assert huge != content
    with pytest.raises(ForestError, match="more than it holds"):
        unpickle_forest(huge)


FOREST_BYTES = dumped(fitted(n_estimators=2, max_depth=2))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(FOREST_BYTES) - 1), st.integers(0, 255)), min_size=1, max_size=4)
)
def test_a_damaged_forest_is_a_forest_or_refused(changes):
    """However a forest's bytes are changed, it is refused as a bundle's, or answers with finite numbers or NaN."""
    content = bytearray(FOREST_BYTES)
    for position, value in changes:
        content[position] = value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            forest = Forest.of(unpickle_forest(bytes(content)), TREATMENTS)
        except ForestError:
            return
        assert forest.probabilities(np.ones((2, 1024), dtype=np.float32)).shape == (2, 3)


@pytest.mark.parametrize("field", ["left_child", "right_child", "feature"])
def test_a_tree_that_leaves_its_arrays_is_refused(field):
    """A tree whose nodes point outside it, or back, is refused before the compiled code walks it."""
    classifier = fitted()
    tree = classifier.estimators_[0].tree_
    for value in (10_000, -2):
        state = tree.__getstate__()
        state["nodes"][field][0] = value
        tree.__setstate__(state)
        with pytest.raises(ForestError, match="do not form one"):
            Forest.of(classifier, TREATMENTS)


def test_a_tree_that_walks_in_a_circle_is_refused():
    """A tree whose node is its own descendant is refused: its walk would not end."""
    classifier = fitted()
    tree = classifier.estimators_[0].tree_
    state = tree.__getstate__()
    state["nodes"]["left_child"][0] = 0
    tree.__setstate__(state)
    with pytest.raises(ForestError, match="do not form one"):
        Forest.of(classifier, TREATMENTS)


def test_a_tree_that_states_more_nodes_than_it_has_is_refused():
    """A tree whose count of nodes is beyond its arrays is refused before they are looked at."""
    classifier = fitted()
    tree = classifier.estimators_[0].tree_
    tree.__setstate__({**tree.__getstate__(), "node_count": 10**9})
    with pytest.raises(ForestError, match="without its nodes"):
        Forest.of(classifier, TREATMENTS)


def test_another_scikit_learn_is_named_with_the_fix(spoiled):
    """A forest the installed scikit-learn cannot read is refused with both versions and what to install."""
    provenance = read_bundle(spoiled.path).manifest.dump()["provenance"]
    spoiled.replace("forest.joblib", zlib.compress(dumped(fitted())[:-200]))
    spoiled.change_manifest(provenance={**provenance, "packages": {"scikit-learn": "0.18"}})
    with pytest.raises(
        ForestVersionError, match=r"scikit-learn 0\.18 wrote it.*`pip install scikit-learn==0\.18`"
    ):
        read_bundle(spoiled.path)


def test_another_scikit_learn_that_can_read_it_is_no_matter(spoiled):
    """A forest of another version that is read, and answers as the golden answers say, is served."""
    provenance = read_bundle(spoiled.path).manifest.dump()["provenance"]
    content = (spoiled.path / "forest.joblib").read_bytes()
    plain = zlib.decompress(content)
    import sklearn

    other = sklearn.__version__.replace("1.", "0.", 1)
    assert plain.count(sklearn.__version__.encode()) >= 1
    spoiled.replace("forest.joblib", plain.replace(sklearn.__version__.encode(), other.encode()))
    spoiled.change_manifest(provenance={**provenance, "packages": {"scikit-learn": other}})
    assert read_bundle(spoiled.path).forest.treatments[0] == "EMPTY"
