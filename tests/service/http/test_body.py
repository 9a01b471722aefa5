"""Bodies: split, limited, slow, and left half sent."""

import logging
import socket
import time
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phenoserve.http.problems import RequestError
from phenoserve.http.request import body
from phenoserve.http.request.body import split_parts

from .problem import assert_problem

CONTENTS = st.lists(
    st.one_of(st.binary(max_size=300), st.text("\r\n-x", max_size=300).map(str.encode)),
    min_size=1,
    max_size=5,
)


def encode(contents: list[bytes], name: str = "stack") -> tuple[bytes, bytes]:
    request = httpx.Request("POST", "http://x/", files=[(name, content) for content in contents])
    return request.read(), request.headers["content-type"].partition("boundary=")[2].encode()


@given(contents=CONTENTS, at_once=st.sampled_from([1, 2, 7, body.PARSED_BYTES]))
@settings(max_examples=120, deadline=None)
def test_parts_come_back_as_they_were_sent(contents: list[bytes], at_once: int) -> None:
    """Whatever the parts hold, line ends and dashes too, each comes back byte by byte and in order."""
    sent, boundary = encode(contents)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(body, "PARSED_BYTES", at_once)
        assert split_parts(memoryview(sent), boundary, max_stacks=5) == contents


@given(contents=CONTENTS, data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_cut_multipart_body_is_refused(contents: list[bytes], data: st.DataObject) -> None:
    """A multipart body cut anywhere before its closing boundary is refused as malformed."""
    sent, boundary = encode(contents)
    end = len(sent) - len(b"--\r\n")
    with pytest.raises(RequestError) as caught:
        split_parts(sent[: data.draw(st.integers(0, end - 1))], boundary, max_stacks=5)
    assert caught.value.code == "malformed_request"


def test_more_parts_than_allowed_are_refused() -> None:
    """One part more than allowed refuses the whole request."""
    sent, boundary = encode([b"a", b"b", b"c"])
    with pytest.raises(RequestError) as caught:
        split_parts(sent, boundary, max_stacks=2)
    assert caught.value.code == "body_too_large"


def connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=10)


HEAD = b"POST /predict HTTP/1.1\r\nHost: test\r\nContent-Type: image/tiff\r\nContent-Length: %d\r\n\r\n"


@pytest.mark.parametrize(("stated", "sent"), [(1000, 4), (300_000, 100_000), (300_000, 4)])
def test_a_body_that_stalls_is_cut_off(server, caplog, stated: int, sent: int) -> None:
    """A client that stops sending is answered 408, is told and the log tells how much came, and its connection ends."""
    with caplog.at_level(logging.INFO), connect(server.url) as connection:
        connection.sendall(HEAD % stated + bytes(sent))
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"body_too_slow"' in body
    assert b'"detail":"%d bytes arrived' % sent in body
    assert [record.received_bytes for record in caplog.records if hasattr(record, "received_bytes")] == [sent]


def test_a_client_that_leaves_is_nobody_s_failure(server, caplog) -> None:
    """A connection dropped in the middle of a body logs no error, and the service goes on."""
    with caplog.at_level(logging.INFO), connect(server.url) as connection:
        connection.sendall(HEAD % 1000 + b"II*\0")
        time.sleep(0.05)
    deadline = time.monotonic() + 10
    while server.app.service.scheduler.admission.num_requests and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.app.service.scheduler.admission.num_requests == 0
    assert httpx.get(server.url + "livez").json() == {"status": "alive"}
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR or record.exc_info]


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_too_large_is_refused_while_it_arrives(server, is_chunked: bool) -> None:
    """A body over the limit is refused, whether its length was declared or not, and the connection lives on."""
    content = (bytes(2**16) for _ in range(64)) if is_chunked else bytes(2**22)
    with httpx.Client(base_url=server.url) as client:
        response = client.post("/predict", content=content, headers={"content-type": "image/tiff"})
        assert_problem(response, "body_too_large")
        assert client.get("/livez").status_code == 200
