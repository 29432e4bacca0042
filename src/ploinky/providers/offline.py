"""No model: answers only with what needs none, and says so.

A fresh workspace has this one, so that chat, tools, approvals and threads work before any key is set. A
command becomes a tool call that the caller runs like any model's; the result is shown as it is. Nothing here
poses as a model. To add a command: a row in ``_COMMANDS``.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from uuid import uuid4

from ploinky.base.jsontypes import JsonObject
from ploinky.base.names import closest
from ploinky.providers.config import ModelConfig
from ploinky.providers.errors import ProviderCode, ProviderError
from ploinky.providers.protocol import (
    Done,
    Message,
    ModelInfo,
    Served,
    StopReason,
    TextDelta,
    Tool,
    ToolCall,
    ToolCallDone,
    ToolMessage,
    TurnEvent,
    TurnOptions,
    UserMessage,
)
from ploinky.providers.registry import ProviderContext, ProviderKind

NAME = "offline"
NOT_CONFIGURED = """\
No model is configured, so nobody here can understand free text.

To configure one, add it to .ploinky/config.json and name it as defaultModel, for example
  {"models": {"local": {"provider": "ollama", "ollamaModelName": "granite3.2"}}, "defaultModel": "local"}
It takes effect without a restart. docs/providers.md has an example for every provider."""
HELP = """\
No model is configured. These work without one:
  /tools [word]                 list the tools, or those whose name or description has the word
  /call <agent>.<tool> {json}   call a tool
  /memory search <words>        search the memory
  /memory remember <text>       remember something
  /help                         this text"""


@dataclass(frozen=True)
class _Answer:
    """Text, or a call, or both."""

    text: str = ""
    call: ToolCall | None = None


class OfflineProvider:
    """Serves commands; keeps nothing."""

    def __init__(self, model_id: str) -> None:
        self._served = Served(model_id, NAME, "none")

    async def stream_turn(
        self, messages: Sequence[Message], tools: Sequence[Tool], options: TurnOptions
    ) -> AsyncGenerator[TurnEvent, None]:
        answer = _answer(messages, tools)
        if answer.text:
            yield TextDelta(answer.text)
        if answer.call is not None:
            yield ToolCallDone(answer.call)
        yield Done(StopReason.END if answer.call is None else StopReason.TOOL_CALLS, self._served)

    async def list_models(self) -> tuple[ModelInfo, ...]:
        return ()

    async def model_info(self, name: str | None = None) -> ModelInfo:
        raise ProviderError(ProviderCode.MODEL_NOT_FOUND, "No model is configured.", hint=NOT_CONFIGURED)

    async def aclose(self) -> None:
        return


def _answer(messages: Sequence[Message], tools: Sequence[Tool]) -> _Answer:
    last = messages[-1] if messages else None
    if isinstance(last, ToolMessage):
        return _Answer(_results(messages))
    text = last.text.strip() if isinstance(last, UserMessage) else ""
    if not text.startswith("/"):
        return _Answer(f"{NOT_CONFIGURED}\n\n/help lists what works without a model.")
    word, _, rest = text[1:].partition(" ")
    command = _COMMANDS.get(word)
    if command is None:
        meant = closest(word, _COMMANDS)
        guess = f" Did you mean /{meant}?" if meant else ""
        return _Answer(f"There is no command /{word}.{guess}\n\n{HELP}")
    return command(rest.strip(), tools)


def _results(messages: Sequence[Message]) -> str:
    texts: list[str] = []
    for message in reversed(messages):
        if not isinstance(message, ToolMessage):
            break
        said = message.text if message.plain is None else message.plain
        texts.append(f"{message.name} failed:\n{said}" if message.is_error else said)
    return "\n\n".join(reversed(texts)) or "The tool answered with nothing."


def _help(rest: str, tools: Sequence[Tool]) -> _Answer:
    return _Answer(HELP)


def _tools(word: str, tools: Sequence[Tool]) -> _Answer:
    wanted = word.casefold()
    found = [tool for tool in tools if wanted in f"{tool.name} {tool.description}".casefold()]
    if not found:
        return _Answer(
            f"No tool has {word!r} in its name or description." if word else "No tools are on offer."
        )
    lines = []
    for tool in found:
        first = next(iter(tool.description.strip().splitlines()), "")
        lines.append(f"{tool.name}({', '.join(_parameters(tool))})  {first}".rstrip())
    return _Answer("\n".join(lines))


def _parameters(tool: Tool) -> list[str]:
    properties = tool.input_schema.get("properties")
    required = tool.input_schema.get("required")
    needed = required if isinstance(required, list) else []
    names = list(properties) if isinstance(properties, dict) else []
    return [name if name in needed else f"{name}?" for name in names]


_CALL = re.compile(r"(?P<name>\S+)(?:\s+(?P<arguments>.*))?\Z", re.DOTALL)


def _call(rest: str, tools: Sequence[Tool]) -> _Answer:
    words = _CALL.match(rest)
    if words is None:
        return _Answer('Say which tool: /call <agent>.<tool> {"name": "value"}. /tools lists them.')
    tool = _find_tool(words["name"], tools)
    if tool is None:
        meant = closest(words["name"], [tool.name for tool in tools])
        guess = f" Did you mean {meant}?" if meant else " /tools lists them."
        return _Answer(f"There is no tool {words['name']!r}.{guess}")
    try:
        arguments = json.loads(words["arguments"] or "{}")
    except ValueError as error:
        return _Answer(f'The arguments are no JSON: {error}. They look like {{"name": "value"}}.')
    if not isinstance(arguments, dict):
        return _Answer('The arguments must be a JSON object, as in {"name": "value"}.')
    return _Answer(call=_new_call(tool.name, arguments))


def _find_tool(name: str, tools: Sequence[Tool]) -> Tool | None:
    """A tool by its name; ``agent.tool`` also finds ``agent__tool`` and, if only one has it, ``tool``."""
    for wanted in (name, name.replace(".", "__", 1), name.partition(".")[2]):
        found = [tool for tool in tools if tool.name == wanted]
        if len(found) == 1:
            return found[0]
    return None


_MEMORY: dict[str, tuple[str, str]] = {
    "search": ("memory_search", "query"),
    "remember": ("remember", "text"),
}


def _memory(rest: str, tools: Sequence[Tool]) -> _Answer:
    verb, _, text = rest.partition(" ")
    if verb not in _MEMORY or not text.strip():
        return _Answer("Say /memory search <words> or /memory remember <text>.")
    name, parameter = _MEMORY[verb]
    tool = _find_tool(name, tools)
    if tool is None:
        return _Answer(f"This assistant has no tool {name}.")
    return _Answer(call=_new_call(name, {parameter: text.strip()}))


def _new_call(name: str, arguments: JsonObject) -> ToolCall:
    return ToolCall(f"call_{uuid4().hex[:24]}", name, arguments)


_COMMANDS: dict[str, Callable[[str, Sequence[Tool]], _Answer]] = {
    "help": _help,
    "tools": _tools,
    "call": _call,
    "memory": _memory,
}


def _make(config: ModelConfig, context: ProviderContext) -> OfflineProvider:
    return OfflineProvider(context.model_id)


KIND = ProviderKind(NAME, "no model: tools and memory by commands", _make)
