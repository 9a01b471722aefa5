"""The OpenAPI document, and at `/docs` a page to try it: Swagger UI's own files, and nothing from elsewhere."""

import json
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from phenoserve.errors import ErrorCode
from phenoserve.http.answer.static import StaticFile
from phenoserve.http.problems import RequestError

DOCS_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",
}
"""Scripts and styles are files of the service; Swagger UI's icons are `data:` images. Names hold no digest of the
content, so browsers ask each time whether a file has changed."""

HTML: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>phenoserve: the HTTP API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""

START: Final = (
    'SwaggerUIBundle({url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null});\n'
)
"""`validatorUrl`: the badge of an outside validator is not asked for."""


@cache
def _page() -> StaticFile:
    """The page itself."""
    return _file(HTML.encode(), "text/html; charset=utf-8")


@cache
def _assets() -> Mapping[str, StaticFile]:
    """What the page loads, by name; it is read once."""
    folder = files("fastapi_offline") / "static"
    script, style = "text/javascript; charset=utf-8", "text/css; charset=utf-8"
    return {
        "start.js": _file(START.encode(), script),
        "swagger-ui-bundle.js": _file((folder / "swagger-ui-bundle.js").read_bytes(), script),
        "swagger-ui.css": _file((folder / "swagger-ui.css").read_bytes(), style),
    }


def _file(content: bytes, media_type: str) -> StaticFile:
    return StaticFile.of(content, media_type, DOCS_HEADERS)


def docs_router(document: Callable[[], Mapping[str, Any]]) -> APIRouter:
    """The routes.

    Args:
        document: Gives the OpenAPI document; called once, when it is first asked for.
    """
    router = APIRouter(include_in_schema=False)
    html, assets = _page(), _assets()

    @cache
    def openapi_file() -> StaticFile:
        return _file(json.dumps(document(), separators=(",", ":")).encode(), "application/json")

    @router.get("/openapi.json")
    async def openapi(request: Request) -> Response:
        return openapi_file().response(request)

    @router.get("/docs")
    async def docs(request: Request) -> Response:
        return html.response(request)

    @router.get("/docs/{name}")
    async def asset(name: str, request: Request) -> Response:
        if name not in assets:
            raise RequestError(ErrorCode.NOT_FOUND, f"The documentation has no file {name!r}.")
        return assets[name].response(request)

    return router
