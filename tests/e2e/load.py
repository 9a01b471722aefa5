"""Bounded closed-loop load on a service of this machine, which keeps every answer and every failure."""

import io
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import numpy as np
import tifffile

from phenoserve.engine import Engine

MAX_REQUESTS = 3000
TIMEOUT_S = 20


def encode(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, array, photometric="minisblack")
    return file.getvalue()


@dataclass
class Load:
    """What came of it.

    Attributes:
        answers: Index of the stack, status and body of every answer.
        refused: Connections that were not accepted.
        lost: Accepted, and then no answer: what happened.
        may_turn_away: Whether 429 and 503 are expected; the client comes again at once all the same.
        turned_away: Those answers.
    """

    url: str
    stacks: list[np.ndarray]
    answers: list[tuple[int, int, dict]] = field(default_factory=list)
    refused: int = 0
    lost: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    may_turn_away: bool = False
    turned_away: list[httpx.Response] = field(default_factory=list)

    def post_forever(self, start: int, *, keeps_connection: bool) -> None:
        """Post one stack after the other until told to stop, or the door is closed."""
        headers = {"content-type": "image/tiff"} | ({} if keeps_connection else {"connection": "close"})
        bodies = [encode(stack) for stack in self.stacks]
        with httpx.Client(base_url=self.url, timeout=TIMEOUT_S) as client:
            for number in range(start, start + MAX_REQUESTS):
                if self.stop.is_set():
                    return
                index = number % len(bodies)
                try:
                    answer = client.post("/embed", content=bodies[index], headers=headers)
                except httpx.ConnectError:
                    self.refused += 1
                    return
                except httpx.TransportError as error:
                    self.lost.append(f"{type(error).__name__}: {error}")
                    continue
                if self.may_turn_away and answer.status_code in {429, 503}:
                    self.turned_away.append(answer)
                    continue
                self.answers.append((index, answer.status_code, answer.json()))

    def check(self, engines: dict[str, Engine]) -> set[str]:
        """Assert that every answer is 200 and its own stack's, by the bundle it names; the digests seen."""
        expected = {
            (digest, index): engine.infer(stack[np.newaxis]).embedding[0]
            for digest, engine in engines.items()
            for index, stack in enumerate(self.stacks)
        }
        for index, status, body in self.answers:
            assert status == 200, body
            found = np.asarray(body["embedding"])
            np.testing.assert_allclose(found, expected[body["bundle"]["digest"], index], rtol=1e-3, atol=1e-3)
        return {body["bundle"]["digest"] for _, _, body in self.answers}

    def wait_for(self, num_more: int) -> None:
        """Wait until so many more requests were answered."""
        goal = len(self.answers) + num_more
        wait_until(lambda: len(self.answers) >= goal)


def wait_until(is_so: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def under_load(url: str, stacks: list[np.ndarray], *, num_clients: int = 6, may_turn_away: bool = False):
    """Load from as many clients, half of which keep their connections; at the end all are told to stop."""
    load = Load(url, stacks, may_turn_away=may_turn_away)
    threads = [
        threading.Thread(target=load.post_forever, args=(index,), kwargs={"keeps_connection": index % 2 == 0})
        for index in range(num_clients)
    ]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        load.stop.set()
        for thread in threads:
            thread.join(TIMEOUT_S + 5)
        assert not any(thread.is_alive() for thread in threads)
