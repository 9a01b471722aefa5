"""How the machine is shared out."""

import pytest

from phenoserve.scheduling import Plan
from phenoserve.scheduling import plan as plan_module
from phenoserve.settings import Settings

CASES = {
    "cpu": ({}, "cpu", Plan(8, 1, 8, 1, 8)),
    "gpu": ({}, "cuda", Plan(1, 1, 8, 16, 8)),
    "two threads each": ({"num_threads": 2}, "cpu", Plan(4, 2, 8, 1, 8)),
    "more threads than cores": ({"num_threads": 16}, "cpu", Plan(1, 16, 8, 1, 8)),
    "processes share the cores": ({"workers": 3}, "cpu", Plan(2, 1, 2, 1, 2)),
    "more processes than cores": ({"workers": 20}, "cpu", Plan(1, 1, 1, 1, 1)),
    "all said": (
        {"num_inferences": 3, "num_threads": 4, "num_threads_alone": 5, "max_batch": 6, "num_decoders": 7},
        "cpu",
        Plan(3, 4, 5, 6, 7),
    ),
}


@pytest.mark.parametrize(("settings", "device", "expected"), CASES.values(), ids=CASES)
def test_what_is_unset_follows_the_cores(settings, device, expected, monkeypatch) -> None:
    """On 8 cores the CPU gets one thread an inference, a GPU one inference of batches; what is set stands."""
    monkeypatch.setattr(plan_module, "available_cores", lambda: 8)
    assert Plan.of(Settings(**settings), device) == expected
