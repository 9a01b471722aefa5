"""Reads `forest.joblib` through an unpickler that admits an explicit list of classes and nothing else.

A pickle is a program: each name in it is looked up and each object is made by a call. Here a name is looked
up in `_ADMITTED` and nowhere else, nothing is imported by name, and every array is checked before it is read.
Only this file and `forest` import joblib or scikit-learn.
"""

import io
import math
import pickle  # noqa: TID251 - for its error type alone; what is unpickled comes from the list below
import struct
import warnings
import zlib
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final, cast

import numpy as np
from joblib.numpy_pickle import (  # pyright: ignore[reportMissingTypeStubs] - joblib ships no types
    NumpyArrayWrapper,
    NumpyUnpickler,
)
from sklearn.ensemble import RandomForestClassifier  # pyright: ignore[reportMissingTypeStubs] - ships no types
from sklearn.exceptions import InconsistentVersionWarning  # pyright: ignore[reportMissingTypeStubs] - ships no types
from sklearn.tree import DecisionTreeClassifier  # pyright: ignore[reportMissingTypeStubs] - ships no types

from phenoserve.bundle.dtypes import DtypeRecord, scalar_of
from phenoserve.bundle.errors import ForestError, UnsafeForestError
from phenoserve.bundle.manifest import FOREST_FILE
from phenoserve.bundle.outputs import EMBEDDING_SIZE

MAX_FOREST_BYTES: Final = 2 * 1024**3
Tree: Final[Any] = import_module("sklearn.tree._tree").Tree
"""scikit-learn's compiled tree, which its untyped module does not declare."""

_ZLIB_MAGIC: Final = b"\x78"
_MALFORMED: Final = (
    pickle.UnpicklingError,
    struct.error,
    zlib.error,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    SystemError,
    TypeError,
    ValueError,
)
"""What unpickling and scikit-learn raise on a file that is damaged, or of another version."""

_ARRAY_TYPE: Final = object()
"""Stands in for `numpy.ndarray`, which an array record names and nothing may call."""

_SOURCE: Final = (
    "Take the bundle from a source you trust; if it is yours, fit the forest on plain arrays with an integer "
    "random_state and export it again."
)
_ARRAY_FIELDS: Final = {"subclass", "shape", "order", "dtype", "allow_mmap", "numpy_array_alignment_bytes"}


class _PlainArray(NumpyArrayWrapper):
    """Stands in for joblib's record of an array; admits only numbers and text that the file really holds."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        if set(state) != _ARRAY_FIELDS or state["subclass"] is not _ARRAY_TYPE:
            raise UnsafeForestError(
                f"{FOREST_FILE} holds an array record that joblib does not write; it was not run. {_SOURCE}"
            )
        dtype = cast("DtypeRecord", state["dtype"]).to_dtype()
        self.__dict__.update(state, dtype=dtype, subclass=np.ndarray, allow_mmap=False)

    def read(self, unpickler: "_ForestUnpickler", ensure_native_byte_order: bool) -> np.ndarray:
        record = cast("Any", self)
        num_bytes = math.prod(int(size) for size in record.shape) * int(record.dtype.itemsize)
        if not 0 <= num_bytes <= unpickler.num_bytes:
            raise ForestError(
                f"{FOREST_FILE} states an array of {num_bytes} bytes, more than it holds. {_SOURCE}"
            )
        return cast("Any", super()).read(unpickler, ensure_native_byte_order)


def _compiled_tree(num_features: int, num_classes: np.ndarray, num_outputs: int) -> object:
    """Make an empty tree of one output; the compiled constructor trusts that its arguments agree."""
    if num_outputs != 1 or num_classes.shape != (1,) or num_features != EMBEDDING_SIZE:
        raise ForestError(
            f"{FOREST_FILE} holds a tree of {num_features} features and {num_outputs} outputs; expected "
            f"{EMBEDDING_SIZE} and 1. Fit it on embeddings against treatment names, and export it again."
        )
    return Tree(num_features, num_classes, num_outputs)


_ADMITTED: Final[MappingProxyType[tuple[str, str], object]] = MappingProxyType(
    {
        ("joblib.numpy_pickle", "NumpyArrayWrapper"): _PlainArray,
        ("numpy", "dtype"): DtypeRecord,
        ("numpy", "ndarray"): _ARRAY_TYPE,
        ("numpy._core.multiarray", "scalar"): scalar_of,
        ("sklearn.ensemble._forest", "RandomForestClassifier"): RandomForestClassifier,
        ("sklearn.tree._classes", "DecisionTreeClassifier"): DecisionTreeClassifier,
        ("sklearn.tree._tree", "Tree"): _compiled_tree,
    }
)
"""Every name a forest's pickle may hold: what joblib writes for a random forest of plain arrays."""


class _ForestUnpickler(NumpyUnpickler):
    """joblib's unpickler, its names limited to `_ADMITTED`."""

    def __init__(self, content: bytes) -> None:
        self.num_bytes = len(content)
        cast("Any", super()).__init__("", io.BytesIO(content), ensure_native_byte_order=True)

    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in _ADMITTED:
            raise UnsafeForestError(
                f"{FOREST_FILE} names {module}.{name}, which is not among the classes a forest is made of; "
                f"it was not run. {_SOURCE}"
            )
        return _ADMITTED[module, name]


def unpickle_forest(content: bytes) -> RandomForestClassifier:
    """Read the bytes of `forest.joblib`, whose digest must have been checked before.

    Args:
        content: The file's content: a joblib file, plain or zlib-compressed.

    Returns:
        The classifier. Another scikit-learn may have written it: compare its answers with the golden ones.

    Raises:
        UnsafeForestError: If it names anything that is not admitted. Nothing of that has run.
        ForestError: If it does not hold a random forest that the installed scikit-learn can read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InconsistentVersionWarning)
            forest: object = cast("Any", _ForestUnpickler(_inflate(content))).load()
    except _MALFORMED as error:
        raise ForestError(
            f"{FOREST_FILE} cannot be read ({type(error).__name__}: {error}). Export the bundle again."
        ) from error
    if not isinstance(forest, RandomForestClassifier):
        raise ForestError(
            f"{FOREST_FILE} holds a {type(forest).__name__}; expected a RandomForestClassifier. "
            "Export the bundle again."
        )
    return forest


def _inflate(content: bytes) -> bytes:
    if not content.startswith(_ZLIB_MAGIC):
        return content
    stream = zlib.decompressobj()
    inflated = stream.decompress(content, MAX_FOREST_BYTES)
    if not stream.eof:
        raise ForestError(
            f"{FOREST_FILE} is cut short, or inflates to more than {MAX_FOREST_BYTES} bytes. "
            "Export the bundle again, with fewer or shallower trees."
        )
    return inflated
