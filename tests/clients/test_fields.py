import copy
import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from phenoclient.answers import (
    read_embedding,
    read_explanation,
    read_explanations,
    read_prediction,
    read_served_bundle,
)
from phenoclient.errors import UnreadableAnswerError
from phenoclient.fields import Fields

from .fake_service import bundle_body, common_body, stack_body

STACK = np.zeros((2, 40, 36), np.uint8)
PARAMS = httpx.QueryParams()


def body(route: str) -> dict:
    params = httpx.QueryParams({"stains": "true"})
    return common_body(STACK, PARAMS) | stack_body(STACK, params)[route]


ANSWERS = {
    "/predict": (read_prediction, body("/predict")),
    "/embed": (read_embedding, body("/embed")),
    "/explain": (read_explanation, body("/explain")),
    "/bundle": (read_served_bundle, bundle_body()),
}
FREE_FORM = {"probabilities", "logits", "versus_control", "values"}
REASONS = ("prediction_set_reason", "distribution_reason")
MAY_LACK = {
    *((name,) for name in ("prediction_set", "in_distribution", "distance", "logits", "stains", *REASONS)),
    ("stack", "notices"),
    ("stains", "baseline"),
}
NOT_READ = {"manifest.format_version", "manifest.input.downsample", "manifest.input.min_size_px"}


def response(value: Any) -> httpx.Response:
    request = httpx.Request("POST", "http://phenoserve.test/predict")
    return httpx.Response(200, content=json.dumps(value), request=request)


def paths(value: dict, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, child in value.items():
        yield (*above, name)
        if isinstance(child, dict) and name not in FREE_FORM:
            yield from paths(child, (*above, name))


FIELDS = [
    (route, path)
    for route, (_, value) in ANSWERS.items()
    for path in paths(value)
    if ".".join(path) not in NOT_READ
]


def holder_of(value: dict, path: tuple[str, ...]) -> dict:
    for name in path[:-1]:
        value = value[name]
    return value


WRONG_FIELDS = [
    (route, path, wrong)
    for route, path in FIELDS
    for wrong in (None, True, [None], "text", {"a": "b"})
    if not (wrong == "text" and path[-1] in REASONS)
    if not (wrong == "text" and isinstance(holder_of(ANSWERS[route][1], path)[path[-1]], str))
    if not (wrong is None and path in MAY_LACK)
    if not (wrong is True and path == ("in_distribution",))
]


@pytest.mark.parametrize(("route", "path"), [field for field in FIELDS if field[1] not in MAY_LACK])
def test_a_missing_field_is_named(route, path):
    """Without any one of its fields an answer is not taken, and the message names the field."""
    read, value = ANSWERS[route]
    value = copy.deepcopy(value)
    del holder_of(value, path)[path[-1]]
    with pytest.raises(UnreadableAnswerError, match=f"lacks `{'.'.join(path)}`"):
        read(response(value))


@pytest.mark.parametrize("path", sorted(path for path in MAY_LACK if len(path) == 1))
def test_what_an_older_service_lacks_is_none(path):
    """A field that came later is None where the answer lacks it or says null, and the rest is read."""
    route = "/explain" if path == ("stains",) else "/predict"
    read, value = ANSWERS[route]
    older = {name: child for name, child in value.items() if name != path[0]}
    for answer in (read(response(older)), read(response({**older, path[0]: None}))):
        assert getattr(answer, path[0]) is None
        assert answer.prediction == read(response(value)).prediction


@pytest.mark.parametrize(("route", "path", "wrong"), WRONG_FIELDS)
def test_a_field_of_another_type_is_named(route, path, wrong):
    """A field of another type than the contract's is not taken, and the message names the field."""
    read, value = ANSWERS[route]
    value = copy.deepcopy(value)
    holder_of(value, path)[path[-1]] = wrong
    with pytest.raises(UnreadableAnswerError, match=f"`{'.'.join(path)}"):
        read(response(value))


def test_a_missing_field_of_one_treatment_is_named_with_it():
    """An answer about all treatments is read as strictly, and the message says of which treatment a field is."""
    every = httpx.QueryParams({"treatment": "*"})
    value = json.loads(json.dumps(common_body(STACK, PARAMS) | stack_body(STACK, every)["/explain"]))
    del value["explanations"]["IFN-beta"]["heatmap"]["max"]
    with pytest.raises(UnreadableAnswerError, match=r"lacks `explanations\.IFN-beta\.heatmap\.max`"):
        read_explanations(response(value))


@pytest.mark.parametrize("route", ANSWERS)
def test_fields_of_a_newer_service_are_left_alone(route):
    """Fields that this client does not know change nothing in what it reads, wherever they stand."""
    read, value = ANSWERS[route]
    richer = copy.deepcopy(value)
    for path in paths(value):
        holder = holder_of(richer, path)
        if path[-1] not in FREE_FORM and isinstance(holder[path[-1]], dict) and path[0] != "manifest":
            holder[path[-1]]["from_tomorrow"] = {"a": [1]}
    richer["from_tomorrow"] = "hello"
    assert repr(read(response(richer))) == repr(read(response(value)))


@pytest.mark.parametrize(
    "values",
    [[[0.0, 1.0]], [[0.0], [1.0]], [[0.0, 1.0, 2.0], [0.0, 1.0]], [[0.0, "a"], [1.0, 2.0]], [1.0, 2.0]],
)
def test_a_grid_of_another_size_is_not_taken(values):
    """A heatmap whose values do not fill its stated height and width is not taken."""
    with pytest.raises(UnreadableAnswerError, match="2 rows of 2 numbers"):
        Fields({"values": values}, response=response({})).grid("values", height=2, width=2)


def test_a_number_must_be_finite():
    """NaN, infinity and what float32 cannot hold are not numbers here, though JSON readers take them."""
    for text in ("NaN", "Infinity", "-Infinity", "1e39", f"-1{'0' * 400}"):
        fields = Fields(json.loads(f'{{"a": {text}}}'), response=response({}))
        with pytest.raises(UnreadableAnswerError, match="`a`"):
            fields.number("a")
