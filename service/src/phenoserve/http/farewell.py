"""Sends clients elsewhere while the service drains: a kept connection would be closed under a client's next request."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from phenoserve.scheduling import Readiness, Scheduler


class FarewellMiddleware:
    """Closes each connection after its answer once the service drains.

    Args:
        app: The application below.
        scheduler: Read for readiness.
    """

    def __init__(self, app: ASGIApp, scheduler: Scheduler) -> None:
        self.app = app
        self.scheduler = scheduler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""

        async def say_farewell(message: Message) -> None:
            is_draining = self.scheduler.readiness is Readiness.DRAINING
            if is_draining and message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        await self.app(scope, receive, say_farewell)
