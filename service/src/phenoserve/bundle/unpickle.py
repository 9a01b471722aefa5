"""Reads `forest.joblib` through an unpickler that admits an explicit list of classes and nothing else.

A pickle is a program: each name in it is looked up and each object is made by a call. Here a name is looked up in
`_ADMITTED` and nowhere else, nothing is imported by name, and every array is checked before it is read. Only this file
and `forest` import joblib or scikit-learn.
"""

import io
import pickle  # noqa: S403, TID251 - for its error type alone; every name below comes from the list
import warnings
import zlib
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
from sklearn.tree._tree import Tree  # pyright: ignore[reportMissingTypeStubs] - ships no types

from phenoserve.bundle.errors import ForestError, UnsafeForestError
from phenoserve.bundle.manifest import FOREST_FILE

MAX_FOREST_BYTES: Final = 2 * 1024**3
_ZLIB_MAGIC: Final = b"\x78"
_ARRAY_FIELDS: Final = {"subclass", "shape", "order", "dtype", "allow_mmap", "numpy_array_alignment_bytes"}


class _PlainArray(NumpyArrayWrapper):
    """Stands in for joblib's record of an array, and admits only plain numbers and text that the file really holds."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        if set(state) != _ARRAY_FIELDS or state["subclass"] is not np.ndarray:
            raise UnsafeForestError(
                f"{FOREST_FILE} holds an array record that joblib does not write; it was not run."
            )
        if not isinstance(state["dtype"], np.dtype) or state["dtype"].hasobject:
            raise UnsafeForestError(
                f"{FOREST_FILE} holds an array of Python objects, which is a pickle within the pickle; it was not run. "
                "Fit the forest on plain numbers and text, and export the bundle again."
            )
        self.__dict__.update(state, allow_mmap=False)

    def read(self, unpickler: "_ForestUnpickler", ensure_native_byte_order: bool) -> np.ndarray:
        count = 1
        for size in self.shape:
            count *= int(size)
        if not 0 <= count * self.dtype.itemsize <= unpickler.num_bytes:
            raise ForestError(
                f"{FOREST_FILE} states an array of shape {self.shape}, more than the file holds."
            )
        return super().read(unpickler, ensure_native_byte_order)


_ADMITTED: Final = MappingProxyType(
    {
        ("joblib.numpy_pickle", "NumpyArrayWrapper"): _PlainArray,
        ("numpy", "dtype"): np.dtype,
        ("numpy", "ndarray"): np.ndarray,
        ("numpy._core.multiarray", "scalar"): np.float64(0).__reduce__()[0],
        ("sklearn.ensemble._forest", "RandomForestClassifier"): RandomForestClassifier,
        ("sklearn.tree._classes", "DecisionTreeClassifier"): DecisionTreeClassifier,
        ("sklearn.tree._tree", "Tree"): Tree,
    }
)
"""Every name a forest's pickle may hold: what joblib writes for a `RandomForestClassifier` of plain arrays."""


class _ForestUnpickler(NumpyUnpickler):
    """joblib's unpickler, its names limited to `_ADMITTED`."""

    def __init__(self, content: bytes) -> None:
        self.num_bytes = len(content)
        super().__init__("", io.BytesIO(content), ensure_native_byte_order=True)

    def find_class(self, module: str, name: str) -> object:
        admitted = _ADMITTED.get((module, name))
        if admitted is None:
            raise UnsafeForestError(
                f"{FOREST_FILE} names {module}.{name}, which is not on the list of classes a forest is made of; "
                "it was not run. Take the bundle from a source you trust, or fit the forest with an integer "
                "random_state and export the bundle again."
            )
        return admitted


def unpickle_forest(content: bytes) -> RandomForestClassifier:
    """Read the bytes of `forest.joblib`, whose digest must have been checked before.

    Args:
        content: The file's content: a joblib file, plain or zlib-compressed.

    Returns:
        The classifier. A scikit-learn other than the one that wrote it may have read it: its answers must be compared
        with the golden ones.

    Raises:
        UnsafeForestError: If it names anything that is not admitted. Nothing of it has run.
        ForestError: If it does not hold a random forest that the installed scikit-learn can read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InconsistentVersionWarning)
            forest: object = _ForestUnpickler(_inflate(content)).load()
    except (
        pickle.UnpicklingError,
        zlib.error,
        ArithmeticError,
        AttributeError,
        EOFError,
        ImportError,
        LookupError,
        MemoryError,
        TypeError,
        ValueError,
    ) as error:
        raise ForestError(f"{FOREST_FILE} cannot be read ({type(error).__name__}: {error}).") from error
    if not isinstance(forest, RandomForestClassifier):
        raise ForestError(
            f"{FOREST_FILE} holds a {type(forest).__name__}; expected a RandomForestClassifier."
        )
    return forest


def _inflate(content: bytes) -> bytes:
    if not content.startswith(_ZLIB_MAGIC):
        return content
    stream = zlib.decompressobj()
    inflated = stream.decompress(content, MAX_FOREST_BYTES)
    if not stream.eof:
        raise ForestError(f"{FOREST_FILE} is cut short, or inflates to more than {MAX_FOREST_BYTES} bytes.")
    return inflated
