"""Small pieces of HTTP over raw ASGI: bodies read within bounds, answers written, event streams."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from typing import Any

import anyio

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
HeaderPair = tuple[bytes, bytes]

PING = b": ping\n\n"
PING_EVERY_S = 15.0
_CLOSE = (b"connection", b"close")
_EVENT_STREAM: list[HeaderPair] = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
]


class HttpError(Exception):
    """A request that HTTP itself refuses: ``status`` and a line of text."""

    def __init__(self, status: int, message: str, headers: Iterable[HeaderPair] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = tuple(headers)


async def read_body(scope: Scope, receive: Receive, *, limit: int, timeout_s: float) -> bytes:
    """The whole body.

    Raises:
        HttpError: 413 if it is longer than ``limit``, 408 if it takes longer than ``timeout_s``, 400 if the
            client goes away.
    """
    _require_fitting(scope, limit)
    parts: list[bytes] = []
    size, more = 0, True
    with anyio.move_on_after(timeout_s) as waited:
        while more:
            message = await receive()
            part, more = _part(message)
            size += len(part)
            if size > limit:
                raise _too_long(limit)
            parts.append(part)
    if waited.cancelled_caught:
        raise _too_slow()
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def body_parts(
    scope: Scope, receive: Receive, *, limit: int, timeout_s: float, idle_s: float | None = None
) -> AsyncIterator[bytes]:
    """The body piece by piece; ``timeout_s`` bounds the whole, ``idle_s`` the wait for one piece.

    Raises:
        HttpError: as ``read_body``.
    """
    _require_fitting(scope, limit)
    size = 0
    ends = anyio.current_time() + timeout_s
    while True:
        left_s = ends - anyio.current_time()
        message: Message | None = None
        with anyio.move_on_after(left_s if idle_s is None else min(left_s, idle_s)):
            message = await receive()
        if message is None:
            raise _too_slow()
        part, more = _part(message)
        size += len(part)
        if size > limit:
            raise _too_long(limit)
        if part:
            yield part
        if not more:
            return


def _require_fitting(scope: Scope, limit: int) -> None:
    for name, value in scope["headers"]:
        if name == b"content-length" and (not value.isdigit() or len(value) > 18 or int(value) > limit):
            raise _too_long(limit)


def _part(message: Message) -> tuple[bytes, bool]:
    """A piece of a body, and whether more come."""
    if message["type"] == "http.disconnect":
        raise HttpError(400, "The client went away.")
    return message.get("body", b""), message.get("more_body", False)


def _too_long(limit: int) -> HttpError:
    return HttpError(413, f"A body may have {limit} bytes.", [_CLOSE])


def _too_slow() -> HttpError:
    return HttpError(408, "The body took too long.", [_CLOSE])


async def wait_for_disconnect(receive: Receive) -> None:
    """Return when the client has gone; what it may still send is dropped."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def send_json(send: Send, status: int, body: bytes, headers: Iterable[HeaderPair] = ()) -> None:
    await send_whole(send, status, "application/json", body, headers)


async def send_text(send: Send, status: int, text: str, headers: Iterable[HeaderPair] = ()) -> None:
    await send_whole(send, status, "text/plain; charset=utf-8", text.encode(), headers)


async def send_empty(send: Send, status: int, headers: Iterable[HeaderPair] = ()) -> None:
    pairs = [(b"content-length", b"0"), *headers] if status != 204 else list(headers)
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": b""})


async def send_whole(
    send: Send, status: int, kind: str, body: bytes, headers: Iterable[HeaderPair] = ()
) -> None:
    """One whole answer of the media type ``kind``."""
    pairs = [
        (b"content-type", kind.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"x-content-type-options", b"nosniff"),
        *headers,
    ]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


async def start_event_stream(send: Send, headers: Iterable[HeaderPair] = ()) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [*_EVENT_STREAM, *headers]})


async def send_chunk(send: Send, data: bytes) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": True})


async def end_event_stream(send: Send, data: bytes = b"") -> None:
    await send({"type": "http.response.body", "body": data, "more_body": False})


def event(data: bytes, event_id: str | None = None) -> bytes:
    """One event; ``data`` is a single line."""
    head = f"id: {event_id}\n".encode() if event_id is not None else b""
    return head + b"event: message\ndata: " + data + b"\n\n"
