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
from ploinky.router.sse import EventReader, ServerEvent

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

    def head(self, address: HttpAddress, *, keep: bool = False) -> bytes:
        lines = [f"{self.method} {self.path} HTTP/1.1", f"host: {address.authority}"]
        if not keep:
            lines.append("connection: close")
        if self.body or self.method == "POST":
            lines.append(f"content-length: {len(self.body)}")
        lines.extend(f"{name}: {value}" for name, value in self.headers.items())
        if any("\r" in line or "\n" in line for line in lines):
            raise PloinkyError("GATEWAY_PROTOCOL", "A header may not hold a line break.")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class HttpResponse:
    """An answer whose head has come; the body is read by one of the three readers."""

    def __init__(self, stream: anyio.abc.ByteReceiveStream, silence_s: float = SILENCE_S) -> None:
        self.headers: dict[str, str] = {}
        self._stream = stream
        self._silence_s = silence_s
        self._parser = httptools.HttpResponseParser(self)
        self._parts: deque[bytes] = deque()
        self._head_done = False
        self._done = False

    @property
    def status(self) -> int:
        return self._parser.get_status_code()

    @property
    def reusable(self) -> bool:
        """Whether the answer was read whole and the connection may carry another request."""
        return self._done and self._parser.should_keep_alive()

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
        async for each in self.all_events():
            if each.data:
                yield each

    async def all_events(self) -> AsyncIterator[ServerEvent]:
        """Events, those too that only tell an id or how long to wait before coming back."""
        reader = EventReader()
        async for chunk in self.chunks():
            for each in reader.feed(chunk):
                yield each
            if reader.waiting > MAX_BODY:
                raise PloinkyError("GATEWAY_PROTOCOL", f"An event has more than {MAX_BODY} bytes.")

    async def read_head(self) -> None:
        while not self._head_done:
            await self._more()

    async def _more(self) -> None:
        try:
            with anyio.fail_after(self._silence_s):
                self._parser.feed_data(await self._stream.receive(_CHUNK))
        except TimeoutError as error:
            raise DeadlineError("a sign of life from the server", self._silence_s) from error
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
