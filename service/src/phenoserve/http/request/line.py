"""The request line as the routes know it: GET in place of HEAD, and a path below the service's root."""

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class RequestLineMiddleware:
    """Takes every form of a request line to the one that the routes know.

    * HEAD is answered as GET is, and the content is left out (RFC 9110, section 9.3.2).
    * `OPTIONS *` asks about the service as a whole (RFC 9110, section 9.3.7).
    * A target may be a whole URI, as it is sent to a proxy (RFC 9112, section 3.2.2).
    * A path may lie below the service's root path, where a proxy passes it on as it is.

    Args:
        app: The application below.
        root_path: Path below which a proxy serves the service; empty where there is none.
    """

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self.app = app
        self.root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        method, path = scope["method"], _without_origin(scope["path"])
        if (method, path) == ("OPTIONS", "*"):
            response = Response(status_code=204, headers={"Allow": "GET, HEAD, OPTIONS, POST"})
            await response(scope, receive, send)
            return
        known = {**scope, "path": path}
        if self.root_path:
            is_below = f"{path}/".startswith(f"{self.root_path}/")
            known |= {"root_path": self.root_path, "path": path if is_below else self.root_path + path}
        if method == "HEAD":
            known["method"] = "GET"

        async def send_head(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        try:
            await self.app(known, receive, send_head if method == "HEAD" else send)
        finally:
            # Who observes the request above reads here what the application notes below.
            scope.update({name: known[name] for name in ("route", "state") if name in known})


def _without_origin(target: str) -> str:
    """The path of a target in absolute form, or of any other the target itself."""
    if target.startswith("/"):
        return target
    _, is_absolute, rest = target.partition("://")
    return "/" + rest.partition("/")[2] if is_absolute else target
