"""The OpenAPI document and `docs/http-api.md` say all there is."""

import json
import re
from pathlib import Path

import pytest
from openapi_spec_validator import validate

from phenoserve.errors import ERRORS
from phenoserve.http import create_app
from phenoserve.scheduling import Engines
from phenoserve.settings import Settings

from .openapi_document import COMMITTED, openapi_text

DOCS = Path(__file__).parents[3] / "docs" / "http-api.md"
STACK_ROUTES = ("/predict", "/embed", "/explain")


@pytest.fixture(scope="module")
def document(engine) -> dict:
    return create_app(Engines.of(engine), Settings()).openapi()


@pytest.fixture(scope="module")
def page() -> str:
    return DOCS.read_text("utf-8")


def operations(document: dict) -> list[tuple[str, str, dict]]:
    return [
        (method.upper(), path, told)
        for path, methods in document["paths"].items()
        for method, told in methods.items()
    ]


def test_every_route_is_documented(document, page) -> None:
    """Each route of the application has its heading or row in the page."""
    for method, path, _ in operations(document):
        assert f"`{method} {path}`" in page
    for path in ("/docs", "/openapi.json"):
        assert f"`GET {path}`" in page


def test_every_parameter_is_documented(document, page) -> None:
    """Each query parameter of each route is named in the page."""
    names = {
        parameter["name"]
        for _, _, told in operations(document)
        for parameter in told.get("parameters", [])
        if parameter["in"] == "query"
    }
    assert names == {"channels", "kind", "treatment", "stains"}
    for name in names:
        assert f"`{name}`" in page


def test_every_error_code_is_documented(page) -> None:
    """The page's table holds every code with its status and title, and no other code."""
    rows = re.findall(r"^\| (\d{3}) \| `([a-z_]+)` \| ([^|]+) \|", page, re.MULTILINE)
    assert {(int(status), code, title.strip()) for status, code, title in rows} == {
        (kind.status, str(code), kind.title) for code, kind in ERRORS.items()
    }


def test_every_setting_is_documented(page) -> None:
    """The page's table holds every setting: flag, variable, default and meaning."""
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else f"`{field.default}`"
        row = f"| `--{name.replace('_', '-')}` | `PHENOSERVE_{name.upper()}` | {default} | {field.description} |"
        assert row.replace("|  |", "| |") in page


def test_every_header_is_documented(page) -> None:
    """The headers that the service reads or sets are named in the page."""
    for header in (
        "Accept",
        "Authorization",
        "Content-Type",
        "X-API-Key",
        "X-Timeout-Ms",
        "Retry-After",
        "Server-Timing",
        "Allow",
    ):
        assert f"`{header}" in page


@pytest.mark.parametrize("route", STACK_ROUTES)
def test_the_document_tells_bodies_and_errors(document, route) -> None:
    """Each stack route names its three media types, its answer, and a problem for every error status and any other."""
    told = document["paths"][route]["post"]
    assert set(told["requestBody"]["content"]) == {
        "image/tiff",
        "application/octet-stream",
        "multipart/form-data",
    }
    statuses = {str(kind.status) for kind in ERRORS.values()} - {"404", "405"} | {"default"}
    assert set(told["responses"]) == statuses | {"200"}
    for status in statuses:
        assert set(told["responses"][status]["content"]) == {"application/problem+json"}
    assert "application/json" in told["responses"]["200"]["content"]


def test_the_committed_document_is_the_services() -> None:
    """`docs/openapi.json` is what a service with API keys and admin keys says of itself."""
    assert COMMITTED.read_text("utf-8") == openapi_text(), (
        "The routes have changed. If that was meant: `make openapi`, look at what changed in docs/openapi.json, commit."
    )


def test_the_document_is_valid(document) -> None:
    """A validator finds nothing wrong, with keys or without."""
    validate(document)
    validate(json.loads(COMMITTED.read_bytes()))


def test_every_body_has_a_schema_and_nothing_is_the_frameworks(document) -> None:
    """Each answer says its media type and schema, each operation has a plain name, no framework error is promised."""
    for _, _, told in operations(document):
        assert re.fullmatch(r"[a-z]+", told["operationId"])
        for response in told["responses"].values():
            assert response["content"]
            assert all(content["schema"] for content in response["content"].values())
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_every_reference_of_the_document_resolves(document) -> None:
    """No `$ref` points to a schema that is not there."""
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert references
    assert references <= set(document["components"]["schemas"])


def test_the_document_asks_for_a_key_where_the_service_does(engine, document, tmp_path) -> None:
    """With API keys, bundle, examples and stack routes name both ways to send one; without, no route does."""
    keys = tmp_path / "keys"
    keys.write_text("0" * 64)
    guarded = create_app(Engines.of(engine), Settings(api_keys_file=keys)).openapi()
    schemes = guarded["components"]["securitySchemes"]
    assert {scheme["type"] for scheme in schemes.values()} == {"http", "apiKey"}
    asking = {path: told["security"] for _, path, told in operations(guarded) if "security" in told}
    assert set(asking) == {*STACK_ROUTES, "/bundle", "/examples", "/examples/{index}.tif"}
    assert all(ways == [{name: []} for name in schemes] for ways in asking.values())
    assert "securitySchemes" not in document["components"]
    assert not any("security" in told for _, _, told in operations(document))
