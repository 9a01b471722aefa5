"""The random forest of a bundle: dumped with joblib, and evaluated directly on its trees."""

import copy
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast, runtime_checkable

import joblib  # pyright: ignore[reportMissingTypeStubs] - joblib ships no types
import numpy as np
import sklearn  # pyright: ignore[reportMissingTypeStubs] - scikit-learn ships no types
from jaxtyping import Float32, Float64
from sklearn.ensemble import RandomForestClassifier as RandomForestClassifier  # pyright: ignore[reportMissingTypeStubs] - ships no types

from phenoserve.bundle.errors import ForestError, ForestVersionError, UnsafeForestError
from phenoserve.bundle.golden import Golden
from phenoserve.bundle.manifest import FOREST_FILE, SKLEARN, Manifest
from phenoserve.bundle.outputs import EMBEDDING_SIZE
from phenoserve.bundle.unpickle import Tree, unpickle_forest

_LEAF: Final = -1
_MAX_REPLAY_DIFFERENCE: Final = 1e-9
"""The forest sees the golden embedding itself, so only the order of a sum over its trees may differ."""


@runtime_checkable
class _Tree(Protocol):
    """The arrays and the one method of scikit-learn's compiled tree that are used here."""

    node_count: int
    capacity: int
    children_left: np.ndarray
    children_right: np.ndarray
    feature: np.ndarray
    value: np.ndarray

    def predict(self, X: np.ndarray) -> np.ndarray: ...  # noqa: N803 - scikit-learn's own name


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """A random forest on embeddings, evaluated on its trees: the mean of its leaves' class shares.

    Equal to scikit-learn's `predict_proba`, without the checks that cost it milliseconds a call.

    Attributes:
        treatments: The classes, in the order of the probabilities.
        trees: The compiled trees.
        columns: Class of the trees, by treatment.
    """

    treatments: tuple[str, ...]
    trees: tuple[Any, ...]
    columns: tuple[int, ...]

    def probabilities(
        self, embedding: Float32[np.ndarray, "batch 1024"]
    ) -> Float64[np.ndarray, "batch treatment"]:
        """Return the probability of every treatment.

        Args:
            embedding: Encoder features, `(batch, 1024)`.

        Returns:
            Probabilities `(batch, treatment)`; a row sums to 1.
        """
        features = np.ascontiguousarray(embedding)
        total = np.zeros((len(features), len(self.columns)), dtype=np.float64)
        for tree in self.trees:
            total += tree.predict(features)
        return (total / len(self.trees))[:, self.columns]

    @classmethod
    def of(cls, classifier: RandomForestClassifier, treatments: Sequence[str]) -> "Forest":
        """Return the evaluation of a fitted classifier.

        Args:
            classifier: Fitted on embeddings `(num_sites, 1024)`, its classes the treatments' names.
            treatments: The treatments, in the order wanted of the probabilities.

        Raises:
            ForestError: If it was not fitted on embeddings, or its classes are not the treatments.
        """
        num_features, classes, trees = _parts(classifier)
        if num_features != EMBEDDING_SIZE or sorted(classes) != sorted(treatments):
            raise ForestError(
                f"The forest takes {num_features} features and knows the classes {classes}. "
                f"Fit it on embeddings of {EMBEDDING_SIZE} against the treatments {list(treatments)}."
            )
        for tree in trees:
            _require_sound(tree, len(classes))
        return cls(tuple(treatments), trees, tuple(classes.index(name) for name in treatments))


def _parts(classifier: Any) -> tuple[int, list[str], tuple[Any, ...]]:
    """Take a classifier apart: its number of features, its classes, its compiled trees."""
    try:
        num_features, classes = int(classifier.n_features_in_), [str(name) for name in classifier.classes_]
        trees = tuple(estimator.tree_ for estimator in classifier.estimators_)
    except (AttributeError, TypeError, ValueError) as error:
        raise ForestError(
            f"The forest is not a fitted one ({error}). Call `fit(embeddings, treatments)` before it is exported."
        ) from error
    if not trees or not all(isinstance(tree, Tree) for tree in trees):
        raise ForestError(
            "The forest has no trees. Call `fit(embeddings, treatments)` before it is exported."
        )
    return num_features, classes, trees


def _require_sound(tree: _Tree, num_classes: int) -> None:
    """Refuse a tree whose walk would leave its arrays or never end: the compiled code does not look."""
    if not 0 < tree.node_count <= tree.capacity or tree.value.shape != (tree.node_count, 1, num_classes):
        raise ForestError(f"{FOREST_FILE} holds a tree without its nodes. Export the bundle again.")
    is_split = tree.children_left != _LEAF
    nodes, features = np.flatnonzero(is_split), tree.feature[is_split]
    children = np.stack([tree.children_left, tree.children_right])[:, is_split]
    # scikit-learn numbers a child after its parent, so a walk that only ascends must end.
    has_order = (children > nodes).all() and (children < tree.node_count).all()
    if not has_order or not ((features >= 0) & (features < EMBEDDING_SIZE)).all():
        raise ForestError(f"{FOREST_FILE} holds a tree whose nodes do not form one. Export the bundle again.")


def dump_forest(classifier: RandomForestClassifier) -> bytes:
    """Return a fitted classifier as the bytes of `forest.joblib`, in a form the reader admits.

    The classes are written as fixed-width text, because an array of Python strings is a pickle of its own.
    """
    plain = copy.copy(classifier)
    plain.classes_ = np.asarray(cast("Any", classifier).classes_, dtype=str)  # pyright: ignore[reportAttributeAccessIssue] - set by fit, untyped
    file = io.BytesIO()
    cast("Any", joblib).dump(plain, file, compress=("zlib", 3))
    return file.getvalue()


def installed_sklearn() -> dict[str, str]:
    """Return the distribution name and the version of the installed scikit-learn."""
    return {SKLEARN: sklearn.__version__}


def read_forest(content: bytes, manifest: Manifest, golden: Golden) -> Forest:
    """Read the bytes of `forest.joblib`, whose digest must have been checked before.

    Args:
        content: The file's content.
        manifest: The bundle's manifest.
        golden: The golden outputs, which the forest must repeat from the golden embeddings.

    Raises:
        UnsafeForestError: If it names anything that is not admitted. Nothing of that has run.
        ForestVersionError: If it was written by another scikit-learn, and the installed one cannot read it or
            answers otherwise.
        ForestError: If it does not fit the manifest or the golden outputs.
    """
    try:
        forest = Forest.of(unpickle_forest(content), manifest.treatments)
        _require_golden(forest, golden)
    except UnsafeForestError:
        raise
    except ForestError as error:
        written, installed = manifest.provenance.packages[SKLEARN], sklearn.__version__
        if written == installed:
            raise
        raise ForestVersionError(
            f"{error} {SKLEARN} {written} wrote it, and {installed} is installed. "
            f"Install the one that wrote it (`pip install {SKLEARN}=={written}`), or export the bundle again."
        ) from error
    return forest


def _require_golden(forest: Forest, golden: Golden) -> None:
    for index, outputs in enumerate(golden.outputs):
        difference = float(np.abs(forest.probabilities(outputs.embedding) - outputs.forest).max())
        if not difference <= _MAX_REPLAY_DIFFERENCE:
            raise ForestError(
                f"{FOREST_FILE} answers the golden embedding {index} with probabilities {difference:.3g} "
                "away from the golden ones. Record the golden outputs with the forest that is exported."
            )
