"""A small HTTP/1.1 client for servers on this machine, on a bare socket.

For commands that must answer at once: importing it costs next to nothing, where a general client costs
more than the whole command may. It is synchronous; a coroutine calls it in a thread. One exchange per
connection, no redirects, no TLS, no proxies.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import BinaryIO

from ploinky.base.errors import PloinkyError

_MAX_LINE = 64 * 1024
_MAX_HEADERS = 200


@dataclass(frozen=True)
class Request:
    """What to ask. ``path`` starts with a slash; ``timeout_s`` bounds every wait for the next bytes."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    timeout_s: float | None = 10.0


class Exchange:
    """A request that was sent and its answer: status and headers at once, the body as it comes.

    Raises:
        PloinkyError: ``CONNECT_FAILED`` if nobody listens, ``HTTP_TIMEOUT`` if no answer comes,
            ``HTTP_BROKEN`` if it is cut or is not HTTP.
    """

    def __init__(self, host: str, port: int, request: Request) -> None:
        self._where = f"http://{host}:{port}{request.path}"
        try:
            self._socket = socket.create_connection((host, port), timeout=5.0)
        except OSError as error:
            raise PloinkyError("CONNECT_FAILED", f"Nothing answers on {host}:{port}.") from error
        self._socket.settimeout(request.timeout_s)
        self._stream: BinaryIO = self._socket.makefile("rb")
        try:
            self._send(host, port, request)
            self.status = self._read_status()
            self.headers = self._read_headers()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Exchange:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the exchange; a read that waits in another thread ends too."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._stream.close()
        self._socket.close()

    def read(self) -> bytes:
        """The whole body."""
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes]:
        """The body in pieces, as they arrive."""
        if "chunked" in self.headers.get("transfer-encoding", "").lower():
            yield from self._chunks()
        elif "content-length" in self.headers:
            left = self._size(self.headers["content-length"], 10)
            while left:
                piece = self._some(min(left, _MAX_LINE))
                if not piece:
                    raise self._broken("ended early")
                left -= len(piece)
                yield piece
        elif self.status not in (204, 304):
            while piece := self._some(_MAX_LINE):
                yield piece

    def _send(self, host: str, port: int, request: Request) -> None:
        head = [f"{request.method} {request.path} HTTP/1.1", f"Host: {host}:{port}", "Connection: close"]
        head += [f"{name}: {value}" for name, value in request.headers.items()]
        if request.body or request.method not in ("GET", "HEAD", "DELETE"):
            head.append(f"Content-Length: {len(request.body)}")
        assert not any("\r" in line or "\n" in line for line in head), "a header with a line break"
        try:
            self._socket.sendall("\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + request.body)
        except OSError as error:
            raise self._broken("was refused") from error

    def _read_status(self) -> int:
        parts = self._line().split(None, 2)
        if len(parts) < 2 or not parts[0].startswith(b"HTTP/1.") or not parts[1].isdigit():
            raise self._broken("is not HTTP")
        return int(parts[1])

    def _read_headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        for _ in range(_MAX_HEADERS):
            line = self._line()
            if not line:
                return headers
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        raise self._broken("has too many headers")

    def _chunks(self) -> Iterator[bytes]:
        while True:
            size = self._size(self._line().split(b";")[0].decode("latin-1"), 16)
            if size == 0:
                return
            left = size
            while left:
                piece = self._some(left)
                if not piece:
                    raise self._broken("ended early")
                left -= len(piece)
                yield piece
            self._line()

    def _size(self, text: str, base: int) -> int:
        try:
            size = int(text, base)
        except ValueError as error:
            raise self._broken("has no sensible length") from error
        if size < 0:
            raise self._broken("has no sensible length")
        return size

    def _line(self) -> bytes:
        line = self._guarded(lambda: self._stream.readline(_MAX_LINE))
        if not line.endswith(b"\n"):
            raise self._broken("ended early")
        return line.rstrip(b"\r\n")

    def _some(self, limit: int) -> bytes:
        read = getattr(self._stream, "read1")  # noqa: B009 (BinaryIO does not name read1)
        return self._guarded(lambda: bytes(read(limit)))

    def _guarded(self, read: Callable[[], bytes]) -> bytes:
        try:
            return read()
        except TimeoutError as error:
            raise PloinkyError("HTTP_TIMEOUT", f"No answer from {self._where} in time.") from error
        except (OSError, ValueError) as error:
            raise self._broken("broke off") from error

    def _broken(self, how: str) -> PloinkyError:
        return PloinkyError("HTTP_BROKEN", f"The answer of {self._where} {how}.")
