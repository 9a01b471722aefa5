"""When a request is sent again: only when the service says that it has no room or is not ready."""

import math
from dataclasses import dataclass
from http import HTTPStatus
from random import SystemRandom
from typing import TypedDict

import stamina

from phenoclient.errors import ServiceError

RETRIED_STATUSES = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


class _Schedule(TypedDict):
    attempts: int
    timeout: float
    wait_initial: float
    wait_max: float
    wait_jitter: float


@dataclass(frozen=True)
class RetryPolicy:
    """How often, and after how long, a request answered with 429 or 503 is sent again.

    The wait doubles from attempt to attempt and carries a random part, so that many clients do not come back
    at once. A `Retry-After` of the service takes its place; when it is longer than `wait_max_s` the error is
    raised at once, with the wish in its `retry_after_s`.

    Attributes:
        attempts: How often the request is sent at most, the first time included; 1 never sends it again.
        wait_initial_s: First wait in seconds, before the random part.
        wait_max_s: Longest wait in seconds.
        wait_jitter_s: Largest random part of a wait in seconds.
        total_s: Seconds since the first attempt after which no new one is made.

    Raises:
        ValueError: If `attempts` is below 1, a time is negative or not finite, or `total_s` is 0.
    """

    attempts: int = 5
    wait_initial_s: float = 0.25
    wait_max_s: float = 10.0
    wait_jitter_s: float = 0.25
    total_s: float = 60.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"attempts={self.attempts}: expected 1 (never send again) or more.")
        for name in ("wait_initial_s", "wait_max_s", "wait_jitter_s", "total_s"):
            seconds = getattr(self, name)
            if not math.isfinite(seconds) or seconds < 0:
                raise ValueError(f"{name}={seconds}: expected a finite number of seconds, 0 or more.")
        if self.total_s == 0:
            raise ValueError("total_s=0: expected more than 0 seconds; to never send again, pass attempts=1.")

    def caller(self) -> stamina.BoundRetryingCaller:
        """What calls a function, and again as long as this policy says so."""
        return stamina.RetryingCaller(**self._schedule()).on(self._wait_or_give_up)

    def async_caller(self) -> stamina.BoundAsyncRetryingCaller:
        """What awaits a function, and again as long as this policy says so."""
        return stamina.AsyncRetryingCaller(**self._schedule()).on(self._wait_or_give_up)

    def _schedule(self) -> _Schedule:
        return _Schedule(
            attempts=self.attempts,
            timeout=self.total_s,
            wait_initial=self.wait_initial_s,
            wait_max=self.wait_max_s,
            wait_jitter=self.wait_jitter_s,
        )

    def _wait_or_give_up(self, error: BaseException) -> bool | float:
        """False to raise the error, True to wait by doubling, a number to wait that many seconds."""
        if not isinstance(error, ServiceError) or error.status not in RETRIED_STATUSES:
            return False
        if error.retry_after_s is None:
            return True
        if error.retry_after_s > self.wait_max_s:
            return False
        return error.retry_after_s + SystemRandom().uniform(0, self.wait_jitter_s)


DEFAULT_RETRY_POLICY = RetryPolicy()
NO_RETRIES = RetryPolicy(attempts=1)
