"""Answers that may become event streams, and streams that stay open.

``CallReply`` answers one request: plain JSON, unless there was something to say before the end. ``Feed`` is
a standing stream of notifications with a short memory. Neither ever waits for a slow reader where a program
or another client would wait with it: what does not fit is dropped, oldest first.
"""

from __future__ import annotations

from collections import deque

import anyio

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


class CallReply:
    """One response to one POST. ``attend`` runs beside the work; ``finish`` is the last word."""

    def __init__(self, send: Send, *, may_stream: bool) -> None:
        self._send = send
        self._may_stream = may_stream
        self._waiting: deque[bytes] = deque(maxlen=_MOST_WAITING)
        self._news = anyio.Event()
        self._writing = anyio.Lock()
        self._streaming = False
        self._done = False

    def notify(self, message: bytes) -> None:
        """Send a notification as soon as the client takes it; without a stream it is dropped."""
        if self._may_stream:
            self._waiting.append(event(message))
            self._news.set()

    async def attend(self) -> None:
        """Write notifications as they come, and a sign of life when nothing came for a while."""
        while self._may_stream:
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
                await end_event_stream(self._send, event(body))
            else:
                await send_json(self._send, status, body)

    async def _flush(self, otherwise: bytes) -> None:
        self._news = anyio.Event()
        if not self._streaming:
            self._streaming = True
            await start_event_stream(self._send)
        data = b"".join(self._waiting) or otherwise
        self._waiting.clear()
        await send_chunk(self._send, data)


class Feed:
    """Notifications for one listener, numbered; the last ones are kept for a listener that comes back."""

    def __init__(self) -> None:
        self._kept: deque[tuple[int, bytes]] = deque(maxlen=_MOST_WAITING)
        self._count = 0
        self._news = anyio.Event()
        self._closed = False
        self.listening = False

    def publish(self, message: bytes) -> None:
        self._count += 1
        self._kept.append((self._count, message))
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
                await self._write(send, self._count if seen is None else seen)
                await end_event_stream(send, last)
                tasks.cancel_scope.cancel()
        finally:
            self.listening = False

    async def _write(self, send: Send, seen: int) -> None:
        while not self._closed:
            self._news = anyio.Event()
            fresh = [(number, message) for number, message in self._kept if number > seen]
            if fresh:
                seen = fresh[-1][0]
                await send_chunk(send, b"".join(event(message, str(number)) for number, message in fresh))
                continue
            with anyio.move_on_after(PING_EVERY_S) as patience:
                await self._news.wait()
            if patience.cancelled_caught:
                await send_chunk(send, PING)
