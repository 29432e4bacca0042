"""What differs between HTTP providers: how a turn is asked for, and how its answer is read.

``Request`` is a turn with every value decided. A ``Wire`` makes its body; a ``Decoder`` reads one answer.
Both are pure and know no connection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import uuid4

import orjson

from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.providers.config import ModelConfig
from ploinky.providers.framing import Framing, Record
from ploinky.providers.protocol import Message, StopReason, Tool, ToolCall, ToolChoice, TurnEvent, TurnOptions
from ploinky.providers.surrogates import mended
from ploinky.providers.toolnames import WireNames

LONGEST_ARGUMENTS = 4 * 1024 * 1024


@dataclass(frozen=True)
class Request:
    """One turn, ready to be written down."""

    model: str
    messages: Sequence[Message]
    tools: Sequence[Tool]
    names: WireNames
    tool_choice: ToolChoice
    max_output_tokens: int | None
    temperature: float | None
    context_tokens: int | None
    stop: tuple[str, ...]
    extra: Mapping[str, JsonValue]


def request_of(
    model: str, config: ModelConfig, messages: Sequence[Message], tools: Sequence[Tool], options: TurnOptions
) -> Request:
    """A turn's options over the configuration of its model."""
    offered = () if options.tool_choice is ToolChoice.NONE else tuple(tools)
    return Request(
        model=options.model or model,
        messages=messages,
        tools=offered,
        names=WireNames(tool.name for tool in offered),
        tool_choice=options.tool_choice,
        max_output_tokens=options.max_output_tokens or config.max_output_tokens,
        temperature=config.temperature if options.temperature is None else options.temperature,
        context_tokens=options.context_tokens or config.max_context_tokens,
        stop=options.stop,
        extra=config.options,
    )


@dataclass(frozen=True)
class Ending:
    """How an answer ended and what the server calls the model that gave it."""

    reason: StopReason
    model: str


class Decoder(Protocol):
    """Reads one answer, record by record."""

    def read(self, record: Record) -> Iterator[TurnEvent]:
        """The events of a record.

        Raises:
            ProviderError: the record is an error, or no record of this wire.
        """
        ...

    @property
    def complete(self) -> bool:
        """Whether the answer is whole, so that nothing more must come."""
        ...

    def finish(self) -> Iterator[TurnEvent]:
        """What is known only at the end (calls, usage); called when the stream is over or complete."""
        ...

    @property
    def ending(self) -> Ending | None:
        """How it ended, after ``finish``; None if the answer was cut."""
        ...


class Wire(Protocol):
    """One way to speak to a model's server."""

    path: str

    def framing(self) -> Framing: ...

    def body(self, request: Request) -> JsonObject: ...

    def decoder(self, request: Request) -> Decoder: ...


def read_call(call_id: str, name: str, written: str, names: WireNames) -> ToolCall:
    """A call as the model wrote it; arguments that are no JSON object make it malformed."""
    ours = names.ours(name)
    written = mended(written)
    call_id = call_id or f"call_{uuid4().hex[:24]}"
    if not written.strip():
        return ToolCall(call_id, ours, {})
    try:
        arguments = orjson.loads(written)
    except orjson.JSONDecodeError:
        return ToolCall(call_id, ours, {}, malformed=written)
    if not isinstance(arguments, dict):
        return ToolCall(call_id, ours, {}, malformed=written)
    return ToolCall(call_id, ours, arguments)


def written_arguments(call: ToolCall) -> str:
    """The arguments of an earlier call, as a model reads them again."""
    return call.malformed if call.malformed is not None else orjson.dumps(call.arguments).decode()


def merged(base: JsonObject, extra: Mapping[str, JsonValue]) -> JsonObject:
    """``extra`` with ``base`` over it; objects in both are merged, so that neither loses its keys."""
    result: JsonObject = dict(extra)
    for key, value in base.items():
        below = result.get(key)
        both = isinstance(value, dict) and isinstance(below, dict)
        result[key] = merged(value, below) if both else value  # type: ignore[arg-type]
    return result


def integer(value: JsonValue, *path: str) -> int:
    """The number at a path of nested objects; 0 where there is none."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else 0
