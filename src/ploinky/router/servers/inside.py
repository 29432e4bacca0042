"""HTTP to a port inside a sandbox, through its launcher; connections are kept for a moment and used again."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio
from anyio.abc import ByteStream

from ploinky.base.errors import DeadlineError, PloinkyError
from ploinky.channel.client import Channel
from ploinky.router.http_client import HttpAddress, HttpRequest, HttpResponse
from ploinky.router.servers.http_wire import HEAD_TIMEOUT_S, Response
from ploinky.router.servers.source import UNREACHABLE, PortSource, lost

_KEPT_S = 1.5  # servers close idle connections after some seconds; a request must not meet that
_MOST_KEPT = 64


class PortDoor:
    """See ``Door``."""

    def __init__(self, source: PortSource, channel: Callable[[], Awaitable[Channel]]) -> None:
        self.path = source.path
        self._port = source.port
        self._channel = channel
        self._address = HttpAddress("127.0.0.1", source.port)
        self._kept: list[tuple[float, ByteStream]] = []

    @contextlib.asynccontextmanager
    async def open(self, request: HttpRequest, caller: str) -> AsyncIterator[Response]:
        """See ``Door.open``."""
        stream = await self._stream()
        response = HttpResponse(stream, HEAD_TIMEOUT_S)
        try:
            try:
                await stream.send(request.head(self._address, keep=True) + request.body)
                await response.read_head()
            except (anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
                raise lost("it closed the connection") from error
            yield response
        except PloinkyError as error:
            if error.code == "GATEWAY_LOST":
                raise lost("the answer broke off") from error
            raise
        finally:
            if response.reusable and len(self._kept) < _MOST_KEPT:
                self._kept.append((anyio.current_time(), stream))
            else:
                with anyio.CancelScope(shield=True):
                    await stream.aclose()

    async def aclose(self) -> None:
        kept, self._kept = self._kept, []
        for _, stream in kept:
            await stream.aclose()

    async def _stream(self) -> ByteStream:
        now = anyio.current_time()
        while self._kept:
            since, stream = self._kept.pop()
            if now - since < _KEPT_S:
                return stream
            await stream.aclose()
        channel = await self._channel()
        try:
            return await channel.connect_port(self._port)
        except DeadlineError:
            raise
        except PloinkyError as error:
            if error.code != "PORT_UNREACHABLE":
                raise
            raise PloinkyError(
                UNREACHABLE, f"Nothing listens on port {self._port} in the sandbox."
            ) from error
