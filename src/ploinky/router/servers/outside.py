"""HTTP to a server outside, by a general client: TLS, and proxies by the environment."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import httpx2

from ploinky.base.errors import PloinkyError
from ploinky.router.http_client import MAX_BODY, HttpRequest
from ploinky.router.servers.http_wire import Response
from ploinky.router.servers.source import UNREACHABLE, UrlSource, lost, violated
from ploinky.router.sse import EventReader, ServerEvent

CONNECT_TIMEOUT_S = 10.0


class UrlDoor:
    """See ``Door``."""

    def __init__(self, source: UrlSource) -> None:
        self.path = source.url
        self._source = source
        self._client = httpx2.AsyncClient(
            timeout=httpx2.Timeout(None, connect=CONNECT_TIMEOUT_S), follow_redirects=False
        )

    @contextlib.asynccontextmanager
    async def open(self, request: HttpRequest, caller: str) -> AsyncIterator[Response]:
        """See ``Door.open``."""
        headers = {**request.headers, **await self._source.headers(caller)}
        built = self._client.build_request(
            request.method, self._source.url, headers=headers, content=request.body or None
        )
        try:
            response = await self._client.send(built, stream=True, auth=await self._source.auth(caller))
        except httpx2.ConnectError as error:
            host = urlsplit(self._source.url).hostname
            raise PloinkyError(UNREACHABLE, f"{host} cannot be reached.") from error
        except httpx2.HTTPError as error:
            raise lost(type(error).__name__) from error
        try:
            if response.status_code in (401, 403):
                raise PloinkyError(
                    "SERVER_LOGIN",
                    f"{urlsplit(self._source.url).hostname} wants to know who asks.",
                    hint="Sign in: ploinky mcp login NAME",
                )
            yield _Answer(response)
        finally:
            await response.aclose()

    async def aclose(self) -> None:
        await self._client.aclose()


class _Answer:
    """See ``Response``."""

    def __init__(self, response: httpx2.Response) -> None:
        self._response = response
        self.headers = dict(response.headers)

    @property
    def status(self) -> int:
        return self._response.status_code

    @property
    def is_stream(self) -> bool:
        return self.headers.get("content-type", "").startswith("text/event-stream")

    async def read(self) -> bytes:
        parts = []
        size = 0
        async for chunk in self._chunks():
            size += len(chunk)
            if size > MAX_BODY:
                raise violated(f"more than {MAX_BODY} bytes")
            parts.append(chunk)
        return b"".join(parts)

    async def all_events(self) -> AsyncIterator[ServerEvent]:
        reader = EventReader()
        async for chunk in self._chunks():
            for event in reader.feed(chunk):
                yield event
            if reader.waiting > MAX_BODY:
                raise violated(f"an event of more than {MAX_BODY} bytes")

    async def _chunks(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.aiter_bytes():
                yield chunk
        except httpx2.HTTPError as error:
            raise lost(type(error).__name__) from error
