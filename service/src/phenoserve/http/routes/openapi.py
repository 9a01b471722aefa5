"""What the OpenAPI document says about bodies and errors, which the routes read and write by hand."""

from typing import Any, Final, Protocol, runtime_checkable

from phenoserve.errors import ERRORS
from phenoserve.http.answer.render import JSON
from phenoserve.http.answer.schemas import ProblemBody
from phenoserve.http.problems import PROBLEM_TYPE
from phenoserve.http.request.body import MULTIPART, PART_NAME, RAW_TYPES

BINARY: Final = {"type": "string", "format": "binary"}

STACK_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": "One TIFF as it is, or 1 to n of them as parts named `stack`.",
        "content": {raw: {"schema": BINARY} for raw in RAW_TYPES}
        | {MULTIPART: {"schema": {"$ref": "#/components/schemas/StackParts"}}},
    }
}

_STACK_PARTS: Final = {
    "type": "object",
    "title": "StackParts",
    "description": "Stacks that are answered together, in order.",
    "required": [PART_NAME],
    "properties": {PART_NAME: {"type": "array", "items": BINARY, "minItems": 1}},
}

_PROBLEM_CONTENT: Final = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemBody"}}}

ANY_PROBLEM: Final[dict[int | str, dict[str, Any]]] = {
    "default": {"description": "Any other error.", "content": _PROBLEM_CONTENT}
}
"""What every route may answer besides what it names. It also keeps the framework from naming its own errors."""


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors of a route: these statuses, with the codes of each."""
    return {status: {"description": _codes(status), "content": _PROBLEM_CONTENT} for status in statuses}


def stack_responses(answers: object, *others: str) -> dict[int | str, Any]:
    """Every answer of a route that takes stacks, and all errors.

    Args:
        answers: Union of the models of its JSON: of a raw body, and of a multipart request.
        others: Its other media types.
    """
    statuses = sorted({kind.status for kind in ERRORS.values()} - {404, 405})
    content: dict[str, Any] = {other: {"schema": BINARY} for other in others}
    return problem_responses(*statuses) | {
        200: {
            "model": answers,
            "description": f"The answer; the `answers` of each part for a {MULTIPART} request.",
            "content": content | {JSON: {}},
        }
    }


@runtime_checkable
class NamedRoute(Protocol):
    """A route, or what FastAPI passes for one that was included from a router."""

    name: str


def operation_id(route: NamedRoute) -> str:
    """The name that generated clients give the function of a route."""
    return route.name


def add_named_schemas(document: dict[str, Any]) -> dict[str, Any]:
    """Add the schemas of the error and of the multipart body, which no route names as a model."""
    schema = ProblemBody.model_json_schema(ref_template="#/components/schemas/{model}")
    definitions = schema.pop("$defs", {})
    document.setdefault("components", {}).setdefault("schemas", {}).update(
        definitions | {"ProblemBody": schema, "StackParts": _STACK_PARTS}
    )
    return document


def _codes(status: int) -> str:
    return "; ".join(f"`{code}`: {kind.title}" for code, kind in ERRORS.items() if kind.status == status)
