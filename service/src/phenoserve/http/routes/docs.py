"""The interactive documentation at `/docs`: Swagger UI's own files, and nothing from elsewhere."""

from importlib.resources import files
from typing import Final

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from phenoserve.errors import ErrorCode
from phenoserve.http.problems import RequestError

DOCS_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
"""Scripts and styles are files of the service; Swagger UI's icons are `data:` images."""

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

MEDIA_TYPES: Final = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8"}


def docs_router() -> APIRouter:
    """The routes; the files are read once."""
    router = APIRouter(include_in_schema=False)
    shipped = files("fastapi_offline") / "static"
    assets = {
        "start.js": START.encode(),
        **{name: (shipped / name).read_bytes() for name in ("swagger-ui.css", "swagger-ui-bundle.js")},
    }

    @router.get("/docs")
    async def docs() -> HTMLResponse:
        return HTMLResponse(HTML, headers=DOCS_HEADERS)

    @router.get("/docs/{name}")
    async def asset(name: str) -> Response:
        if name not in assets:
            raise RequestError(ErrorCode.NOT_FOUND, f"The documentation has no file {name!r}.")
        return Response(assets[name], media_type=MEDIA_TYPES[name.rpartition(".")[2]], headers=DOCS_HEADERS)

    return router
