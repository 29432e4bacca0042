"""A small HTTP/1.1 client for the gateway: one request per connection, bodies and event streams as they come.

For the command line and the stdio bridge, where a general client would cost more than the call.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import anyio
import anyio.abc
import httptools

from ploinky.base.errors import DeadlineError, PloinkyError

MAX_BODY = 64 * 1024 * 1024
CONNECT_TIMEOUT_S = 5.0
SILENCE_S = 60.0  # the gateway says something on an open stream every quarter of that
_CHUNK = 64 * 1024


@dataclass(frozen=True)
class HttpAddress:
    """Where a server listens."""

    host: str
    port: int

    @property
    def authority(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class HttpRequest:
    """What to send. ``headers`` need no Host, Connection or Content-Length."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes = b""

    def head(self, address: HttpAddress) -> bytes:
        lines = [f"{self.method} {self.path} HTTP/1.1", f"host: {address.authority}", "connection: close"]
        if self.body or self.method == "POST":
            lines.append(f"content-length: {len(self.body)}")
        lines.extend(f"{name}: {value}" for name, value in self.headers.items())
        if any("\r" in line or "\n" in line for line in lines):
            raise PloinkyError("GATEWAY_PROTOCOL", "A header may not hold a line break.")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


@dataclass(frozen=True)
class ServerEvent:
    """One event of a stream; ``id`` is empty if it had none."""

    data: bytes
    id: str


class HttpResponse:
    """An answer whose head has come; the body is read by one of the three readers."""

    def __init__(self, stream: anyio.abc.ByteReceiveStream) -> None:
        self.headers: dict[str, str] = {}
        self._stream = stream
        self._parser = httptools.HttpResponseParser(self)
        self._parts: deque[bytes] = deque()
        self._head_done = False
        self._done = False

    @property
    def status(self) -> int:
        return self._parser.get_status_code()

    @property
    def is_stream(self) -> bool:
        return self.headers.get("content-type", "").startswith("text/event-stream")

    async def chunks(self) -> AsyncIterator[bytes]:
        """Parts of the body as they arrive.

        Raises:
            PloinkyError: ``GATEWAY_LOST`` if the connection ends before the body does.
        """
        while True:
            while self._parts:
                yield self._parts.popleft()
            if self._done:
                return
            await self._more()

    async def read(self) -> bytes:
        """The whole body."""
        parts: list[bytes] = []
        size = 0
        async for part in self.chunks():
            size += len(part)
            if size > MAX_BODY:
                raise PloinkyError("GATEWAY_PROTOCOL", f"The answer has more than {MAX_BODY} bytes.")
            parts.append(part)
        return b"".join(parts)

    async def events(self) -> AsyncIterator[ServerEvent]:
        """Events with data, until the stream ends."""
        open_line = b""
        data: list[bytes] = []
        event_id = ""
        async for chunk in self.chunks():
            *lines, open_line = (open_line + chunk).split(b"\n")
            if len(open_line) > MAX_BODY:
                raise PloinkyError("GATEWAY_PROTOCOL", f"An event has more than {MAX_BODY} bytes.")
            for raw in lines:
                line = raw.removesuffix(b"\r")
                name, _, value = line.partition(b":")
                if not line:
                    if any(data):  # one without only names the stream's first id
                        yield ServerEvent(b"\n".join(data), event_id)
                    data, event_id = [], ""
                elif name == b"data":
                    data.append(value.removeprefix(b" "))
                elif name == b"id":
                    event_id = value.removeprefix(b" ").decode("latin-1")

    async def read_head(self) -> None:
        while not self._head_done:
            await self._more()

    async def _more(self) -> None:
        try:
            with anyio.fail_after(SILENCE_S):
                self._parser.feed_data(await self._stream.receive(_CHUNK))
        except TimeoutError as error:
            raise DeadlineError("a sign of life from the gateway", SILENCE_S) from error
        except httptools.HttpParserError as error:
            raise PloinkyError("GATEWAY_PROTOCOL", "The gateway's answer is not HTTP.") from error
        except (anyio.EndOfStream, anyio.BrokenResourceError, OSError) as error:
            raise PloinkyError("GATEWAY_LOST", "The gateway ended the connection.") from error

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._head_done = True

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)

    def on_message_complete(self) -> None:
        self._done = True


@contextlib.asynccontextmanager
async def open_response(
    address: HttpAddress, request: HttpRequest, *, head_timeout_s: float
) -> AsyncIterator[HttpResponse]:
    """Send a request and wait for the head of its answer; leaving the context ends the connection.

    Raises:
        PloinkyError: ``GATEWAY_UNREACHABLE``, ``GATEWAY_LOST``, ``GATEWAY_PROTOCOL``.
        DeadlineError: no head within ``head_timeout_s``.
    """
    async with await _connect(address, CONNECT_TIMEOUT_S) as stream:
        response = HttpResponse(stream)
        try:
            with anyio.fail_after(head_timeout_s):
                await _send(stream, request.head(address) + request.body)
                await response.read_head()
        except TimeoutError as error:
            raise DeadlineError("the gateway's answer", head_timeout_s) from error
        yield response


async def _connect(address: HttpAddress, timeout_s: float) -> anyio.abc.SocketStream:
    try:
        with anyio.fail_after(timeout_s):
            return await anyio.connect_tcp(address.host, address.port)
    except (OSError, TimeoutError) as error:
        raise PloinkyError(
            "GATEWAY_UNREACHABLE",
            f"Nothing answers at {address.authority}.",
            hint="Start the gateway: ploinky start",
        ) from error


async def _send(stream: anyio.abc.SocketStream, data: bytes) -> None:
    try:
        await stream.send(data)
    except (anyio.BrokenResourceError, OSError):
        # A server that refuses a body answers before it has read it; that answer tells more.
        return
