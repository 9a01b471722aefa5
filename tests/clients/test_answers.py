import copy
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import numpy as np
import pytest
from beartype import beartype
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Float32, jaxtyped

from phenoclient.answers import (
    read_embedding,
    read_explanation,
    read_explanations,
    read_prediction,
    read_served_bundle,
)
from phenoclient.errors import UnreadableAnswerError

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
    return raw(json.dumps(value).encode())


def raw(content: bytes) -> httpx.Response:
    request = httpx.Request("POST", "http://phenoserve.test/predict")
    return httpx.Response(200, content=content, request=request)


def every_explanation() -> dict:
    every = httpx.QueryParams({"treatment": "*"})
    return json.loads(json.dumps(common_body(STACK, PARAMS) | stack_body(STACK, every)["/explain"]))


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


def above_of(path: tuple[str, ...]) -> str:
    return f" - at `$.{'.'.join(path[:-1])}`" if path[:-1] else "field"


@pytest.mark.parametrize(("route", "path"), [field for field in FIELDS if field[1] not in MAY_LACK])
def test_a_missing_field_is_named(route, path):
    """Without any one of its fields an answer is not taken, and the message names the field."""
    read, value = ANSWERS[route]
    value = copy.deepcopy(value)
    del holder_of(value, path)[path[-1]]
    with pytest.raises(UnreadableAnswerError, match=f"missing required field `{path[-1]}`") as caught:
        read(response(value))
    assert above_of(path) in str(caught.value)
    assert "client and a service of matching versions" in str(caught.value)


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
    with pytest.raises(UnreadableAnswerError) as caught:
        read(response(value))
    assert f"`$.{'.'.join(path)}" in str(caught.value)


def test_a_missing_field_of_one_treatment_is_named():
    """An answer about all treatments is read as strictly, and the message says where in it a field is missing."""
    value = every_explanation()
    del value["explanations"]["IFN-beta"]["heatmap"]["max"]
    with pytest.raises(
        UnreadableAnswerError, match=r"field `max` - at `\$\.explanations\[\.\.\.\]\.heatmap`"
    ):
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
    [
        [],
        [[], []],
        [[0.0, 1.0, 2.0]],
        [[0.0], [1.0]],
        [[0.0, 1.0, 2.0], [0.0, 1.0]],
        [[0.0, "a", 1.0], [1.0, 2.0, 3.0]],
        [[0.0, True, 1.0], [1.0, 2.0, 3.0]],
        [1.0, 2.0],
        "values",
        None,
    ],
)
def test_a_grid_of_another_size_is_not_taken(values):
    """A heatmap whose values are no numbers, or do not fill its stated height and width, is not taken."""
    value = body("/explain")
    value["heatmap"]["values"] = values
    with pytest.raises(UnreadableAnswerError, match=r"`\$\.heatmap"):
        read_explanation(response(value))


@pytest.mark.parametrize("dim", [1, 3])
def test_a_vector_of_another_length_is_not_taken(dim):
    """An embedding that has not as many numbers as it says is not taken."""
    with pytest.raises(UnreadableAnswerError, match=f"has 2 numbers, and `dim` says {dim}"):
        read_embedding(response(body("/embed") | {"dim": dim}))


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e39", "1e999", f"-1{'0' * 400}", f"1{'0' * 9999}"]
)
@pytest.mark.parametrize(
    ("route", "written"), [("/predict", "0.75"), ("/explain", "0.125"), ("/embed", "0.0")]
)
def test_a_number_must_be_finite(route, written, number):
    """NaN, infinity and what float32 cannot hold are not numbers here, though JSON readers take them."""
    read, value = ANSWERS[route]
    with pytest.raises(UnreadableAnswerError):
        read(raw(json.dumps(value).replace(written, number, 1).encode()))


@pytest.mark.parametrize("size", ["0", "-1", "2.0", "1e2", f"1{'0' * 20}", f"1{'0' * 9999}"])
def test_a_size_is_a_whole_number_of_pixels(size):
    """A height that is no whole number from 1 to what a TIFF can state is not taken."""
    text = json.dumps(body("/embed")).replace('"height": 40', f'"height": {size}')
    with pytest.raises(UnreadableAnswerError):
        read_embedding(raw(text.encode()))


def test_all_explanations_may_have_grids_of_their_own():
    """Grids of other sizes in one answer are read, even where a caller's own annotations speak of y and x."""
    value = every_explanation()
    smaller = {"values": [[1.0]], "height": 1, "width": 1}
    value["explanations"]["EMPTY"]["heatmap"] |= smaller

    @jaxtyped(typechecker=beartype)
    def shapes(_field: Float32[np.ndarray, "y x"]) -> list[tuple[int, ...]]:
        return [each.heatmap.values.shape for each in read_explanations(response(value)).values()]

    assert shapes(np.zeros((5, 7), np.float32)) == [(1, 1), (2, 3)]


SPLICES = [
    b"[" * 5000,
    b'{"a":' * 5000,
    b"NaN",
    b"-",
    b"1" * 5000,
    b"1e999",
    b"null",
    b"true",
    b'""',
    b"\xff",
    b'"\\ud800"',
    b"{}",
    b"[]",
]


@given(
    route=st.sampled_from(sorted(ANSWERS)),
    place=st.floats(0, 1),
    length=st.integers(0, 40),
    splice=st.sampled_from(SPLICES) | st.binary(max_size=6),
)
def test_whatever_comes_is_read_or_refused(route, place, length, splice):
    """An answer of which a part was cut out or replaced is read, or raises `UnreadableAnswerError` and nothing else."""
    read, value = ANSWERS[route]
    content = json.dumps(value).encode()
    start = int(place * len(content))
    with suppress(UnreadableAnswerError):
        read(raw(content[:start] + splice + content[start + length :]))


@given(route=st.sampled_from(sorted(ANSWERS)), data=st.data())
def test_each_of_two_fields_of_one_name_is_checked(route, data):
    """A field that an answer holds twice is refused where either has another type; else the last one counts."""
    read, value = ANSWERS[route]
    name = data.draw(st.sampled_from(sorted(name for name in value if (name,) not in MAY_LACK)))
    again, wrong = json.dumps({name: value[name]}), json.dumps({name: 1.5})
    text = json.dumps(value)
    assert repr(read(raw(f"{again[:-1]}, {text[1:]}".encode()))) == repr(read(response(value)))
    for both in (f"{wrong[:-1]}, {text[1:]}", f"{text[:-1]}, {wrong[1:]}"):
        with pytest.raises(UnreadableAnswerError):
            read(raw(both.encode()))
