"""A transport that sends what is written in one round of the event loop by one call of the system.

uvicorn writes the head of an answer and its body apart, which wakes the client twice. Much is sent at once,
so that whoever writes is told in time to wait. Everything but writing is the transport's own, and
what is asked for often is handed on by name, because ``__getattr__`` is slow.
"""

from __future__ import annotations

import asyncio
from typing import Any

MOST_HELD = 64 * 1024


class JoiningTransport:
    """Stands before ``transport``, which is of ``loop``."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        """Send ``data`` in this round."""
        if not self._held:
            self._loop.call_soon(self._flush)
        self._held.append(data)
        self._size += len(data)
        if self._size > MOST_HELD:
            self._flush()

    def write_whole(self, data: bytes) -> None:
        """Send ``data``, after which nothing more is written in this round, at once."""
        if self._held:
            self.write(data)
        else:
            self._transport.write(data)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def close(self) -> None:
        """Close once all is sent."""
        self._flush()
        self._transport.close()

    def get_write_buffer_size(self) -> int:
        """How much is not sent yet."""
        return self._transport.get_write_buffer_size() + self._size

    def _flush(self) -> None:
        held, self._held, self._size = self._held, [], 0
        if held and not self._transport.is_closing():
            self._transport.write(held[0] if len(held) == 1 else b"".join(held))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
