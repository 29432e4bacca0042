"""MCP over streamable HTTP, both eras: one POST per message, answers as JSON or as a stream of events.

Connections are opened by a ``Door`` and kept for a moment between requests. A stream that ends before the
response came is taken up again where it stopped, if the server numbered its events.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import anyio
import orjson

from ploinky.base.errors import DeadlineError, PloinkyError
from ploinky.base.jsontypes import JsonObject, JsonValue, find_object
from ploinky.mcp.messages import RequestId
from ploinky.mcp.traces import trace_in
from ploinky.router.http_client import HttpRequest
from ploinky.router.servers.source import SessionGoneError, lost, violated
from ploinky.router.servers.wire import Take, WireState
from ploinky.router.sse import ServerEvent

HEAD_TIMEOUT_S = 3600.0  # the caller has a shorter deadline of its own
_CLOSE_S = 2.0
_MOST_RESUMES = 20
_RETRY_MS = 500
_ACCEPT = "application/json, text/event-stream"


class Response(Protocol):
    """An answer whose head has come."""

    headers: dict[str, str]

    @property
    def status(self) -> int: ...

    @property
    def is_stream(self) -> bool: ...

    async def read(self) -> bytes:
        """The whole body."""
        ...

    def all_events(self) -> AsyncIterator[ServerEvent]:
        """The body as events."""
        ...


class Door(Protocol):
    """Opens HTTP requests to one server."""

    path: str

    def open(self, request: HttpRequest, caller: str) -> AbstractAsyncContextManager[Response]:
        """Send a request and wait for the head of its answer.

        Raises:
            PloinkyError: ``SERVER_UNREACHABLE``, ``SERVER_LOST``, ``SERVER_LOGIN``, ``CHANNEL_*``.
        """
        ...

    async def aclose(self) -> None: ...


class HttpWire:
    """See ``Wire``."""

    hears_at_once = False

    def __init__(self, door: Door, state: WireState) -> None:
        self._door = door
        self._state = state

    async def request(self, message: JsonObject, headers: Mapping[str, str], take: Take) -> JsonObject:
        request_id = message["id"]
        assert isinstance(request_id, (str, int))
        trace = trace_in(find_object(message, "params") or {})
        given_on = self._headers(headers if trace is None else {**headers, **trace.words})
        post = HttpRequest("POST", self._door.path, given_on, orjson.dumps(message))
        async with self._open(post) as response:
            self._check(response, message)
            given = response.headers.get("mcp-session-id")
            if given is not None and message["method"] == "initialize":
                self._state.session = given
            if not response.is_stream:
                return _response(await response.read(), response.status)
            reading = _Reading(request_id, take)
            answer = await reading.read(response)
        return answer if answer is not None else await self._resume(reading)

    async def send(self, message: JsonObject) -> None:
        post = HttpRequest("POST", self._door.path, self._headers({}), orjson.dumps(message))
        async with self._open(post) as response:
            await response.read()

    async def listen(self, take: Take, listening: anyio.Event) -> None:
        reading = _Reading(None, take)
        for _ in range(_MOST_RESUMES):
            if not await self._get(reading, listening):
                return
            await anyio.sleep(reading.retry_s)

    async def aclose(self) -> None:
        """End the session; the door stays open for others."""
        session, self._state.session = self._state.session, None
        if session is None:
            return
        headers = {**self._headers({}), "mcp-session-id": session}
        with anyio.move_on_after(_CLOSE_S, shield=True), contextlib.suppress(PloinkyError, DeadlineError):
            async with self._open(HttpRequest("DELETE", self._door.path, headers)) as response:
                await response.read()

    async def _resume(self, reading: _Reading) -> JsonObject:
        for _ in range(_MOST_RESUMES):
            if not reading.last_id:
                break
            await anyio.sleep(reading.retry_s)
            if not await self._get(reading):
                break
            if reading.answer is not None:
                return reading.answer
        raise lost("its stream ended before the answer")

    async def _get(self, reading: _Reading, listening: anyio.Event | None = None) -> bool:
        """Read a stream of what the server says; False if there is none. ``listening``: set when it began."""
        resumed = {"last-event-id": reading.last_id} if reading.last_id else {}
        headers = {**self._headers(resumed), "accept": "text/event-stream"}
        try:
            async with self._open(HttpRequest("GET", self._door.path, headers)) as response:
                if response.status != 200 or not response.is_stream:
                    await response.read()
                    return False
                if listening is not None:
                    listening.set()
                await reading.read(response)
                return True
        except PloinkyError as error:
            if error.code not in ("SERVER_LOST", "GATEWAY_LOST"):
                raise
            return True

    def _open(self, request: HttpRequest) -> AbstractAsyncContextManager[Response]:
        return self._door.open(request, self._state.caller)

    def _headers(self, more: Mapping[str, str]) -> dict[str, str]:
        headers = {"content-type": "application/json", "accept": _ACCEPT, **more}
        if self._state.session is not None:
            headers["mcp-session-id"] = self._state.session
        if self._state.version is not None:
            headers["mcp-protocol-version"] = self._state.version
        return headers

    def _check(self, response: Response, message: JsonObject) -> None:
        if response.status == 404 and self._state.session is not None and message["method"] != "initialize":
            raise SessionGoneError


class _Reading:
    """The messages of a stream, over as many connections as it takes."""

    def __init__(self, request_id: RequestId | None, take: Take) -> None:
        self.last_id = ""
        self.retry_s = _RETRY_MS / 1000
        self.answer: JsonObject | None = None
        self._request_id = request_id
        self._take = take

    async def read(self, response: Response) -> JsonObject | None:
        """The response, or None if the stream ended without it."""
        try:
            async for event in response.all_events():
                self.last_id = event.id or self.last_id
                if event.retry_ms is not None:
                    self.retry_s = min(event.retry_ms / 1000, 30.0)
                if event.data and self._is_answer(event.data):
                    return self.answer
        except PloinkyError as error:
            if not self.last_id or error.code not in ("SERVER_LOST", "GATEWAY_LOST"):
                raise
        return None

    def _is_answer(self, data: bytes) -> bool:
        message = _parsed(data)
        if not isinstance(message, dict):
            raise violated("an event that is no message")
        if "method" in message:
            self._take(message)
            return False
        if self._request_id is None or message.get("id") != self._request_id:
            return False
        self.answer = message
        return True


def _response(body: bytes, status: int) -> JsonObject:
    message = _parsed(body)
    if isinstance(message, dict) and ("result" in message or find_object(message, "error") is not None):
        return message
    raise violated(f"HTTP {status} and no message")


def _parsed(body: bytes) -> JsonValue:
    try:
        value: JsonValue = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return value
