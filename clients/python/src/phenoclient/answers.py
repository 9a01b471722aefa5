"""From an answer of 2xx to the value that it holds, strictly by the service's HTTP contract.

An answer of JSON is read into the types of `phenoclient.results` as they stand there. Fields that they lack come from
a newer service and are left alone; those with a default may be missing, as older services had them not.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import httpx
import msgspec
import numpy as np
from jaxtyping import Float32

from phenoclient.errors import UnreadableAnswerError
from phenoclient.images import map_of
from phenoclient.results import (
    BundleName,
    Embedding,
    Explanation,
    Grid,
    Heatmap,
    Number,
    Prediction,
    ServedBundle,
    StackSummary,
    StainAttribution,
    TreatmentProbability,
    Vector,
)

Value = TypeVar("Value")


class _Explained(msgspec.Struct):
    """What the answer about every treatment says of one."""

    heatmap: Heatmap
    stains: StainAttribution | None = None


class _Explanations(msgspec.Struct):
    """The answer of `/explain` for every treatment."""

    bundle: BundleName
    stack: StackSummary
    prediction: TreatmentProbability
    explanations: dict[str, _Explained]


class _Input(msgspec.Struct):
    channels: tuple[str, ...]


class _Manifest(msgspec.Struct):
    """The fields of a bundle's manifest that have a name in `ServedBundle`."""

    name: str
    version: str
    input: _Input
    treatments: tuple[str, ...]
    control: str


class _Served(msgspec.Struct):
    """The answer of `GET /bundle`."""

    digest: str
    device: str
    manifest: _Manifest


class _WholeManifest(msgspec.Struct):
    """The same answer for the manifest as it is."""

    manifest: dict[str, Any]


def read_prediction(response: httpx.Response) -> Prediction:
    """The answer of `/predict`."""
    return _read(response, Prediction)


def read_embedding(response: httpx.Response) -> Embedding:
    """The answer of `/embed`."""
    return _read(response, Embedding)


def read_explanation(response: httpx.Response) -> Explanation:
    """The answer of `/explain` as JSON."""
    return _read(response, Explanation)


def read_explanations(response: httpx.Response) -> dict[str, Explanation]:
    """The answer of `/explain` for every treatment, in the order of the logits."""
    answer = _read(response, _Explanations)
    return {
        treatment: Explanation(
            answer.bundle, answer.stack, treatment, answer.prediction, explained.heatmap, explained.stains
        )
        for treatment, explained in answer.explanations.items()
    }


def read_bytes(response: httpx.Response) -> bytes:
    """The body as it is."""
    return response.content


def read_map(response: httpx.Response) -> Float32[np.ndarray, "y x"]:
    """The float32 map in the answer of `/explain` as TIFF."""
    try:
        return map_of(response.content)
    except ValueError as error:
        raise UnreadableAnswerError(
            f"{request_line(response)} was answered with {error}. Expected a float32 map (y, x): use a "
            "client and a service of matching versions.",
            response=response,
        ) from error


def read_served_bundle(response: httpx.Response) -> ServedBundle:
    """The answer of `GET /bundle`."""
    served = _read(response, _Served)
    manifest = served.manifest
    return ServedBundle(
        name=manifest.name,
        version=manifest.version,
        digest=served.digest,
        device=served.device,
        channels=manifest.input.channels,
        treatments=manifest.treatments,
        control=manifest.control,
        manifest=_read(response, _WholeManifest).manifest,
    )


def read_nothing(_response: httpx.Response) -> None:
    """Nothing: the status says it all."""


def request_line(response: httpx.Response) -> str:
    """Method and address of the request that an answer belongs to, for messages."""
    return f"{response.request.method} {response.request.url.copy_with(query=None)}"


def _read(response: httpx.Response, kind: type[Value]) -> Value:
    """The value that the body of an answer is as JSON.

    Raises:
        UnreadableAnswerError: If the body is no JSON, or not of that type; the message says which field is not.
    """
    try:
        return msgspec.json.decode(response.content, type=kind, dec_hook=_array)
    except msgspec.ValidationError as error:
        raise UnreadableAnswerError(
            f"The answer of {request_line(response)} is none of phenoserve's HTTP API: {error}. Expected one: check "
            "the base URL, and use a client and a service of matching versions.",
            response=response,
        ) from error
    except (ValueError, RecursionError) as error:
        found = response.headers.get("content-type", "no content type")
        raise UnreadableAnswerError(
            f"{request_line(response)} was answered with {found} that is not JSON ({error}). Expected a phenoserve "
            "service: check the base URL.",
            response=response,
        ) from error


_IN_JSON: Mapping[object, tuple[Any, int]] = {Vector: (list[Number], 1), Grid: (list[list[Number]], 2)}
"""What the arrays of the results are in JSON, and how many axes they have"""


def _array(kind: type[Any], value: object) -> np.ndarray:
    """The array that lists of numbers are: called for the types that JSON does not know.

    Raises:
        ValueError: If they are no finite numbers, or rows differ in length; msgspec adds where that is.
    """
    lists, num_axes = _IN_JSON[kind]
    try:
        return np.array(msgspec.convert(value, lists), np.float32, ndmin=num_axes)
    except ValueError as error:
        expected = "finite numbers" if num_axes == 1 else "rows of finite numbers, each as long as the others"
        raise ValueError(f"Expected {expected}") from error
