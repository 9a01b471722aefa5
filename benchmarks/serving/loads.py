"""Closed and open loops of calls on threads, and what they saw."""

import http.client
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import count

import numpy as np

MAX_OPEN_CALLERS = 200
CONTINUE = b"HTTP/1.1 100"
TURNED_AWAY = {http.HTTPStatus.TOO_MANY_REQUESTS, http.HTTPStatus.SERVICE_UNAVAILABLE}


@dataclass
class Phase:
    """One phase of one round.

    Attributes:
        seconds: Of every successful call; in an open loop, from the time it was meant to be sent.
        statuses: How many calls ended with each HTTP status; 0 is a connection that broke or a refusal without
            `Retry-After`.
        took_s: From the first call to the end of the last.
    """

    seconds: list[float]
    statuses: dict[int, int]
    took_s: float

    @property
    def rate(self) -> float:
        """Successful calls a second."""
        return len(self.seconds) / self.took_s

    def percentile_ms(self, percent: float) -> float:
        """Percentile of the successful calls' times, in milliseconds; NaN without any."""
        return 1e3 * float(np.percentile(self.seconds, percent)) if self.seconds else float("nan")

    def share(self, statuses: set[int]) -> float:
        """Share of all calls that ended with one of these statuses."""
        return sum(self.statuses.get(status, 0) for status in statuses) / max(sum(self.statuses.values()), 1)

    def as_json(self) -> dict[str, object]:
        """All of it."""
        return asdict(self)


def closed_loop(num_callers: int, seconds: float, make_call: Callable[[], Callable[[], int]]) -> Phase:
    """Call again and again from as many threads, each after its last call ended, until the time is over."""
    stop = time.perf_counter() + seconds

    def next_at() -> float | None:
        now = time.perf_counter()
        return now if now < stop else None

    return _run(num_callers, make_call, next_at)


def open_loop(rate: float, seconds: float, seed: int, make_call: Callable[[], Callable[[], int]]) -> Phase:
    """Call at Poisson arrivals of a stated rate, whether earlier calls ended or not (up to 200 at a time).

    A call that finds all callers busy is sent late; its time still counts from when it was meant to be sent.
    """
    generator = np.random.default_rng(seed)
    arrivals = np.cumsum(generator.exponential(1 / rate, max(1, int(rate * seconds))))
    began, numbers = time.perf_counter(), count()

    def next_at() -> float | None:
        number = next(numbers)
        return began + float(arrivals[number]) if number < len(arrivals) else None

    return _run(min(MAX_OPEN_CALLERS, len(arrivals)), make_call, next_at)


def time_to_recover(call: Callable[[], int], usual_s: float, limit_s: float = 30) -> float:
    """Call alone, again and again, until a call succeeds in 1.5 times the usual time.

    Returns:
        Seconds from the beginning to the end of that call; infinity if there is none within the limit.
    """
    began = time.perf_counter()
    while (sent := time.perf_counter()) - began < limit_s:
        if call() == http.HTTPStatus.OK and time.perf_counter() - sent <= 1.5 * usual_s:
            return time.perf_counter() - began
    return float("inf")


def _run(
    num_callers: int, make_call: Callable[[], Callable[[], int]], next_at: Callable[[], float | None]
) -> Phase:
    records: list[list[tuple[int, float]]] = [[] for _ in range(num_callers)]

    def loop(of_caller: list[tuple[int, float]]) -> None:
        call = make_call()
        while (meant := next_at()) is not None:
            time.sleep(max(0.0, meant - time.perf_counter()))
            of_caller.append((call(), time.perf_counter() - meant))

    began = time.perf_counter()
    threads = [threading.Thread(target=loop, args=(of_caller,)) for of_caller in records]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    calls = [one for of_caller in records for one in of_caller]
    return Phase(
        seconds=[seconds for status, seconds in calls if status == http.HTTPStatus.OK],
        statuses=dict(Counter(status for status, _ in calls)),
        took_s=time.perf_counter() - began,
    )


def poster(port: int, path: str, tiff: bytes, *, asks_first: bool = False) -> Callable[[], int]:
    """Posts over a kept connection; gives the status, or 0 where there was no answer as there should be.

    Args:
        port: Port of this machine.
        path: Route.
        tiff: Body.
        asks_first: Whether the body is held back until the service asks for it (`Expect: 100-continue`, RFC 9110
            section 10.1.1), as curl does with bodies over 1 MiB.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Content-Type": "image/tiff", "Accept": "application/json"}
    if asks_first:
        headers |= {"Expect": "100-continue", "Content-Length": str(len(tiff))}

    def post() -> int:
        try:
            connection.request("POST", path, None if asks_first else tiff, headers)
            if asks_first and _is_asked_for(connection.sock):
                connection.send(tiff)  # http.client passes over the line that asked for it
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            return 0
        if response.status in TURNED_AWAY and response.getheader("Retry-After") is None:
            return 0
        return response.status

    return post


def _is_asked_for(connection: socket.socket) -> bool:
    """Whether the next line of the answer, which is left unread, asks for the body."""
    return connection.recv(len(CONTINUE), socket.MSG_PEEK | socket.MSG_WAITALL) == CONTINUE
