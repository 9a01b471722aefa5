import numpy as np
import pytest
from hypothesis import strategies as st

from phenoserve import cli
from phenoserve.process import serve
from phenoserve.process.server import open_listener
from phenoserve.settings import Settings

from .stack.tiffs import VARIANTS, mutated, write


@pytest.fixture
def served(monkeypatch) -> list[Settings]:
    """The settings that `serve` would serve with: everything but the port is real."""
    seen: list[Settings] = []

    class NoServer:
        exit_code = 0

        def __init__(self, _app: object, _hooks: object, settings: Settings, *_: object) -> None:
            seen.append(settings)

        def run(self, _sockets: object) -> None:
            """Return at once."""

    monkeypatch.setattr(serve, "DrainingServer", NoServer)
    monkeypatch.setattr(serve, "open_listener", lambda _host, _port: open_listener("127.0.0.1", 0))
    monkeypatch.setattr(serve, "_supervise", lambda _, settings, _say: seen.append(settings) or 0)
    monkeypatch.setattr("phenoserve.http.request.keys.read_api_keys", lambda _: ())
    monkeypatch.setattr(cli, "set_up_logging", lambda _: None)
    return seen


@pytest.fixture(scope="session")
def mutated_stacks() -> st.SearchStrategy[bytes]:
    """Stacks of six channels, written every way and then changed in a few bytes."""
    array = np.arange(6 * 64 * 64, dtype=np.uint16).reshape(6, 64, 64)
    return mutated({name: write(array, **options) for name, options in VARIANTS.items()})
