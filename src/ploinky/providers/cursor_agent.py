"""``cursor-agent-cli``: Cursor's agent as a program, or an adapter that takes a turn as JSON.

The program gets the conversation on its standard input, never on its command line, and never a flag by which
it would act without asking. By default it is run as ``cursor-agent -p`` with its ``stream-json`` output; with
``args`` that do not ask for that (``-p``), it gets one JSON line, ``{"type": "turn", ...}``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from uuid import uuid4

import orjson

from ploinky.base.errors import UsageError
from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.providers.config import ModelConfig
from ploinky.providers.cursor_events import CursorEvents
from ploinky.providers.pace import Pace
from ploinky.providers.program import Program, inherited, working_folder
from ploinky.providers.protocol import (
    AssistantMessage,
    Done,
    Message,
    ModelInfo,
    Served,
    SystemMessage,
    Tool,
    ToolChoice,
    ToolMessage,
    TurnEvent,
    TurnOptions,
)
from ploinky.providers.registry import ProviderContext, ProviderKind
from ploinky.providers.toolnames import WireNames
from ploinky.providers.transcript import as_prompt

NAME = "cursor-agent-cli"
COMMAND = "cursor-agent"
PRINT_ARGS = ("-p", "--output-format", "stream-json", "--stream-partial-output")
FORBIDDEN = frozenset({"-f", "--force", "--yolo", "--approve-mcps", "--trust", "--auto-review"})
"""Flags by which the program would approve what it does itself."""


class CursorAgentProvider:
    """One model of the program; each turn is a process of its own."""

    def __init__(self, config: ModelConfig, context: ProviderContext) -> None:
        self._argv = agent_args(config)
        self._prints = any(arg in ("-p", "--print") for arg in self._argv)
        self._config = config
        self._context = context
        self._model = config.model or "auto"

    async def stream_turn(
        self, messages: Sequence[Message], tools: Sequence[Tool], options: TurnOptions
    ) -> AsyncGenerator[TurnEvent, None]:
        pace = Pace.of(self._config, options)
        offered = () if options.tool_choice is ToolChoice.NONE else tools
        names = WireNames(tool.name for tool in offered)
        turn_id = uuid4().hex
        told = as_prompt(messages).encode() if self._prints else _turn(turn_id, messages, offered, names)
        argv = [*self._argv, "--model", options.model] if options.model else self._argv
        events = CursorEvents(names, options.model or self._model)
        keys = await self._keys()
        with working_folder(self._context.folder) as folder:
            program = await Program.start(argv, env=self._environment(keys), folder=folder)
            try:
                program.send(told, last=self._prints)
                while not events.over:
                    line = await program.line(pace)
                    if line is None:
                        raise await program.failure(*keys)
                    if line.strip():
                        for event in events.read(line):
                            yield event
            finally:
                if not self._prints:
                    cancel = (
                        b"" if events.over else orjson.dumps({"type": "cancel", "turnId": turn_id}) + b"\n"
                    )
                    program.send(cancel, last=True)
                await program.end(at_once=not events.over)
        yield Done(events.reason, Served(self._context.model_id, NAME, events.model))

    async def list_models(self) -> tuple[ModelInfo, ...]:
        """The configured model only: the program has no list for other programs."""
        return (ModelInfo(self._model),)

    async def model_info(self, name: str | None = None) -> ModelInfo:
        return ModelInfo(name or self._model, context_tokens=self._config.max_context_tokens)

    async def aclose(self) -> None:
        return

    async def _keys(self) -> tuple[str, ...]:
        reference = self._config.key_reference
        return () if reference is None else (await self._context.keys.fetch(reference),)

    def _environment(self, keys: tuple[str, ...]) -> dict[str, str]:
        env = inherited(self._context.environ)
        if self._config.auth_profiles:
            env["CURSOR_AGENT_AUTH_PROFILE"] = self._config.auth_profiles[0]
        for key in keys:
            env["CURSOR_API_KEY"] = key
        return env


def agent_args(config: ModelConfig) -> list[str]:
    """The command line of an entry.

    Raises:
        UsageError: ``MODEL_ENTRY_INVALID`` for a flag by which the program would act without asking.
    """
    args = config.args or PRINT_ARGS
    for arg in args:
        if arg.partition("=")[0] in FORBIDDEN:
            raise UsageError(
                "MODEL_ENTRY_INVALID",
                f"cursor-agent must not be run with {arg.partition('=')[0]}: it would act without asking.",
                hint="Take it out of args.",
            )
    model = ["--model", config.model] if config.model else []
    return [config.command or COMMAND, *args, *model]


def _turn(turn_id: str, messages: Sequence[Message], tools: Sequence[Tool], names: WireNames) -> bytes:
    """The line of a whole turn."""
    offered: list[JsonValue] = [
        {"name": names.wire(tool.name), "description": tool.description, "schema": tool.input_schema}
        for tool in tools
    ]
    told: list[JsonValue] = [_message(message, names) for message in messages]
    turn: JsonObject = {"type": "turn", "turnId": turn_id, "messages": told, "tools": offered}
    return orjson.dumps(turn) + b"\n"


def _message(message: Message, names: WireNames) -> JsonObject:
    match message:
        case SystemMessage(text):
            return {"role": "system", "content": text}
        case AssistantMessage(text, calls):
            made: list[JsonValue] = [
                {"id": call.id, "name": names.wire(call.name), "args": call.arguments} for call in calls
            ]
            return {"role": "assistant", "content": text, **({"toolCalls": made} if made else {})}
        case ToolMessage(call_id, name, text):
            return {"role": "tool", "toolCallId": call_id, "name": names.wire(name), "content": text}
        case _:
            return {"role": "user", "content": message.text}


KIND = ProviderKind(NAME, "Cursor's agent as a program", CursorAgentProvider)
