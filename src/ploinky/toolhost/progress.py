"""What a program says on stderr while it runs: progress lines, and the rest kept for an error message."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from ploinky.base.jsontypes import JsonValue

_LONGEST_LINE = 16 * 1024
_LONGEST_MESSAGE = 2000


@dataclass(frozen=True)
class Progress:
    """One step forward; ``total`` is None while unknown."""

    progress: float
    total: float | None = None
    message: str | None = None


class StderrReader:
    """Splits a program's stderr into progress and other text; remembers the last ``tail_bytes`` of that.

    Progress must grow, so a line that does not exceed the one before is dropped.
    """

    def __init__(self, *, tail_bytes: int = 16 * 1024) -> None:
        self._tail_bytes = tail_bytes
        self._tail = bytearray()
        self._open_line = bytearray()
        self._last = float("-inf")

    @property
    def text(self) -> str:
        """What was said besides progress, at most the tail."""
        return (self._tail + self._open_line).decode("utf-8", "replace").strip()

    def feed(self, data: bytes) -> list[Progress]:
        """Take the next bytes; the progress lines that they complete."""
        found: list[Progress] = []
        *lines, rest = bytes(self._open_line + data).split(b"\n")
        for line in lines:
            progress = _progress(line)
            if progress is None:
                self._keep(line + b"\n")
            elif progress.progress > self._last:
                self._last = progress.progress
                found.append(progress)
        self._open_line = bytearray(rest)
        if len(rest) > _LONGEST_LINE:
            self._keep(rest)
            self._open_line.clear()
        return found

    def _keep(self, data: bytes) -> None:
        self._tail += data
        if len(self._tail) > self._tail_bytes:
            del self._tail[: len(self._tail) - self._tail_bytes]


def _progress(line: bytes) -> Progress | None:
    if not line.lstrip().startswith(b"{") or b'"progress"' not in line:
        return None
    try:
        value: JsonValue = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(value, dict):
        return None
    number = _number(value.get("progress"))
    if number is None:
        return None
    message = value.get("message")
    return Progress(
        number, _number(value.get("total")), message[:_LONGEST_MESSAGE] if isinstance(message, str) else None
    )


def _number(value: JsonValue) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
