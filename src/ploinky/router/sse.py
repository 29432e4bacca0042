"""Server-sent events read from chunks of bytes; does no I/O."""

from __future__ import annotations

from dataclasses import dataclass

_PER_LINE = 50  # what an empty line of data costs to keep


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event of a stream; ``id`` is empty if it had none, ``data`` if it only tells its id."""

    data: bytes
    id: str = ""
    retry_ms: int | None = None


class EventReader:
    """Give it what comes; it gives back the events that are complete."""

    def __init__(self) -> None:
        self._open = bytearray()
        self._after_return = False
        self._data: list[bytes] = []
        self._held = 0
        self._id = ""
        self._retry: int | None = None

    @property
    def waiting(self) -> int:
        """Bytes of an event that has not ended yet."""
        return len(self._open) + self._held

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """Lines end with a line feed, a carriage return, or both."""
        if self._after_return and chunk:
            self._after_return = False
            chunk = chunk.removeprefix(b"\n")
        if b"\r" in chunk:
            self._after_return = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        self._open += chunk
        if b"\n" not in chunk:
            return []
        *lines, rest = bytes(self._open).split(b"\n")
        self._open = bytearray(rest)
        return [event for line in lines if (event := self._line(line)) is not None]

    def _line(self, line: bytes) -> ServerEvent | None:
        if line:
            self._field(*line.partition(b":")[::2])
            return None
        event = ServerEvent(b"\n".join(self._data), self._id, self._retry)
        self._data, self._id, self._retry, self._held = [], "", None, 0
        return event if event.data or event.id or event.retry_ms is not None else None

    def _field(self, name: bytes, value: bytes) -> None:
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._held += len(value) + _PER_LINE
        elif name == b"id":
            self._id = value.decode("latin-1")
        elif name == b"retry" and value.isdigit() and len(value) < 10:
            self._retry = int(value)
