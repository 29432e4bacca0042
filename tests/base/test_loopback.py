"""The small HTTP client against a socket that answers as it is told, well and badly."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ploinky.base.errors import PloinkyError
from ploinky.base.loopback import Exchange, Request


@contextmanager
def answering(*pieces: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """A server on a port of its own that says ``pieces`` to one request and closes; and what it was asked."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                asked.append(connection.recv(65536))
                for piece in pieces:
                    connection.sendall(piece)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1], asked
        thread.join(5)


def body(port: int, request: Request | None = None) -> bytes:
    with Exchange("127.0.0.1", port, request or Request("GET", "/x", timeout_s=5)) as exchange:
        assert exchange.status == 200
        return exchange.read()


def test_a_body_of_known_length_is_read() -> None:
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", b"llo") as (port, asked):
        assert body(port, Request("POST", "/a", {"X-Y": "z"}, b"ask", timeout_s=5)) == b"hello"
    head, _, sent = asked[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /a HTTP/1.1\r\n")
    assert {b"X-Y: z", b"Content-Length: 3", b"Connection: close"} <= set(head.split(b"\r\n"))
    assert sent == b"ask"


def test_a_chunked_body_is_put_together() -> None:
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\nd\r\ne\r\n0\r\n\r\n"
    with answering(chunks) as (port, _):
        assert body(port) == b"abcd\r\ne"


def test_a_body_without_length_ends_with_the_connection() -> None:
    with answering(b"HTTP/1.0 200 OK\r\n\r\n", b"all ", b"of it") as (port, _):
        assert body(port) == b"all of it"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 2",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 300 + b"\r\n",
    ],
)
def test_an_answer_that_is_cut_or_no_http_is_an_error(answer: bytes) -> None:
    with answering(answer) as (port, _), pytest.raises(PloinkyError) as caught:
        body(port)
    assert caught.value.code == "HTTP_BROKEN"


def test_silence_is_an_error_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(PloinkyError) as caught:
        body(server.getsockname()[1], Request("GET", "/x", timeout_s=0.05))
    assert caught.value.code == "HTTP_TIMEOUT"


def test_nobody_listening_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(PloinkyError) as caught:
        body(port)
    assert caught.value.code == "CONNECT_FAILED"
