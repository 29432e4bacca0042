"""A witness between a client and a model server: passes everything on, keeps what was asked, and can hold.

It holds either a request (the model is silent) or the last bytes of an answer (all is said, nothing ended).
"""

from __future__ import annotations

import http.client
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import urlsplit

_END = b"data: [DONE]"
_PATIENCE_S = 60.0


class Witness:
    """``asked`` are the bodies of all POSTs so far; ``ended`` counts the answers passed on to their end."""

    def __init__(self, server: str) -> None:
        self.asked: list[bytes] = []
        self.address = urlsplit(server)
        self.url = ""
        self._news = threading.Condition()
        self.ended = 0
        self._may_pass: float = math.inf
        self._may_end = threading.Event()
        self._may_end.set()

    def hold_after(self, count: int) -> None:
        """No request after the first ``count`` of all reaches the server."""
        self._may_pass = count

    def hold_end(self) -> None:
        """From now on no answer ends."""
        self._may_end.clear()

    def release(self) -> None:
        """Let all go on that was held."""
        self._may_end.set()
        with self._news:
            self._may_pass = math.inf
            self._news.notify_all()

    def wait_for(self, count: int) -> None:
        """Wait until ``count`` requests in all have come."""
        with self._news:
            came = self._news.wait_for(lambda: len(self.asked) >= count, _PATIENCE_S)
        assert came, f"{len(self.asked)} of {count} requests came"

    def note(self, body: bytes) -> None:
        with self._news:
            self.asked.append(body)
            self._news.notify_all()
            number = len(self.asked)
            self._news.wait_for(lambda: number <= self._may_pass, _PATIENCE_S)

    def await_end(self) -> None:
        self._may_end.wait(_PATIENCE_S)


@contextmanager
def witnessed(server: str) -> Iterator[Witness]:
    """A witness before the server at ``server``; ``url`` is where it is asked."""
    witness = Witness(server)

    class Door(_Door):
        seen = witness

    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        witness.url = f"http://127.0.0.1:{listening.server_port}"
        try:
            yield witness
        finally:
            witness.release()
            listening.shutdown()
            thread.join()


class _Door(BaseHTTPRequestHandler):
    seen: ClassVar[Witness]

    def do_GET(self) -> None:
        self._pass_on(None)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.seen.note(body)
        self._pass_on(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name there)
        """Tests are quiet."""

    def _pass_on(self, body: bytes | None) -> None:
        self.close_connection = True
        address = self.seen.address
        onward = http.client.HTTPConnection(address.hostname or "", address.port, timeout=_PATIENCE_S)
        kept = {name: value for name, value in self.headers.items() if name.lower() not in _OWN}
        try:
            onward.request(self.command, self.path, body, kept)
            answer = onward.getresponse()
            self.send_response(answer.status)
            self.send_header("content-type", answer.getheader("content-type", "application/json"))
            self.send_header("connection", "close")
            self.end_headers()
            while data := answer.readline():
                if data.startswith(_END):
                    self.seen.await_end()
                self.wfile.write(data)
                self.wfile.flush()
            self.seen.ended += 1
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client was killed: that is what some tests are for
        finally:
            onward.close()


_OWN = frozenset({"host", "connection", "accept-encoding", "content-length"})
