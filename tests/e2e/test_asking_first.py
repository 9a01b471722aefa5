"""Clients that send `Expect: 100-continue` and wait (RFC 9110, section 10.1.1)."""

import socket
from urllib.parse import urlsplit

import pytest

from phenoclient.images import tiff_of

WAIT_S = 60


@pytest.fixture
def connection(service_url):
    where = urlsplit(service_url)
    with socket.create_connection((where.hostname, where.port), timeout=WAIT_S) as connection:
        yield connection


def ask(connection: socket.socket, num_bytes: int) -> bytes:
    """Send the head of a request alone; gives the first line of what comes back."""
    head = (
        f"POST /predict HTTP/1.1\r\nHost: here\r\nContent-Type: image/tiff\r\nContent-Length: {num_bytes}\r\n"
    )
    connection.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
    return connection.recv(65536).split(b"\r\n")[0]


def test_a_body_that_is_let_in_is_asked_for(connection, stacks):
    """The service asks for the body once it has room for it, and then answers."""
    tiff = tiff_of(stacks[0])
    assert ask(connection, len(tiff)) == b"HTTP/1.1 100 Continue"
    connection.sendall(tiff)
    assert connection.recv(65536).startswith(b"HTTP/1.1 200")


def test_a_body_that_is_refused_is_never_asked_for(connection):
    """The refusal is the first thing that comes back, before a byte of the body was sent."""
    assert ask(connection, 2**40).startswith(b"HTTP/1.1 413")
