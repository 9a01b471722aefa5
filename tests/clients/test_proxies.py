import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from typer.testing import CliRunner

from phenoclient import NO_RETRIES, Client, SettingsError
from phenoclient.cli import app
from phenoclient.errors import ServiceError, ServiceUnreachableError
from phenoclient.exit_codes import ExitCode

from .fake_service import FakeService, listening


class Refusing(BaseHTTPRequestHandler):
    """A proxy that refuses everything in HTML."""

    status = 403
    asked: list[str]

    def refuse(self) -> None:
        """The refusal."""
        self.asked.append(self.path)
        page = b"<html><h1>Blocked by policy</h1></html>"
        self.send_response(self.status)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def proxy() -> Iterator[tuple[str, type[Refusing]]]:
    """Address of a proxy on this machine, and its handler."""
    handler = type(
        "Handler", (Refusing,), {"asked": [], "do_GET": Refusing.refuse, "do_CONNECT": Refusing.refuse}
    )
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", handler
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_this_machine_is_asked_without_a_proxy(monkeypatch, proxy, variable):
    """A service on loopback is asked directly, whatever proxy the environment names."""
    url, handler = proxy
    monkeypatch.setenv(variable, url)
    with listening(FakeService()) as service, Client(service) as client:
        assert client.bundle().name == "fake"
    assert handler.asked == []


@pytest.mark.parametrize(
    "host", ["localhost", "127.8.9.1", "[::1]", "a.localhost", "10.1.2.3", "lab.uni.test"]
)
def test_no_proxy_holds_names_and_networks(monkeypatch, host):
    """Loopback is never asked by a proxy, and what NO_PROXY excepts by name or network is not either."""
    monkeypatch.setenv("HTTP_PROXY", "ftp://nonsense")
    monkeypatch.setenv("NO_PROXY", "10.0.0.0/8, .uni.test")
    Client(f"http://{host}:8000").close()


@pytest.mark.parametrize("status", [403, 407, 413, 502, 503, 504])
def test_a_refusal_of_a_proxy_is_told_as_one(monkeypatch, proxy, status):
    """An error in HTML is told as of something between, with the variables, and not as a service to be started."""
    url, handler = proxy
    handler.status = status
    monkeypatch.setenv("HTTP_PROXY", url)
    with (
        Client("http://service.test", retries=NO_RETRIES) as client,
        pytest.raises(
            ServiceError, match=f"^{status} .*something between this client and the service"
        ) as caught,
    ):
        client.bundle()
    assert caught.value.code is None
    assert "start it" not in str(caught.value)
    assert handler.asked == ["http://service.test/bundle"]


def test_a_tunnel_that_a_proxy_refuses_names_the_variable(monkeypatch, proxy):
    """Where a proxy refuses to connect to an https service, the message names the variable that names the proxy."""
    monkeypatch.setenv("HTTPS_PROXY", proxy[0])
    with (
        Client("https://service.test") as client,
        pytest.raises(ServiceUnreachableError, match="HTTPS_PROXY") as caught,
    ):
        client.bundle()
    assert "403" in str(caught.value)
    assert "start it" not in str(caught.value)


UNUSABLE = {
    "another scheme": ("HTTPS_PROXY", "socks4://user:secret@proxy:1"),
    "no port": ("HTTPS_PROXY", "http://user:secret@proxy:99999"),
    "no address": ("ALL_PROXY", "http://user:secret@proxy:port"),
    "socks": ("all_proxy", "socks5://user:secret@proxy:1080"),
    "no such file": ("SSL_CERT_FILE", "/secret-not-there.pem"),
    "no such folder": ("SSL_CERT_DIR", "/secret-not-there"),
    "no certificates": ("SSL_CERT_FILE", __file__),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_a_variable_that_cannot_be_used_is_named_in_one_line(monkeypatch, tmp_path, kind):
    """A proxy or certificates that cannot be used end the command with one line that names the variable."""
    name, value = UNUSABLE[kind]
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=f"^{name}="):
        Client("https://service.test")
    result = CliRunner().invoke(app, ["predict", str(tmp_path / "a.tif"), "--url", "https://service.test"])
    (line,) = result.stderr.splitlines()
    assert (result.exit_code, name in line, "user:secret" in line) == (ExitCode.USAGE, True, False)
    Client("http://127.0.0.1:8000").close()
