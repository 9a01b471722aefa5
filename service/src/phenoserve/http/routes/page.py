"""The web page at `/`: static files that `clients/web` was built into."""

from pathlib import Path
from typing import Final

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from phenoserve.errors import ErrorCode
from phenoserve.http.problems import RequestError

PAGE_FOLDER: Final = Path(__file__).parent.parent / "page"

PAGE_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
"""The page loads nothing but what the service sends it, and sends nothing elsewhere."""

FOREVER: Final = "public, max-age=31536000, immutable"
"""For files whose names hold a digest of their content: all but the licences."""

LICENCES: Final = "THIRD_PARTY.txt"

MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
"""By the ending of a file's name; the operating system's own table may say otherwise."""


def page_router() -> APIRouter:
    """The routes; the files are read once."""
    router = APIRouter(tags=["page"])
    html = (PAGE_FOLDER / "index.html").read_text("utf-8")
    assets = {path.name: path.read_bytes() for path in sorted((PAGE_FOLDER / "assets").iterdir())}

    @router.get("/", summary="The web page", response_class=HTMLResponse)
    async def page() -> HTMLResponse:
        return HTMLResponse(html, headers=PAGE_HEADERS | {"Cache-Control": "no-cache"})

    # Which files there are changes with every build, so they are no part of the API.
    @router.get("/assets/{name}", include_in_schema=False)
    async def asset(name: str) -> Response:
        if name not in assets:
            raise RequestError(ErrorCode.NOT_FOUND, f"The page has no file {name!r}.")
        caching = {"Cache-Control": "no-cache" if name == LICENCES else FOREVER}
        return Response(
            assets[name], media_type=MEDIA_TYPES[Path(name).suffix], headers=PAGE_HEADERS | caching
        )

    return router
