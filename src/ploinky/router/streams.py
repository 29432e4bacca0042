"""Answers that may become event streams, and streams that stay open.

``CallReply`` answers one request: plain JSON, unless there was something to say before the end. ``Feed`` is
a standing stream of notifications with a short memory; a ``StreamLog`` is the memory of one call's stream, so
that a client that lost its connection can have the rest. Nothing here waits for a slow reader where a program
or another client would wait with it: what does not fit is dropped, oldest first.
"""

from __future__ import annotations

import base64
from collections import deque

import anyio
import orjson

from ploinky.base.jsontypes import JsonValue
from ploinky.mcp.messages import RequestId
from ploinky.router.http import (
    PING,
    PING_EVERY_S,
    HeaderPair,
    Receive,
    Send,
    end_event_stream,
    event,
    send_chunk,
    send_json,
    start_event_stream,
    wait_for_disconnect,
)

_MOST_WAITING = 64
_MOST_LOGGED = 256
_MOST_BYTES = 4 * 1024 * 1024
_LONGEST_ID = 200
RETRY = b"retry: 5000\n"  # the official client tries once: the next gateway should be there by then


def stream_id(life: int, count: int, request_id: RequestId) -> str:
    """The name of a call's stream; it tells whose answer a client waits for that comes back too late."""
    told = base64.urlsafe_b64encode(orjson.dumps(request_id)).decode().rstrip("=")
    return f"s{life}-{count}" + (f"-{told}" if len(told) <= _LONGEST_ID else "")


def request_of(name: str) -> RequestId | None:
    """The request of a stream of that name; None if it is none, or does not tell."""
    kind, _, rest = name.partition("-")
    told = rest.partition("-")[2]
    if not kind.startswith("s") or not told:
        return None
    try:
        value: JsonValue = orjson.loads(base64.urlsafe_b64decode(told + "=" * (-len(told) % 4)))
    except ValueError:
        return None
    return value if isinstance(value, str | int) and not isinstance(value, bool) else None


class Recent:
    """The last events of a stream, numbered from 1: ``most`` of them, some megabytes together, but one."""

    def __init__(self, most: int) -> None:
        self.size = 0
        self.count = 0
        self._most = most
        self._kept: deque[tuple[int, bytes]] = deque()

    def __bool__(self) -> bool:
        return bool(self._kept)

    def add(self, made: bytes) -> None:
        self.count += 1
        self._kept.append((self.count, made))
        self.size += len(made)
        while len(self._kept) > self._most or (self.size > _MOST_BYTES and len(self._kept) > 1):
            self.size -= len(self._kept.popleft()[1])

    def after(self, seen: int) -> list[tuple[int, bytes]]:
        return [(number, made) for number, made in self._kept if number > seen]

    def take(self) -> bytes:
        """All of them, which are kept no longer."""
        whole = b"".join(made for _, made in self._kept)
        self._kept.clear()
        self.size = 0
        return whole


class StreamLog:
    """The events of one call's stream, numbered; the last ones are kept."""

    def __init__(self, log_id: str) -> None:
        self.id = log_id
        self.ended = False
        self._kept = Recent(_MOST_LOGGED)
        self._news = anyio.Event()

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        return self._kept.size

    def prime(self) -> bytes:
        """An event without a message that tells the client the stream's first id."""
        return RETRY + f"id: {self.id}.0\ndata: \n\n".encode()

    def add(self, message: bytes, *, last: bool = False) -> bytes:
        """Number a message and keep it; the event to send."""
        made = event(message, f"{self.id}.{self._kept.count + 1}")
        self._kept.add(made)
        self.ended = self.ended or last
        self._news.set()
        return made

    async def stream(
        self, send: Send, receive: Receive, seen: int, headers: tuple[HeaderPair, ...] = ()
    ) -> None:
        """Write what came after ``seen`` and still comes, until the call has ended or the client goes."""
        async with anyio.create_task_group() as tasks:

            async def watch() -> None:
                await wait_for_disconnect(receive)
                tasks.cancel_scope.cancel()

            tasks.start_soon(watch)
            await start_event_stream(send, headers)
            await send_chunk(send, PING)
            while True:
                self._news = anyio.Event()
                for number, made in self._kept.after(seen):
                    seen = number
                    await send_chunk(send, made)
                if self.ended:
                    break
                with anyio.move_on_after(PING_EVERY_S) as patience:
                    await self._news.wait()
                if patience.cancelled_caught:
                    await send_chunk(send, PING)
            await end_event_stream(send)
            tasks.cancel_scope.cancel()


