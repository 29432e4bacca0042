"""The wire of Ollama's own ``/api/chat``: one JSON object a line, calls whole, counts in the last line.

Its OpenAI route ignores ``num_ctx`` and cuts a long prompt without a word; here the window is asked for, and
a prompt that does not fit is an error.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator

import orjson

from ploinky.base.jsontypes import JsonObject, JsonValue, find_object, find_text
from ploinky.providers.errors import ProviderCode, ProviderError
from ploinky.providers.faults import fault_in_stream
from ploinky.providers.framing import JsonLines, Record
from ploinky.providers.http import read_object
from ploinky.providers.openai_wire import function_tools
from ploinky.providers.protocol import (
    AssistantMessage,
    Message,
    StopReason,
    SystemMessage,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ThinkingDone,
    ToolCall,
    ToolCallDone,
    ToolMessage,
    TurnEvent,
    Usage,
    UserMessage,
)
from ploinky.providers.wire import Ending, Request, integer, merged, read_call


class OllamaWire:
    path = "/api/chat"

    def __init__(self, who: str) -> None:
        self._who = who

    def framing(self) -> JsonLines:
        return JsonLines()

    def decoder(self, request: Request) -> OllamaDecoder:
        return OllamaDecoder(self._who, request)

    def body(self, request: Request) -> JsonObject:
        options: JsonObject = {}
        if request.context_tokens is not None:
            options["num_ctx"] = request.context_tokens
        if request.max_output_tokens is not None:
            options["num_predict"] = request.max_output_tokens
        if request.temperature is not None:
            options["temperature"] = request.temperature
        if request.stop:
            options["stop"] = list(request.stop)
        body: JsonObject = {
            "model": request.model,
            "messages": [_message(each, request) for each in request.messages],
            "stream": True,
            "truncate": False,
            "shift": False,
            "options": options,
        }
        if request.tools:
            body["tools"] = function_tools(request)
        return merged(body, request.extra)


def _message(message: Message, request: Request) -> JsonObject:
    match message:
        case SystemMessage(text):
            return {"role": "system", "content": text}
        case UserMessage(text, images):
            said: JsonObject = {"role": "user", "content": text}
            if images:
                said["images"] = [b64encode(image.data).decode() for image in images]
            return said
        case AssistantMessage(text, calls, thinking):
            answer: JsonObject = {"role": "assistant", "content": text}
            if calls:
                answer["tool_calls"] = [_call(call, request) for call in calls]
                thought = "".join(each.text for each in thinking)
                if thought:  # models that think between calls want to read it again
                    answer["thinking"] = thought
            return answer
        case ToolMessage(call_id, name, text):
            wire = request.names.wire(name)
            return {"role": "tool", "content": text, "tool_name": wire, "tool_call_id": call_id}


def _call(call: ToolCall, request: Request) -> JsonValue:
    function: JsonObject = {"name": request.names.wire(call.name), "arguments": call.arguments}
    return {"id": call.id, "function": function}


class OllamaDecoder:
    """Reads one streamed answer."""

    def __init__(self, who: str, request: Request) -> None:
        self._who = who
        self._names = request.names
        self._model = request.model
        self._thought: list[str] = []
        self._called = False
        self._last: JsonObject | None = None

    @property
    def complete(self) -> bool:
        return self._last is not None

    @property
    def ending(self) -> Ending | None:
        if self._last is None:
            return None
        if self._called:
            return Ending(StopReason.TOOL_CALLS, self._model)
        cut = find_text(self._last, "done_reason") == "length"
        return Ending(StopReason.MAX_TOKENS if cut else StopReason.END, self._model)

    def read(self, record: Record) -> Iterator[TurnEvent]:
        line = read_object(record.data, self._who)
        if "error" in line:
            raise fault_in_stream(line["error"], who=self._who)
        message = find_object(line, "message")
        if message is None and line.get("done") is not True:
            raise ProviderError(ProviderCode.MALFORMED, f"{self._who} sent a line without a message.")
        self._model = find_text(line, "model") or self._model
        yield from self._said(message or {})
        if line.get("done") is True:
            self._last = line

    def _said(self, message: JsonObject) -> Iterator[TurnEvent]:
        thought = find_text(message, "thinking")
        if thought:
            self._thought.append(thought)
            yield ThinkingDelta(thought)
        text = find_text(message, "content")
        if text:
            yield from self._thought_over()
            yield TextDelta(text)
        calls = message.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            yield from self._thought_over()
            function = find_object(call, "function") or {}
            name = find_text(function, "name")
            if not name:
                raise ProviderError(ProviderCode.MALFORMED, f"{self._who} sent a tool call without a name.")
            given = function.get("arguments")
            written = given if isinstance(given, str) else orjson.dumps(given or {}).decode()
            self._called = True
            yield ToolCallDone(read_call(find_text(call, "id") or "", name, written, self._names))

    def _thought_over(self) -> Iterator[TurnEvent]:
        if self._thought:
            yield ThinkingDone(Thinking("".join(self._thought)))
            self._thought = []

    def finish(self) -> Iterator[TurnEvent]:
        yield from self._thought_over()
        if self._last is not None:
            yield Usage(integer(self._last, "prompt_eval_count"), integer(self._last, "eval_count"))
