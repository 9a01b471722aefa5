"""Strict reading of a JSON answer: what is missing or of another type is named; what is new is left alone."""

from collections.abc import Mapping
from typing import Any, NoReturn, cast

import httpx
import numpy as np
from jaxtyping import Float32

from phenoclient.errors import UnreadableAnswerError

_LARGEST = float(np.finfo(np.float32).max)


class Fields:
    """A JSON object out of an answer, read field by field.

    Args:
        values: The object.
        response: The answer that it comes from.
        path: Where in the answer it stands, `prediction.` say; empty for the whole.
    """

    def __init__(self, values: Mapping[str, Any], *, response: httpx.Response, path: str = "") -> None:
        self.values = values
        self._response = response
        self._path = path

    @classmethod
    def of(cls, response: httpx.Response) -> "Fields":
        """The JSON object that is the body of an answer.

        Raises:
            UnreadableAnswerError: If the body is not a JSON object.
        """
        try:
            body = response.json()
        except ValueError as error:
            found = response.headers.get("content-type", "no content type")
            raise UnreadableAnswerError(
                f"{request_line(response)} was answered with {found} that is not JSON. Expected a phenoserve "
                "service: check the base URL.",
                response=response,
            ) from error
        if not isinstance(body, dict):
            raise UnreadableAnswerError(
                f"{request_line(response)} was answered with a JSON {type(body).__name__}, not an object. "
                "Expected a phenoserve service: check the base URL.",
                response=response,
            )
        return cls(cast("Mapping[str, Any]", body), response=response)

    def text(self, name: str) -> str:
        """A string."""
        value = self._take(name, "a string")
        return value if isinstance(value, str) else self._refuse(name, "a string", value)

    def integer(self, name: str) -> int:
        """A whole number."""
        value = self._take(name, "a whole number")
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        return self._refuse(name, "a whole number", value)

    def boolean(self, name: str) -> bool:
        """True or false."""
        value = self._take(name, "true or false")
        return value if isinstance(value, bool) else self._refuse(name, "true or false", value)

    def has(self, name: str) -> bool:
        """Whether the field is there and not null: a service may be older, or have nothing to say."""
        return self.values.get(name) is not None

    def number(self, name: str) -> float:
        """A finite number, within the range of float32."""
        value = self._take(name, "a number")
        return float(value) if _is_number(value) else self._refuse(name, "a number", value)

    def record(self, name: str) -> "Fields":
        """An object."""
        value = self._take(name, "an object")
        if isinstance(value, dict):
            values = cast("Mapping[str, Any]", value)
            return Fields(values, response=self._response, path=f"{self._path}{name}.")
        return self._refuse(name, "an object", value)

    def records(self, name: str) -> tuple["Fields", ...]:
        """A list of objects."""
        items = self._list(name, "a list of objects")
        if not all(isinstance(item, dict) for item in items):
            return self._refuse(name, "a list of objects", items)
        return tuple(
            Fields(item, response=self._response, path=f"{self._path}{name}[{index}].")
            for index, item in enumerate(items)
        )

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings."""
        items = self._list(name, "a list of strings")
        if all(isinstance(item, str) for item in items):
            return tuple(items)
        return self._refuse(name, "a list of strings", items)

    def numbers(self, name: str) -> dict[str, float]:
        """An object of numbers by name."""
        record = self.record(name)
        return {key: record.number(key) for key in record.values}

    def pair(self, name: str) -> tuple[float, float]:
        """A list of two numbers."""
        items = self._list(name, "a list of two numbers")
        if _is_row(items, 2):
            return float(items[0]), float(items[1])
        return self._refuse(name, "a list of two numbers", items)

    def vector(self, name: str, *, length: int) -> Float32[np.ndarray, " dim"]:
        """A list of `length` numbers, as float32."""
        items = self._list(name, f"{length} numbers")
        if _is_row(items, length):
            return np.asarray(items, dtype=np.float32)
        return self._refuse(name, f"{length} numbers", items)

    def grid(self, name: str, *, height: int, width: int) -> Float32[np.ndarray, "y x"]:
        """`height` lists of `width` numbers each, as float32 `(y, x)`."""
        expected = f"{height} rows of {width} numbers"
        rows = self._list(name, expected)
        if len(rows) == height and all(_is_row(row, width) for row in rows):
            return np.asarray(rows, dtype=np.float32).reshape(height, width)
        return self._refuse(name, expected, rows)

    def _take(self, name: str, expected: str) -> Any:
        if name not in self.values:
            raise UnreadableAnswerError(
                f"The answer of {request_line(self._response)} lacks `{self._path}{name}` ({expected}). "
                "Expected the answers of phenoserve's HTTP API: use a client and a service of matching "
                "versions.",
                response=self._response,
            )
        return self.values[name]

    def _list(self, name: str, expected: str) -> list[Any]:
        value = self._take(name, expected)
        return cast("list[Any]", value) if isinstance(value, list) else self._refuse(name, expected, value)

    def _refuse(self, name: str, expected: str, value: object) -> NoReturn:
        shown = repr(value)
        shown = shown if len(shown) <= 60 else f"{shown[:60]}…"
        raise UnreadableAnswerError(
            f"`{self._path}{name}` in the answer of {request_line(self._response)} is {shown}. Expected "
            f"{expected}: use a client and a service of matching versions.",
            response=self._response,
        )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST


def _is_row(row: object, width: int) -> bool:
    if not isinstance(row, list):
        return False
    numbers = cast("list[object]", row)
    return len(numbers) == width and all(_is_number(number) for number in numbers)


def request_line(response: httpx.Response) -> str:
    """Method and address of the request that an answer belongs to, for messages."""
    return f"{response.request.method} {response.request.url.copy_with(query=None)}"
