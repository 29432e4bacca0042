"""What ``cursor-agent`` says, line by line, as events. Fails closed: what is not known is an error.

Two dialects, told apart by the events themselves: that of its ``stream-json`` output (``system``,
``assistant``, ``tool_call``, ``result``), and that of adapters which take a whole turn as JSON
(``assistant_delta``, ``tool_call`` with ``data``, ``usage``, ``done``). Whole messages that repeat what came
in pieces are compared with it, never appended to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ploinky.base.jsontypes import JsonObject, JsonValue, find_object, find_text
from ploinky.providers.errors import ProviderCode, ProviderError, quoted
from ploinky.providers.http import read_object
from ploinky.providers.protocol import (
    ProviderTool,
    StopReason,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ThinkingDone,
    ToolCallDone,
    TurnEvent,
    Usage,
)
from ploinky.providers.toolnames import WireNames
from ploinky.providers.wire import integer, read_call

WHO = "cursor-agent"
VERSIONS = frozenset({"1.0"})


class CursorEvents:
    """Reads one answer. ``offered`` are the tools that the program may ask us to call."""

    def __init__(self, offered: WireNames, model: str) -> None:
        self._offered = offered
        self._segment: list[str] = []
        self._said: list[str] = []
        self._thought: list[str] = []
        self._called = False
        self.model = model
        self.over = False

    @property
    def reason(self) -> StopReason:
        return StopReason.TOOL_CALLS if self._called else StopReason.END

    def read(self, line: bytes) -> Iterator[TurnEvent]:
        """The events of a line.

        Raises:
            ProviderError: ``PROVIDER_MALFORMED`` for what is no event or not a known one,
                ``PROVIDER_PROGRAM_FAILED`` where the program says that it failed.
        """
        told = read_object(line, WHO)
        kind = find_text(told, "type")
        reader = _READERS.get(kind or "")
        if reader is None:
            raise _malformed("sent an event of an unknown type")
        yield from reader(self, told)

    def _protocol(self, told: JsonObject) -> Iterator[TurnEvent]:
        version = find_text(find_object(told, "data") or {}, "version")
        if version not in VERSIONS:
            raise _malformed("speaks a version of its protocol that is not known")
        yield from ()

    def _system(self, told: JsonObject) -> Iterator[TurnEvent]:
        self.model = find_text(told, "model") or self.model
        yield from ()

    def _nothing(self, told: JsonObject) -> Iterator[TurnEvent]:
        yield from ()

    def _thinking(self, told: JsonObject) -> Iterator[TurnEvent]:
        text = find_text(told, "text")
        if text:
            self._thought.append(text)
            yield ThinkingDelta(text)
        if find_text(told, "subtype") == "completed" and self._thought:
            yield ThinkingDone(Thinking("".join(self._thought)))
            self._thought = []

    def _assistant(self, told: JsonObject) -> Iterator[TurnEvent]:
        content = (find_object(told, "message") or {}).get("content")
        if not isinstance(content, list):
            raise _malformed("sent a message without content")
        text = "".join(find_text(part, "text") or "" for part in content)
        if "timestamp_ms" in told and "model_call_id" not in told:
            yield from self._piece(text)
        else:
            yield from self._whole(text)

    def _delta(self, told: JsonObject) -> Iterator[TurnEvent]:
        data = find_object(told, "data") or {}
        text = find_text(data, "content")
        if text is None:
            raise _malformed("sent a piece without content")
        yield from self._whole(text) if data.get("isFullMessage") is True else self._piece(text)

    def _piece(self, text: str) -> Iterator[TurnEvent]:
        if text:
            self._segment.append(text)
            self._said.append(text)
            yield TextDelta(text)

    def _whole(self, text: str) -> Iterator[TurnEvent]:
        """A message that may repeat what came in pieces: what was not yet said of it is said now."""
        segment = "".join(self._segment)
        if text == "".join(self._said):
            rest = ""
        elif text.startswith(segment):
            rest = text[len(segment) :]
        else:
            raise _malformed("sent a message that differs from its pieces")
        yield from self._piece(rest)
        self._segment = []

    def _tool_call(self, told: JsonObject) -> Iterator[TurnEvent]:
        data = find_object(told, "data")
        if data is None:
            yield from self._own_tool(told)
            return
        name = find_text(data, "name") or ""
        if not self._offered.offers(name):
            raise _malformed("called a tool that is not on offer")
        arguments = data.get("args", {})
        if not isinstance(arguments, dict):
            raise _malformed("called a tool with arguments that are no object")
        self._called = True
        self._segment = []
        call = read_call(find_text(data, "id") or "", name, "", self._offered)
        yield ToolCallDone(type(call)(call.id, call.name, arguments))

    def _own_tool(self, told: JsonObject) -> Iterator[TurnEvent]:
        call = find_object(told, "tool_call")
        subtype = find_text(told, "subtype")
        if call is None or subtype not in ("started", "completed"):
            raise _malformed("sent a tool call that is none")
        title = next(iter(call), "tool").removesuffix("ToolCall")
        result = find_object(find_object(call, next(iter(call), "")), "result") or {}
        failed = subtype == "completed" and ("error" in result or "failure" in result)
        self._segment = []
        yield ProviderTool(find_text(told, "call_id") or "", title, "failed" if failed else subtype)

    def _usage(self, told: JsonObject) -> Iterator[TurnEvent]:
        yield from _usage_of(find_object(told, "data"))

    def _error(self, told: JsonObject) -> Iterator[TurnEvent]:
        words = quoted(find_text(find_object(told, "data") or told, "message") or "")
        raise ProviderError(ProviderCode.PROGRAM_FAILED, f"{WHO} failed{': ' + words if words else '.'}")

    def _done(self, told: JsonObject) -> Iterator[TurnEvent]:
        self.over = True
        yield from ()

    def _result(self, told: JsonObject) -> Iterator[TurnEvent]:
        text = find_text(told, "result") or ""
        if told.get("is_error") is True or find_text(told, "subtype") not in (None, "success"):
            words = quoted(text)
            raise ProviderError(ProviderCode.PROGRAM_FAILED, f"{WHO} failed{': ' + words if words else '.'}")
        if not self._said:
            yield from self._piece(text)
        yield from _usage_of(find_object(told, "usage"))
        self.over = True


def _usage_of(told: JsonObject | None) -> Iterator[TurnEvent]:
    if told is not None:
        cached = _first(told, "cacheReadTokens", "cache_read_input_tokens")
        given = _first(told, "inputTokens", "input_tokens", "promptTokens", "prompt_tokens")
        taken = _first(told, "outputTokens", "output_tokens", "completionTokens", "completion_tokens")
        yield Usage(given, taken, cached)


def _first(told: JsonValue, *names: str) -> int:
    return next((found for name in names if (found := integer(told, name))), 0)


def _malformed(what: str) -> ProviderError:
    return ProviderError(
        ProviderCode.MALFORMED,
        f"{WHO} {what}; the turn was stopped.",
        hint="Update ploinky or cursor-agent so that both know the same events.",
    )


_READERS: dict[str, Callable[[CursorEvents, JsonObject], Iterator[TurnEvent]]] = {
    "protocol": CursorEvents._protocol,
    "system": CursorEvents._system,
    "user": CursorEvents._nothing,
    "interaction_query": CursorEvents._nothing,
    "thinking": CursorEvents._thinking,
    "assistant": CursorEvents._assistant,
    "assistant_delta": CursorEvents._delta,
    "tool_call": CursorEvents._tool_call,
    "usage": CursorEvents._usage,
    "error": CursorEvents._error,
    "done": CursorEvents._done,
    "result": CursorEvents._result,
}
