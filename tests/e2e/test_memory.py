"""What a long life leaves in memory."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest

from .load import encode
from .test_life_cycle import process_of

NUM_REQUESTS, NUM_FIRST = 5000, 500
NUM_CALLERS = 8
MAX_GROWTH = 1.10
REQUESTS = (
    ("/predict", "application/json"),
    ("/embed", "application/x-npy"),
    ("/explain", "application/json"),
    ("/explain", "image/tiff"),
)
SIZES = ((64, 64), (64, 200), (130, 97), (256, 256), (90, 64), (300, 180), (77, 77))
DTYPES = (np.uint8, np.uint16, np.float32)


def resident_kib(pid: int) -> int:
    fields = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return next(int(field[1]) for field in fields if field[0] == "VmRSS:")


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_requests(tiny_bundle, tmp_path) -> None:
    """After 5,000 requests of mixed sizes and routes, eight at once, it holds at most a tenth more than after 500."""
    generator = np.random.default_rng(0)
    bodies = [
        encode(generator.integers(0, 250, (6, *size)).astype(dtype))
        for size, dtype in itertools.product(SIZES, DTYPES)
    ]
    with (
        process_of(tiny_bundle, tmp_path) as (url, process, _),
        httpx.Client(base_url=url, timeout=30) as client,
        ThreadPoolExecutor(NUM_CALLERS) as callers,
    ):

        def ask(number: int) -> bool:
            route, accept = REQUESTS[number % len(REQUESTS)]
            headers = {"content-type": "image/tiff", "accept": accept}
            return client.post(route, content=bodies[number % len(bodies)], headers=headers).is_success

        assert all(callers.map(ask, range(NUM_FIRST)))
        after_first_kib = resident_kib(process.pid)
        assert all(callers.map(ask, range(NUM_FIRST, NUM_REQUESTS)))
        assert resident_kib(process.pid) <= MAX_GROWTH * after_first_kib
