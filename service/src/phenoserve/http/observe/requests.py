"""One request and its answer as whoever runs the service sees them: named, measured, and told to observers."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPMethod
from typing import Final
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from phenoserve.logs import request_id
from phenoserve.scheduling import StageTimes

UNMATCHED: Final = "unmatched"
REQUEST_ID: Final = "X-Request-ID"

METHODS: Final = frozenset(HTTPMethod)
"""Methods that are told apart: a client may send any word for one, and each would be a metric of its own."""

SOUND_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""Ids of a client that are taken over: they end up in logs."""


@dataclass(frozen=True, slots=True)
class FinishedRequest:
    """A request that is over; it holds nothing that a stranger chose but the id.

    Attributes:
        method: Its method; `UNMATCHED` where no route took it, or HTTP knows no such method.
        route: Its route as the application names it, never its path.
        status: Status of the answer; 0 where none was begun.
        received_bytes: Bytes of its body that were read.
        sent_bytes: Bytes of the answer's body.
        seconds: From its head to the end of the answer.
        times: Where the time went; None where no stack was asked about.
    """

    method: str
    route: str
    status: int
    received_bytes: int
    sent_bytes: int
    seconds: float
    times: StageTimes | None


class ObserveMiddleware:
    """Gives every request an id, which its answer carries, and tells observers what became of it.

    Args:
        app: The application below.
        observers: Called with each request once it is over.
    """

    def __init__(self, app: ASGIApp, observers: Sequence[Callable[[FinishedRequest], None]]) -> None:
        self.app = app
        self.observers = observers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        status = received = sent = 0
        asked = Headers(scope=scope).get(REQUEST_ID, "")
        its_id = asked if SOUND_ID.fullmatch(asked) else uuid4().hex

        async def count_received() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            return message

        async def count_sent(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = its_id
            sent += len(message.get("body", b""))
            await send(message)

        token = request_id.set(its_id)
        try:
            await self.app(scope, count_received, count_sent)
        finally:
            route = getattr(scope.get("route"), "path", UNMATCHED)
            request = FinishedRequest(
                method=scope["method"] if route != UNMATCHED and scope["method"] in METHODS else UNMATCHED,
                route=route,
                status=status,
                received_bytes=received,
                sent_bytes=sent,
                seconds=time.perf_counter() - began,
                times=scope.get("state", {}).get("times"),
            )
            for observe in self.observers:
                observe(request)
            request_id.reset(token)
