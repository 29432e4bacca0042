"""The wire of ``/v1/messages``: bodies with content blocks, answers as a sequence of blocks.

System messages go apart, results of tools go into the user's message that follows their calls, and blocks of
thinking go back as they came. The end of the system text and of the conversation are marked for the cache.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator

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
from ploinky.providers.toolnames import WireNames
from ploinky.providers.wire import Ending, Request, integer, merged, read_call

DEFAULT_MAX_TOKENS = 8192
REDACTED = "redacted:"
CACHED: JsonObject = {"type": "ephemeral"}
REASONS: dict[str, StopReason] = {
    "end_turn": StopReason.END,
    "pause_turn": StopReason.END,
    "max_tokens": StopReason.MAX_TOKENS,
    "model_context_window_exceeded": StopReason.MAX_TOKENS,
    "stop_sequence": StopReason.STOP_SEQUENCE,
    "tool_use": StopReason.TOOL_CALLS,
    "refusal": StopReason.REFUSED,
}


class AnthropicWire:
    path = "/v1/messages"

    def __init__(self, who: str) -> None:
        self._who = who

    def framing(self) -> ServerSentEvents:
        return ServerSentEvents()

    def decoder(self, request: Request) -> AnthropicDecoder:
        return AnthropicDecoder(self._who, request)

    def body(self, request: Request) -> JsonObject:
        body: JsonObject = {
            "model": request.model,
            "max_tokens": request.max_output_tokens or DEFAULT_MAX_TOKENS,
            "messages": _conversation(request),
            "stream": True,
        }
        system = "\n\n".join(m.text for m in request.messages if isinstance(m, SystemMessage) and m.text)
        if system:
            body["system"] = [{"type": "text", "text": system, "cache_control": CACHED}]
        if request.tools:
            body["tools"] = [
                {
                    "name": request.names.wire(tool.name),
                    "description": tool.description,
                    "input_schema": tool.input_schema or {"type": "object", "properties": {}},
                }
                for tool in request.tools
            ]
            if request.tool_choice is ToolChoice.REQUIRED:
                body["tool_choice"] = {"type": "any"}
        if request.temperature is not None:
            body["temperature"] = min(request.temperature, 1.0)
        if request.stop:
            body["stop_sequences"] = list(request.stop)
        extra = dict(request.extra)
        if _lacks_thinking(request):
            extra.pop("thinking", None)
        return merged(body, extra)


def _lacks_thinking(request: Request) -> bool:
    """Whether calls that are being answered came without the thinking that a thinking model wants with them.

    So it is where another model made them, or where nobody kept it; the server would refuse the turn.
    """
    for message in reversed(request.messages):
        if isinstance(message, UserMessage):
            return False
        if isinstance(message, AssistantMessage) and message.tool_calls:
            return not any(each.signature for each in message.thinking)
    return False


def _conversation(request: Request) -> list[JsonValue]:
    """Messages of alternating roles; neighbours of one role are one message."""
    turns: list[tuple[str, list[JsonValue]]] = []
    for message in request.messages:
        if isinstance(message, SystemMessage):
            continue
        role = "assistant" if isinstance(message, AssistantMessage) else "user"
        blocks = _blocks(message, request.names)
        if not blocks:
            continue
        if turns and turns[-1][0] == role:
            turns[-1][1].extend(blocks)
        else:
            turns.append((role, blocks))
    if turns and isinstance(turns[-1][1][-1], dict) and turns[-1][0] == "user":
        turns[-1][1][-1]["cache_control"] = CACHED
    return [{"role": role, "content": blocks} for role, blocks in turns]


def _blocks(message: Message, names: WireNames) -> list[JsonValue]:
    match message:
        case UserMessage(text, images):
            return [*(_image(image.media_type, image.data) for image in images), *_text_block(text)]
        case ToolMessage(call_id, _, text, is_error):
            result: JsonObject = {"type": "tool_result", "tool_use_id": call_id, "content": text}
            if is_error:
                result["is_error"] = True
            return [result]
        case AssistantMessage(text, calls, thinking):
            blocks = [block for thought in thinking for block in _thinking_block(thought)]
            blocks += _text_block(text)
            for call in calls:
                name = names.wire(call.name)
                blocks.append({"type": "tool_use", "id": call.id, "name": name, "input": call.arguments})
            return blocks
        case _:
            return []


def _text_block(text: str) -> list[JsonValue]:
    return [{"type": "text", "text": text}] if text.strip() else []


def _image(media_type: str, data: bytes) -> JsonValue:
    source: JsonObject = {"type": "base64", "media_type": media_type, "data": b64encode(data).decode()}
    return {"type": "image", "source": source}


def _thinking_block(thought: Thinking) -> list[JsonValue]:
    """A block as it came; without the signature that it came with, the server would not take it."""
    if thought.signature is None:
        return []
    if thought.signature.startswith(REDACTED):
        return [{"type": "redacted_thinking", "data": thought.signature.removeprefix(REDACTED)}]
    return [{"type": "thinking", "thinking": thought.text, "signature": thought.signature}]


class _Block:
    """One block while its pieces come in."""

    def __init__(self, start: JsonObject) -> None:
        self.type = find_text(start, "type") or ""
        self.id = find_text(start, "id") or ""
        self.name = find_text(start, "name") or ""
        self.signature = find_text(start, "signature") or ""
        self.data = find_text(start, "data") or ""
        self.start = start
        self.written = Pieces()


class AnthropicDecoder:
    """Reads one streamed answer."""

    def __init__(self, who: str, request: Request) -> None:
        self._who = who
        self._names = request.names
        self._model = request.model
        self._blocks: dict[int, _Block] = {}
        self._usage: JsonObject = {}
        self._reason: StopReason | None = None
        self._over = False

    @property
    def complete(self) -> bool:
        return self._over

    @property
    def ending(self) -> Ending | None:
        return None if self._reason is None else Ending(self._reason, self._model)

    def read(self, record: Record) -> Iterator[TurnEvent]:
        told = read_object(record.data, self._who)
        match find_text(told, "type") or record.event:
            case "message_start":
                message = find_object(told, "message") or {}
                self._model = find_text(message, "model") or self._model
                self._usage |= find_object(message, "usage") or {}
            case "content_block_start":
                block = _Block(find_object(told, "content_block") or {})
                self._blocks[integer(told, "index")] = block
                yield from self._piece(block, find_text(block.start, "text") or "", TextDelta)
            case "content_block_delta":
                yield from self._delta(integer(told, "index"), find_object(told, "delta") or {})
            case "content_block_stop":
                yield from self._stop(integer(told, "index"))
            case "message_delta":
                reason = find_text(find_object(told, "delta") or {}, "stop_reason")
                if reason is not None:
                    self._reason = REASONS.get(reason, StopReason.END)
                self._usage |= find_object(told, "usage") or {}
            case "message_stop":
                self._over = True
            case "error":
                raise fault_in_stream(told.get("error") or told, who=self._who)
            case _:
                pass  # pings, and what the wire's rules allow to be added

    def _delta(self, index: int, delta: JsonObject) -> Iterator[TurnEvent]:
        block = self._blocks.get(index)
        if block is None:
            raise ProviderError(
                ProviderCode.MALFORMED, f"{self._who} sent a piece of a block it never began."
            )
        match find_text(delta, "type"):
            case "text_delta":
                yield from self._piece(block, find_text(delta, "text") or "", TextDelta)
            case "thinking_delta":
                yield from self._piece(block, find_text(delta, "thinking") or "", ThinkingDelta)
            case "signature_delta":
                block.signature += find_text(delta, "signature") or ""
            case "input_json_delta":
                block.written.add(find_text(delta, "partial_json") or "")
            case _:
                pass

    def _piece(
        self, block: _Block, text: str, event: type[TextDelta] | type[ThinkingDelta]
    ) -> Iterator[TurnEvent]:
        if text:
            block.written.add(text)
            yield event(text)

    def _stop(self, index: int) -> Iterator[TurnEvent]:
        block = self._blocks.pop(index, None)
        written = "" if block is None else block.written.text
        match block.type if block is not None else "":
            case "tool_use" if block is not None:
                if not block.name:
                    raise ProviderError(
                        ProviderCode.MALFORMED, f"{self._who} sent a tool call without a name."
                    )
                whole = find_object(block.start, "input")
                call = read_call(block.id, block.name, written, self._names)
                if not written and whole:
                    call = read_call(block.id, block.name, _json(whole), self._names)
                yield ToolCallDone(call)
            case "thinking" if block is not None:
                yield ThinkingDone(Thinking(written, block.signature or None))
            case "redacted_thinking" if block is not None:
                yield ThinkingDone(Thinking("", REDACTED + block.data))
            case _:
                pass

    def finish(self) -> Iterator[TurnEvent]:
        if self._reason is None:
            return
        for index in sorted(self._blocks):  # some servers never close a block
            yield from self._stop(index)
        cached = integer(self._usage, "cache_read_input_tokens")
        written = integer(self._usage, "cache_creation_input_tokens")
        total = integer(self._usage, "input_tokens") + cached + written
        yield Usage(total, integer(self._usage, "output_tokens"), cached)


def _json(value: JsonObject) -> str:
    import orjson

    return orjson.dumps(value).decode()
