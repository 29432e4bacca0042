"""The wire of ``/chat/completions``: bodies and streamed answers as the many servers of this kind have them.

Servers differ in small ways: calls without an index or an id, arguments as objects, thinking under two names,
usage in a last chunk of its own, an end without ``[DONE]``. All are read; what is none of this is malformed.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence

import orjson

from ploinky.base.jsontypes import JsonObject, JsonValue, find_object, find_text
from ploinky.providers.errors import ProviderCode, ProviderError
from ploinky.providers.faults import fault_in_stream
from ploinky.providers.framing import Pieces, Record, ServerSentEvents
from ploinky.providers.http import read_object
from ploinky.providers.protocol import (
    AssistantMessage,
    Message,
    StopReason,
    SystemMessage,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ThinkingDone,
    ToolCallDone,
    ToolChoice,
    ToolMessage,
    TurnEvent,
    Usage,
    UserMessage,
)
from ploinky.providers.wire import Ending, Request, integer, merged, read_call, written_arguments

REASONS: dict[str, StopReason] = {
    "stop": StopReason.END,
    "length": StopReason.MAX_TOKENS,
    "tool_calls": StopReason.TOOL_CALLS,
    "function_call": StopReason.TOOL_CALLS,
    "content_filter": StopReason.REFUSED,
}


class OpenAiWire:
    """``limit_field`` is what the server calls the bound of an answer; it has changed once."""

    path = "/chat/completions"

    def __init__(self, who: str, limit_field: str = "max_tokens") -> None:
        self._who = who
        self._limit_field = limit_field

    def framing(self) -> ServerSentEvents:
        return ServerSentEvents()

    def decoder(self, request: Request) -> OpenAiDecoder:
        return OpenAiDecoder(self._who, request)

    def body(self, request: Request) -> JsonObject:
        body: JsonObject = {
            "model": request.model,
            "messages": [_message(each, request) for each in request.messages],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if request.tools:
            body["tools"] = function_tools(request)
            if request.tool_choice is ToolChoice.REQUIRED:
                body["tool_choice"] = "required"
        if request.max_output_tokens is not None:
            body[self._limit_field] = request.max_output_tokens
        if request.temperature is not None:
            body["temperature"] = request.temperature
        if request.stop:
            body["stop"] = list(request.stop)
        return merged(body, request.extra)


def function_tools(request: Request) -> list[JsonValue]:
    """The tools on offer, in the form that OpenAI began and Ollama took over."""
    return [
        {
            "type": "function",
            "function": {
                "name": request.names.wire(tool.name),
                "description": tool.description,
                "parameters": tool.input_schema or {"type": "object", "properties": {}},
            },
        }
        for tool in request.tools
    ]


def _message(message: Message, request: Request) -> JsonObject:
    match message:
        case SystemMessage(text):
            return {"role": "system", "content": text}
        case UserMessage(text, ()):
            return {"role": "user", "content": text}
        case UserMessage(text, images):
            parts: list[JsonValue] = [{"type": "text", "text": text}] if text else []
            for image in images:
                url = f"data:{image.media_type};base64,{b64encode(image.data).decode()}"
                parts.append({"type": "image_url", "image_url": {"url": url}})
            return {"role": "user", "content": parts}
        case AssistantMessage(text, calls):
            said: JsonObject = {"role": "assistant", "content": text or None if calls else text}
            if calls:
                said["tool_calls"] = [
                    {
                        "id": call.id,
                        "type": "function",
                        "function": {
                            "name": request.names.wire(call.name),
                            "arguments": written_arguments(call),
                        },
                    }
                    for call in calls
                ]
            return said
        case ToolMessage(call_id, _, text):
            return {"role": "tool", "tool_call_id": call_id, "content": text}


class _Call:
    """One call while its pieces come in."""

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.arguments = Pieces()


class OpenAiDecoder:
    """Reads one streamed answer."""

    def __init__(self, who: str, request: Request) -> None:
        self._who = who
        self._names = request.names
        self._model = request.model
        self._calls: dict[int, _Call] = {}
        self._thought: list[str] = []
        self._usage: JsonObject | None = None
        self._reason: StopReason | None = None
        self._over = False

    @property
    def complete(self) -> bool:
        return self._over

    @property
    def ending(self) -> Ending | None:
        if self._reason is None:
            return None
        reason = self._reason
        if self._calls and reason is StopReason.END:
            reason = StopReason.TOOL_CALLS  # some servers end every answer with "stop"
        return Ending(reason, self._model)

    def read(self, record: Record) -> Iterator[TurnEvent]:
        if record.data.strip() == "[DONE]":
            self._over = True
            self._reason = self._reason or StopReason.END
            return
        chunk = read_object(record.data, self._who)
        if chunk.get("error") or record.event == "error":
            raise fault_in_stream(chunk.get("error") or chunk, who=self._who)
        self._model = find_text(chunk, "model") or self._model
        self._usage = find_object(chunk, "usage") or self._usage
        choices = chunk.get("choices")
        if not isinstance(choices, list):
            if self._usage is None:
                raise ProviderError(ProviderCode.MALFORMED, f"{self._who} sent a chunk without choices.")
            return
        for choice in choices:
            if isinstance(choice, dict) and integer(choice, "index") == 0:
                yield from self._choice(choice)

    def _choice(self, choice: JsonObject) -> Iterator[TurnEvent]:
        delta = find_object(choice, "delta") or {}
        for key in ("reasoning_content", "reasoning"):
            thought = find_text(delta, key)
            if thought:
                self._thought.append(thought)
                yield ThinkingDelta(thought)
                break
        text = _text(delta.get("content"))
        if text:
            yield from self._thought_over()
            yield TextDelta(text)
        refusal = find_text(delta, "refusal")
        if refusal:
            yield TextDelta(refusal)
        calls = delta.get("tool_calls")
        if isinstance(calls, list):
            for call in calls:
                self._piece(call)
        reason = find_text(choice, "finish_reason")
        if reason:
            self._reason = REASONS.get(reason, StopReason.END)

    def _piece(self, piece: JsonValue) -> None:
        function = find_object(piece, "function")
        if not isinstance(piece, dict) or function is None:
            raise ProviderError(ProviderCode.MALFORMED, f"{self._who} sent a tool call that is none.")
        call = self._call_of(piece, find_text(function, "name") or "")
        arguments = function.get("arguments")
        if isinstance(arguments, str):
            call.arguments.add(arguments)
        elif arguments is not None:
            call.arguments.add(orjson.dumps(arguments).decode())

    def _call_of(self, piece: JsonObject, name: str) -> _Call:
        """The call that a piece belongs to; a piece that names another call at a taken index begins one."""
        given = piece.get("index")
        call_id = find_text(piece, "id") or ""
        latest = max(self._calls, default=-1)
        index = given if isinstance(given, int) else (latest + 1 if name else max(latest, 0))
        call = self._calls.get(index)
        if call is not None and name and call.name and call_id not in ("", call.id):
            index = latest + 1
            call = None
        if call is None:
            call = self._calls.setdefault(index, _Call())
        call.id = call.id or call_id
        call.name = call.name or name
        return call

    def _thought_over(self) -> Iterator[TurnEvent]:
        if self._thought:
            yield ThinkingDone(Thinking("".join(self._thought)))
            self._thought = []

    def finish(self) -> Iterator[TurnEvent]:
        yield from self._thought_over()
        if self._reason is None:
            return
        for index in sorted(self._calls):
            call = self._calls[index]
            if not call.name:
                raise ProviderError(ProviderCode.MALFORMED, f"{self._who} sent a tool call without a name.")
            yield ToolCallDone(read_call(call.id, call.name, call.arguments.text, self._names))
        if self._usage is not None:
            yield _usage(self._usage)


def _usage(told: JsonObject) -> Usage:
    cost = told.get("cost")
    known = isinstance(cost, (int, float)) and not isinstance(cost, bool)
    return Usage(
        integer(told, "prompt_tokens"),
        integer(told, "completion_tokens"),
        integer(told, "prompt_tokens_details", "cached_tokens"),
        float(cost) if known and isinstance(cost, (int, float)) else None,
        "USD" if known else None,
    )


def _text(content: JsonValue) -> str:
    """The text of a delta: a string, or parts of which some are text."""
    if isinstance(content, str):
        return content
    parts: Sequence[JsonValue] = content if isinstance(content, list) else ()
    return "".join(find_text(part, "text") or "" for part in parts)
