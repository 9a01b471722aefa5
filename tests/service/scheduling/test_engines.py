"""A bundle, loaded in the ways that the scheduler runs it."""

import pytest

from phenoserve.bundle import read_bundle
from phenoserve.scheduling import load_engines
from phenoserve.settings import Settings


@pytest.mark.parametrize(
    ("settings", "num_engines"),
    [
        ({"num_threads_alone": 2}, 2),
        ({"num_threads_alone": 1}, 1),
        ({"num_threads_alone": 2, "num_threads": 2}, 1),
    ],
)
def test_the_graph_is_loaded_once_for_each_number_of_threads(tiny_bundle, settings, num_engines) -> None:
    """Two engines where a lone inference has other threads than one under load, else one for both; both prove well."""
    engines = load_engines(read_bundle(tiny_bundle), Settings(device="cpu", **settings))
    assert len({id(engines.alone), id(engines.under_load)}) == num_engines
    assert engines.batch_sizes == ()
    engines.prove()
