"""Methods, forms of the request line, and headers that are given twice, as RFC 9110 and RFC 9112 want them."""

import socket
from urllib.parse import urlsplit

import httpx
import pytest

from phenoserve.http import create_app
from phenoserve.scheduling import Engines
from phenoserve.settings import Settings

from .conftest import asking, encode_tiff
from .problem import assert_problem

GETS = (
    "/",
    "/livez",
    "/readyz",
    "/bundle",
    "/metrics",
    "/examples",
    "/examples/0.tif",
    "/problems/not_found",
    "/docs",
    "/docs/swagger-ui.css",
    "/openapi.json",
    "/assets/THIRD_PARTY.txt",
    "/nothing",
    "/predict",
)
ALWAYS_NEW = {"date", "x-request-id"}


def exchange(url: str, request: str) -> bytes:
    """Everything that a server sends to bytes on a connection of their own, until it closes."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), 10) as connection:
        connection.sendall(request.replace("\n", "\r\n").encode())
        return b"".join(iter(lambda: connection.recv(2**16), b""))


@pytest.mark.parametrize("path", GETS)
def test_head_is_get_without_the_content(server, path: str) -> None:
    """HEAD has the status and headers of GET, the length of the content among them, and no byte of it."""
    with httpx.Client(base_url=server.url) as client:
        got, asked = client.get(path), client.head(path)
        assert client.get("/livez").status_code == 200  # on the same connection: nothing was left on it
    told = {name: value for name, value in got.headers.items() if name not in ALWAYS_NEW}
    if path == "/metrics":  # the numbers moved on between the two
        told["content-length"] = asked.headers["content-length"]
    if path == "/predict":  # no GET either
        assert (asked.status_code, asked.headers["allow"]) == (405, "OPTIONS, POST")
    assert (asked.status_code, asked.content) == (got.status_code, b"")
    assert {name: value for name, value in asked.headers.items() if name not in ALWAYS_NEW} == told
    assert "content-length" in told
    raw = exchange(server.url, f"HEAD {path} HTTP/1.1\nHost: test\nConnection: close\n\n")
    assert raw.endswith(b"\r\n\r\n")
    assert raw.count(b"\r\n\r\n") == 1


def test_options_tells_the_methods_of_every_address(server) -> None:
    """OPTIONS is 204 with what the address answers, which a 405 tells too; of an address that is none it is 404."""
    with httpx.Client(base_url=server.url) as client:
        for path in GETS:
            answer = client.options(path)
            if path == "/nothing":
                assert_problem(answer, "not_found")
                continue
            expected = "OPTIONS, POST" if path == "/predict" else "GET, HEAD, OPTIONS"
            assert (answer.status_code, answer.headers["allow"], answer.content) == (204, expected, b"")
            refused = client.delete(path)
            assert expected in assert_problem(refused, "method_not_allowed")
            assert refused.headers["allow"] == expected


def test_a_request_line_may_have_other_forms(server) -> None:
    """`OPTIONS *` asks about the service as a whole, and a whole URI is taken for its path."""
    closing = "HTTP/1.1\nHost: test\nConnection: close\n\n"
    whole = exchange(server.url, f"OPTIONS * {closing}")
    assert whole.startswith(b"HTTP/1.1 204 ")
    assert b"allow: get, head, options, post\r\n" in whole.lower()
    absolute = exchange(server.url, f"GET http://elsewhere.example/livez {closing}")
    assert absolute.startswith(b"HTTP/1.1 200 ")
    assert absolute.endswith(b'{"status":"alive"}')
    bare = exchange(server.url, f"GET http://elsewhere.example/ {closing}")
    assert b"<!doctype html>" in bare.lower()


@pytest.mark.anyio
async def test_metrics_tell_methods_apart_that_http_knows(ask) -> None:
    """HEAD is counted as HEAD, and a word that is no method of HTTP makes no metric of its own."""
    async with ask() as client:
        for method in ("HEAD", "FOO"):
            await client.request(method, "/livez")
        text = (await client.get("/metrics")).text
    assert 'phenoserve_requests_total{method="HEAD",route="/livez",status="200"} 1.0' in text
    assert "FOO" not in text


@pytest.mark.parametrize(
    ("headers", "content_type"),
    [
        ([("accept", "text/html"), ("accept", "image/png")], "image/png"),
        ([("accept", "image/png;q=0.1"), ("accept", "application/json")], "application/json"),
        ([("accept", "text/html, "), ("accept", "image/tiff;q=0.001, text/*")], "image/tiff"),
    ],
)
@pytest.mark.anyio
async def test_the_lines_of_a_list_are_one_list(ask, array, headers, content_type: str) -> None:
    """`Accept` in several lines counts as their list, in this and every order."""
    async with ask() as client:
        for lines in (headers, headers[::-1]):
            sent = [("content-type", "image/tiff"), *lines]
            answer = await client.post("/explain", content=encode_tiff(array), headers=sent)
            assert (answer.status_code, answer.headers["content-type"]) == (200, content_type)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ([("content-type", "image/tiff"), ("content-type", "multipart/form-data")], "malformed_request"),
        ([("content-type", "image/tiff"), ("content-type", "image/tiff")], "malformed_request"),
        ([("x-timeout-ms", "10000"), ("x-timeout-ms", "20000")], "malformed_request"),
        ([("accept", "application/json;q=1.5")], "malformed_request"),
        ([("accept", "application/json;q=nan")], "malformed_request"),
        ([("content-encoding", "identity"), ("content-encoding", "gzip")], "unsupported_media_type"),
        ([("accept", "text/html"), ("accept", "text/plain")], "not_acceptable"),
    ],
)
@pytest.mark.anyio
async def test_no_line_is_chosen_among_several(ask, array, headers, code: str) -> None:
    """A header that may stand once is refused where it stands twice, and no line of a list is overlooked."""
    names = {name for name, _ in headers}
    sent = [*headers, *([] if "content-type" in names else [("content-type", "image/tiff")])]
    async with ask() as client:
        assert_problem(await client.post("/predict", content=encode_tiff(array), headers=sent), code)


@pytest.mark.anyio
async def test_the_type_of_an_error_leads_to_what_it_is(ask) -> None:
    """`type` is an address of the service that tells code, status and title; a code that is none has no address."""
    async with ask() as client:
        problem = (await client.get("/nothing")).json()
        kind = await client.get(problem["type"])
        assert kind.json() == {name: problem[name] for name in ("type", "code", "status", "title")}
        assert "not_a_tiff" in assert_problem(await client.get("/problems/nothing"), "not_found")


@pytest.mark.parametrize("path", ["/pheno/nothing", "/nothing"])
@pytest.mark.anyio
async def test_the_type_of_an_error_lies_below_the_root_path(engine, path: str) -> None:
    """Where a proxy serves the service at a path, `type` leads through it, whether or not it takes the path off."""
    app = create_app(Engines.of(engine), Settings(root_path="/pheno"))
    async with asking(app) as client:
        kind = (await client.get(path)).json()["type"]
        assert kind == "/pheno/problems/not_found"
        assert (await client.get(kind)).json()["type"] == kind
