"""NumPy's pickled data types, rebuilt by NumPy's public constructor.

`dtype.__setstate__` and `ndarray.__setstate__` trust what they are given: a damaged state makes them read and
write outside their memory. A forest's pickle therefore never reaches them.
"""

import re
from typing import Final, cast

import numpy as np

from phenoserve.bundle.errors import UnsafeForestError
from phenoserve.bundle.manifest import FOREST_FILE

_PLAIN: Final = re.compile(r"b1|[iu][1248]|f[248]|[SUV][0-9]{1,6}")
_STATE: Final = ("version", "byte_order", "subarray", "names", "fields", "size_bytes", "alignment", "flags")


class DtypeRecord:
    """Stands in for `numpy.dtype` in a pickle: takes what NumPy pickles of a data type, and interprets it."""

    def __init__(self, code: str, align: bool, copy: bool) -> None:
        del align, copy
        if not _PLAIN.fullmatch(code):
            raise UnsafeForestError(
                f"{FOREST_FILE} holds data of type {code!r}; expected plain numbers and text. Python objects "
                "are a pickle within the pickle; it was not run. Fit the forest on plain arrays and export it again."
            )
        self._code = code
        self._state: dict[str, object] = {}

    def __setstate__(self, state: tuple[object, ...]) -> None:
        self._state = dict(zip(_STATE, state, strict=True))

    def to_dtype(self) -> np.dtype:
        """Return the data type.

        Raises:
            ValueError: If the state is not one that NumPy writes.
        """
        order, names = self._state["byte_order"], self._state["names"]
        if order not in {"<", ">", "|"} or self._state["subarray"] is not None:
            raise ValueError("a data type in a form that NumPy does not write")
        if names is None:
            return np.dtype(f"{order}{self._code}")
        fields = cast("dict[str, tuple[DtypeRecord, int]]", self._state["fields"])
        ordered = [fields[name] for name in cast("tuple[str, ...]", names)]
        return np.dtype(
            {
                "names": list(cast("tuple[str, ...]", names)),
                "formats": [record.to_dtype() for record, _ in ordered],
                "offsets": [offset for _, offset in ordered],
                "itemsize": cast("int", self._state["size_bytes"]),
            }
        )


def scalar_of(record: DtypeRecord, content: bytes) -> np.generic:
    """Stand in for NumPy's pickled scalars: one number of a data type, from its bytes."""
    [scalar] = np.frombuffer(content, dtype=record.to_dtype())
    return scalar
