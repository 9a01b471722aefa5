import httpx
import pytest
import stamina

from phenoclient import NO_RETRIES, AsyncClient, Client, RetryPolicy
from phenoclient.errors import OverloadedError, ServiceError, ServiceUnavailableError
from phenoclient.problems import error_of

from .conftest import BASE_URL
from .fake_service import FakeService, problem

BUSY = ("too_many_requests", 429)
STARTING = ("not_ready", 503)


def answers(kind: tuple[str, int], count: int, **headers: str) -> list[httpx.Response]:
    code, status = kind
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return [problem(status, code, headers=named) for _ in range(count)]


def client_of(service: FakeService, policy: RetryPolicy) -> Client:
    return Client(BASE_URL, retries=policy, transport=httpx.MockTransport(service))


@pytest.mark.parametrize("kind", [BUSY, STARTING])
def test_429_and_503_are_sent_again_until_they_are_answered(service, stack, kind):
    """A request answered with 429 or 503 is sent again, the same, and the first good answer is given."""
    service.next_answers = answers(kind, 3)
    with client_of(service, RetryPolicy(attempts=4)) as client:
        assert client.predict(stack).prediction.treatment == "IFN-beta"
    assert len({request.content for request in service.requests}) == 1
    assert len(service.requests) == 4


@pytest.mark.anyio
@pytest.mark.parametrize("kind", [BUSY, STARTING])
async def test_the_async_client_sends_again_by_the_same_rule(service, stack, kind):
    """AsyncClient sends again on 429 and 503, as often as Client does."""
    service.next_answers = answers(kind, 3)
    transport = httpx.MockTransport(service)
    async with AsyncClient(BASE_URL, retries=RetryPolicy(attempts=4), transport=transport) as client:
        assert (await client.predict(stack)).prediction.treatment == "IFN-beta"
    assert len(service.requests) == 4


@pytest.mark.parametrize(("kind", "error"), [(BUSY, OverloadedError), (STARTING, ServiceUnavailableError)])
@pytest.mark.parametrize("attempts", [1, 3])
def test_attempts_are_bounded(service, stack, kind, error, attempts):
    """After the last attempt the service's answer is raised, and nothing more is sent."""
    service.next_answers = answers(kind, 9)
    policy = RetryPolicy(attempts=attempts) if attempts > 1 else NO_RETRIES
    with client_of(service, policy) as client, pytest.raises(error):
        client.predict(stack)
    assert len(service.requests) == attempts


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 406, 408, 413, 415, 422, 500, 502, 504])
def test_nothing_else_is_sent_again(service, stack, status):
    """No other error answer is sent again, whatever its Retry-After says."""
    service.next_answers = [problem(status, "some_code", headers={"retry-after": "0"})]
    with client_of(service, RetryPolicy()) as client, pytest.raises(ServiceError):
        client.predict(stack)
    assert len(service.requests) == 1


def test_a_wait_longer_than_allowed_is_not_waited(service, stack):
    """A Retry-After beyond `wait_max_s` raises at once, with the wish on the error."""
    service.next_answers = answers(BUSY, 1, retry_after="11")
    with client_of(service, RetryPolicy(wait_max_s=10.0)) as client, pytest.raises(OverloadedError) as caught:
        client.predict(stack)
    assert caught.value.retry_after_s == 11
    assert len(service.requests) == 1


def test_retry_after_takes_the_place_of_the_doubling_wait():
    """The wait is what the service asks for, plus at most the policy's random part."""
    policy = RetryPolicy(wait_jitter_s=0.5)
    waits = [policy._wait_or_give_up(error_of(answers(BUSY, 1, retry_after="2")[0])) for _ in range(50)]
    assert all(2 <= wait <= 2.5 for wait in waits)
    assert len(set(waits)) > 1
    assert policy._wait_or_give_up(error_of(answers(BUSY, 1)[0])) is True


def test_waits_are_really_waited(service, stack):
    """With waiting switched on, the waits that were announced double from a first one and stay bounded."""
    waits = []
    stamina.instrumentation.set_on_retry_hooks([lambda details: waits.append(details.wait_for)])
    service.next_answers = answers(BUSY, 3)
    policy = RetryPolicy(attempts=4, wait_initial_s=0.001, wait_max_s=0.003, wait_jitter_s=0.0)
    stamina.set_testing(False)
    with client_of(service, policy) as client:
        client.predict(stack)
    assert waits == pytest.approx([0.001, 0.002, 0.003])


@pytest.mark.parametrize(
    "values",
    [
        {"attempts": 0},
        {"wait_initial_s": -1.0},
        {"wait_max_s": float("inf")},
        {"wait_jitter_s": float("nan")},
        {"total_s": 0.0},
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(values):
    """A policy without an attempt, or with a wait that is no finite number of seconds, is refused by name."""
    with pytest.raises(ValueError, match=next(iter(values))):
        RetryPolicy(**values)
