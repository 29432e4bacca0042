"""One stream of events for many listeners; a slow listener loses the oldest, it holds up nobody."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import anyio

from ploinky.wire.events import Event

KEPT = 1000


@dataclass(eq=False)
class _Listener:
    waiting: deque[Event] = field(default_factory=lambda: deque(maxlen=KEPT))
    arrived: anyio.Event = field(default_factory=anyio.Event)


class Broadcast:
    """``send`` gives an event to everybody who listens now."""

    def __init__(self) -> None:
        self._listeners: set[_Listener] = set()
        self._closed = False

    def send(self, event: Event) -> None:
        for listener in self._listeners:
            listener.waiting.append(event)
            listener.arrived.set()

    def close(self) -> None:
        """End every listener's iterator."""
        self._closed = True
        for listener in self._listeners:
            listener.arrived.set()

    async def listen(self) -> AsyncIterator[Event]:
        """Events from now on, until the broadcast closes."""
        listener = _Listener()
        self._listeners.add(listener)
        try:
            while True:
                while listener.waiting:
                    yield listener.waiting.popleft()
                if self._closed:
                    return
                listener.arrived = anyio.Event()
                await listener.arrived.wait()
        finally:
            self._listeners.discard(listener)
