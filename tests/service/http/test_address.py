"""Where the service listens, and the address that it tells."""

import socket
from urllib.request import urlopen

import pytest

from phenoserve.engine import Engine
from phenoserve.http import create_app
from phenoserve.process.server import open_listener, page_url
from phenoserve.scheduling import Engines
from phenoserve.settings import Settings

needs_both = pytest.mark.skipif(
    not socket.has_dualstack_ipv6(), reason="this system has no dual-stack sockets"
)


@needs_both
@pytest.mark.parametrize("host", ["::", ""])
def test_every_interface_is_both_families(host: str) -> None:
    """The address that is told for every interface answers, and so does IPv6's."""
    with open_listener(host, 0) as listener:
        port = listener.getsockname()[1]
        assert page_url(host, port) == f"http://127.0.0.1:{port}/"
        for address in ("127.0.0.1", "::1"):
            socket.create_connection((address, port), timeout=5).close()


@needs_both
def test_a_service_on_every_interface_answers_at_its_address(engine: Engine, listen) -> None:
    """A running service with `--host ::` is reached at the address in its log."""
    with (
        listen(create_app(Engines.of(engine), Settings(host="::")), host="::") as listening,
        urlopen(f"{listening.url}livez", timeout=5) as answer,
    ):
        assert answer.status == 200


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("[::1]", "http://[::1]:80/"),
        ("0:0:0:0:0:0:0:1", "http://[::1]:80/"),
        ("0.0.0.0", "http://127.0.0.1:80/"),
        ("0:0:0:0:0:0:0:0", "http://127.0.0.1:80/"),
        ("", "http://127.0.0.1:80/"),
        ("lab", "http://lab:80/"),
    ],
)
def test_the_address_is_one_that_a_browser_takes(host: str, url: str) -> None:
    """An IPv6 address stands in brackets once, whether it came with them or without."""
    assert page_url(Settings(host=host).host, 80) == url
