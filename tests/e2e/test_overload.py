"""Ten times as many clients as the service admits, on a real process."""

import httpx
import numpy as np

from .load import encode, under_load, wait_until

MAX_IN_FLIGHT = 2
STACKS = [
    np.random.default_rng(seed).integers(0, 250, (6, 64, 64 + seed)).astype(np.uint16) for seed in range(4)
]


def test_overload_is_answered_or_turned_away(serve, tiny_bundle, engine) -> None:
    """At ten times capacity a request gets its own stack's answer or 429 with `Retry-After`, and then answers again."""
    with serve(tiny_bundle, "--max-in-flight", str(MAX_IN_FLIGHT)) as url:
        with under_load(url, STACKS, num_clients=10 * MAX_IN_FLIGHT, may_turn_away=True) as load:
            load.wait_for(40)
            wait_until(lambda: len(load.turned_away) >= 40)
        next_one = httpx.post(
            f"{url}/embed", content=encode(STACKS[0]), headers={"content-type": "image/tiff"}
        )
        assert next_one.status_code == 200
    assert load.lost == []
    assert load.refused == 0
    load.check({engine.bundle.digest: engine})
    assert {answer.json()["code"] for answer in load.turned_away} == {"too_many_requests"}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in load.turned_away)
