import asyncio
import threading

import pytest

from phenoclient import StackArgumentError
from phenoclient.napari.request import Latest, Request


async def answer() -> int:
    return 7


def test_a_request_gives_its_value():
    """What the coroutine returns is the outcome's value."""
    request = Request(answer)
    assert request.run().value == 7
    request.cancel()


def test_errors_for_the_user_are_words():
    """An error of the client's own is told in its words; any other is raised."""

    async def refuse() -> None:
        raise StackArgumentError("not a stack")

    async def break_down() -> None:
        raise ZeroDivisionError

    assert Request(refuse).run().error == "not a stack"
    with pytest.raises(ZeroDivisionError):
        Request(break_down).run()


def test_a_request_that_was_cancelled_before_it_began_asks_nothing():
    """Cancelled before its thread runs, a request ends without a value."""
    asked = []

    async def ask() -> None:
        asked.append(True)

    request = Request(ask)
    request.cancel()
    outcome = request.run()
    assert (outcome.value, outcome.error, asked) == (None, None, [])


def test_another_request_cancels_the_one_that_runs():
    """Of two requests the first is cancelled where it waits, and the second is left alone."""
    waiting = threading.Event()
    outcomes = []

    async def wait() -> None:
        waiting.set()
        await asyncio.sleep(60)

    first, second, latest = Request(wait), Request(answer), Latest()
    latest.exchange(first)
    thread = threading.Thread(target=lambda: outcomes.append(first.run()))
    thread.start()
    assert waiting.wait(30)
    latest.exchange(second)
    thread.join(30)
    assert [(outcome.request, outcome.value, outcome.error) for outcome in outcomes] == [(first, None, None)]
    assert latest.request is second
    assert second.run().value == 7
