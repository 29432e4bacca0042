"""What a program says on stderr while it runs: lines of JSON that mean something, and the rest.

A line that is an object with one of these keys is taken out of the text: ``progress``, ``log``, ``ask``,
``updated``. To add one: a dataclass, and a row in ``_KINDS``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import orjson

from ploinky.base.jsontypes import JsonObject, JsonValue, find_object, find_text

LONGEST_LINE = 256 * 1024
LOG_LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
METHODS: Mapping[str, str] = {
    "elicitation/create": "elicitation",
    "sampling/createMessage": "sampling",
    "roots/list": "roots",
}
_LONGEST_MESSAGE = 2000
_MOST_QUESTIONS = 16


@dataclass(frozen=True)
class Progress:
    """One step forward; ``total`` is None while unknown."""

    progress: float
    total: float | None = None
    message: str | None = None


@dataclass(frozen=True)
class LogMessage:
    """Something for the client's log; ``level`` is one of ``LOG_LEVELS``."""

    level: str
    data: JsonValue
    logger: str | None = None


@dataclass(frozen=True)
class Question:
    """A request to the client: one of ``METHODS``."""

    method: str
    params: JsonObject

    @property
    def capability(self) -> str:
        """What a client must be capable of to answer it."""
        return METHODS[self.method]


@dataclass(frozen=True)
class Questions:
    """Questions by the keys under which the program wants its answers; all are asked at once."""

    by_key: Mapping[str, Question]


@dataclass(frozen=True)
class Updated:
    """A resource of the agent has changed."""

    uri: str


@dataclass(frozen=True)
class Printed:
    """Text that means nothing special."""

    data: bytes


Said = Progress | LogMessage | Questions | Updated | Printed


class StderrReader:
    """Splits a program's stderr into what it says and other text, whose last ``tail_bytes`` are kept.

    Progress must grow, so a line that does not exceed the one before is dropped.
    """

    def __init__(self, *, tail_bytes: int = 16 * 1024) -> None:
        self._tail_bytes = tail_bytes
        self._tail = bytearray()
        self._open_line = bytearray()
        self._last = float("-inf")

    @property
    def text(self) -> str:
        """What was written besides, at most the tail."""
        if not self._tail and not self._open_line:
            return ""
        return (self._tail + self._open_line).decode("utf-8", "replace").strip()

    def feed(self, data: bytes) -> list[Said]:
        """Take the next bytes; what the lines say that they complete, in order."""
        found: list[Said] = []
        *lines, rest = bytes(self._open_line + data).split(b"\n")
        for line in lines:
            said = _said(line)
            if said is None:
                found.append(self._keep(line + b"\n"))
            elif not isinstance(said, Progress):
                found.append(said)
            elif said.progress > self._last:
                self._last = said.progress
                found.append(said)
        self._open_line = bytearray(rest)
        if len(rest) > LONGEST_LINE or (len(rest) > _LONGEST_MESSAGE and not rest.lstrip().startswith(b"{")):
            found.append(self._keep(rest))
            self._open_line.clear()
        return found

    def _keep(self, data: bytes) -> Printed:
        self._tail += data
        if len(self._tail) > self._tail_bytes:
            del self._tail[: len(self._tail) - self._tail_bytes]
        return Printed(data)


def _said(line: bytes) -> Said | None:
    if not line.lstrip().startswith(b"{"):
        return None
    try:
        value: JsonValue = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(value, dict):
        return None
    for key, read in _KINDS.items():
        if key in value:
            return read(value)
    return None


def _progress(value: JsonObject) -> Progress | None:
    number = _number(value.get("progress"))
    if number is None:
        return None
    message = find_text(value, "message")
    return Progress(number, _number(value.get("total")), message[:_LONGEST_MESSAGE] if message else message)


def _log(value: JsonObject) -> LogMessage | None:
    level = value.get("level", "info")
    return LogMessage(str(level), value["log"], find_text(value, "logger")) if level in LOG_LEVELS else None


def _questions(value: JsonObject) -> Questions | None:
    asked = find_object(value, "ask")
    if not asked or len(asked) > _MOST_QUESTIONS:
        return None
    questions: dict[str, Question] = {}
    for key in asked:
        one = find_object(asked, key)
        method = find_text(one, "method")
        if method is None or method not in METHODS:
            return None
        questions[key] = Question(method, find_object(one, "params") or {})
    return Questions(questions)


def _updated(value: JsonObject) -> Updated | None:
    uri = find_text(value, "updated")
    return Updated(uri) if uri else None


def _number(value: JsonValue) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


_KINDS: Mapping[str, Callable[[JsonObject], Said | None]] = {
    "progress": _progress,
    "ask": _questions,
    "log": _log,
    "updated": _updated,
}
