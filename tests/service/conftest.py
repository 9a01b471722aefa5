import pytest

from phenoserve import cli
from phenoserve.settings import Settings


@pytest.fixture
def served(monkeypatch) -> list[Settings]:
    """The settings that `serve` would serve with: everything but the port is real."""
    seen: list[Settings] = []

    class NoServer:
        def __init__(self, _app: object, settings: Settings, *_: object) -> None:
            seen.append(settings)

        def run(self, _sockets: object) -> None:
            """Return at once."""

    monkeypatch.setattr(cli, "DrainingServer", NoServer)
    monkeypatch.setattr(cli, "_supervise", lambda _, settings: seen.append(settings) or 0)
    monkeypatch.setattr("phenoserve.http.keys.read_api_keys", lambda _: ())
    monkeypatch.setattr(cli, "set_up_logging", lambda _: None)
    return seen