class CallReply:
    """One response to one POST. ``attend`` runs beside the work; ``finish`` is the last word."""

    def __init__(self, send: Send, *, may_stream: bool, log: StreamLog | None = None) -> None:
        self.may_stream = may_stream
        self._send = send
        self._log = log
        self._waiting = Recent(_MOST_WAITING)
        self._news = anyio.Event()
        self._writing = anyio.Lock()
        self._streaming = False
        self._done = False

    def notify(self, message: bytes) -> None:
        """Send a message as soon as the client takes it; without a stream it is dropped."""
        if self.may_stream and not self._done:
            self._waiting.add(self._event(message))
            self._news.set()

    async def attend(self) -> None:
        """Write messages as they come, and a sign of life when nothing came for a while."""
        while self.may_stream:
            with anyio.move_on_after(PING_EVERY_S):
                await self._news.wait()
            async with self._writing:
                if not self._done:
                    await self._flush(PING)

    async def finish(self, status: int, body: bytes) -> None:
        """Send the answer: the only thing, or the last event of the stream."""
        async with self._writing:
            self._done = True
            if self._waiting:
                await self._flush(b"")
            if self._streaming:
                await end_event_stream(self._send, self._event(body, last=True))
            else:
                await send_json(self._send, status, body)

    def _event(self, message: bytes, *, last: bool = False) -> bytes:
        return event(message) if self._log is None else self._log.add(message, last=last)

    async def _flush(self, otherwise: bytes) -> None:
        self._news = anyio.Event()
        head = b""
        if not self._streaming:
            self._streaming = True
            await start_event_stream(self._send)
            head = b"" if self._log is None else self._log.prime()
        await send_chunk(self._send, head + (self._waiting.take() or otherwise))


class Feed:
    """Notifications for one listener, numbered; the last ones are kept for a listener that comes back.

    ``name`` tells its numbers from those of another feed that the listener may have had before.
    """

    def __init__(self, name: str = "") -> None:
        self.name = name
        self._kept = Recent(_MOST_WAITING)
        self._news = anyio.Event()
        self._closed = False
        self.listening = False

    def publish(self, message: bytes) -> None:
        self._kept.add(message)
        self._news.set()

    def close(self) -> None:
        """End the stream, now and for whoever comes later."""
        self._closed = True
        self._news.set()

    async def stream(
        self,
        send: Send,
        receive: Receive,
        *,
        first: bytes = b"",
        last: bytes = b"",
        seen: int | None = None,
        headers: tuple[HeaderPair, ...] = (),
    ) -> None:
        """Write until the client goes or the feed is closed; ``seen`` is the last number it had.

        Without ``seen`` only what comes from now on is sent.
        """
        self.listening = True
        try:
            async with anyio.create_task_group() as tasks:

                async def watch() -> None:
                    await wait_for_disconnect(receive)
                    tasks.cancel_scope.cancel()

                tasks.start_soon(watch)
                await start_event_stream(send, headers)
                await send_chunk(send, first or PING)
                await self._write(send, self._kept.count if seen is None else seen)
                await end_event_stream(send, last)
                tasks.cancel_scope.cancel()
        finally:
            self.listening = False

    def _id(self, number: int) -> str:
        return f"{self.name}.{number}" if self.name else str(number)

    async def _write(self, send: Send, seen: int) -> None:
        while not self._closed:
            self._news = anyio.Event()
            fresh = self._kept.after(seen)
            if fresh:
                seen = fresh[-1][0]
                events = [event(message, self._id(number)) for number, message in fresh]
                await send_chunk(send, b"".join(events))
                continue
            with anyio.move_on_after(PING_EVERY_S) as patience:
                await self._news.wait()
            if patience.cancelled_caught:
                await send_chunk(send, PING)
