"""The web page at `/`: static files that `clients/web` was built into."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from phenoserve.errors import ErrorCode
from phenoserve.http.answer.static import StaticFile
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


@cache
def _page() -> StaticFile:
    """The page itself; it is read once."""
    headers = PAGE_HEADERS | {"Cache-Control": "no-cache"}
    return StaticFile.of((PAGE_FOLDER / "index.html").read_bytes(), "text/html; charset=utf-8", headers)


@cache
def _assets() -> Mapping[str, StaticFile]:
    """What the page loads, by name; it is read once."""
    return {
        path.name: StaticFile.of(
            path.read_bytes(),
            MEDIA_TYPES[path.suffix],
            PAGE_HEADERS | {"Cache-Control": "no-cache" if path.name == LICENCES else FOREVER},
        )
        for path in sorted((PAGE_FOLDER / "assets").iterdir())
    }


def page_router() -> APIRouter:
    """The routes."""
    router = APIRouter(tags=["page"])
    html, assets = _page(), _assets()

    @router.get("/", summary="The web page", response_class=HTMLResponse)
    async def page(request: Request) -> Response:
        return html.response(request)

    # Which files there are changes with every build, so they are no part of the API.
    @router.get("/assets/{name}", include_in_schema=False)
    async def asset(name: str, request: Request) -> Response:
        if name not in assets:
            raise RequestError(ErrorCode.NOT_FOUND, f"The page has no file {name!r}.")
        return assets[name].response(request)

    return router
