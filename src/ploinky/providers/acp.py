"""``acp``: any coding agent that speaks the Agent Client Protocol on its standard input and output.

Each turn is a process and a session of its own; the conversation goes in as one prompt, because threads are
kept here and not by the agent. The agent works with its own tools: what it wants to be permitted is asked
through ``TurnOptions.permit``, and denied if nobody can answer. It gets no access to files or terminals here.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
import orjson

import ploinky
from ploinky.base.errors import UsageError
from ploinky.base.jsontypes import JsonObject, JsonValue, find_object, find_text
from ploinky.base.names import is_env_name
from ploinky.providers.config import ModelConfig
from ploinky.providers.errors import ProviderCode, ProviderError, quoted
from ploinky.providers.http import read_object
from ploinky.providers.pace import Pace
from ploinky.providers.program import Program, inherited, working_folder
from ploinky.providers.protocol import (
    Done,
    Message,
    ModelInfo,
    PermissionAnswer,
    PermissionRequest,
    ProviderTool,
    Served,
    StopReason,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ThinkingDone,
    Tool,
    TurnEvent,
    TurnOptions,
    Usage,
    UserMessage,
)
from ploinky.providers.registry import ProviderContext, ProviderKind
from ploinky.providers.transcript import as_prompt
from ploinky.providers.wire import integer

NAME = "acp"
VERSION = 1
AUTH_REQUIRED = -32000
METHOD_NOT_FOUND = -32601
KEY_VARIABLE = "keyVariable"
REASONS: dict[str, StopReason] = {
    "end_turn": StopReason.END,
    "max_tokens": StopReason.MAX_TOKENS,
    "max_turn_requests": StopReason.MAX_TOKENS,
    "refusal": StopReason.REFUSED,
    "cancelled": StopReason.END,  # how some agents end when a permission is denied
}


@dataclass(frozen=True)
class _Call:
    """What is known of a tool that the agent uses; agents tell it piece by piece."""

    title: str = ""
    kind: str = "other"
    arguments: JsonObject | None = None
    begun: bool = False


class AcpProvider:
    """One agent program."""

    def __init__(self, config: ModelConfig, context: ProviderContext) -> None:
        if config.command is None:
            raise UsageError(
                "MODEL_ENTRY_INVALID",
                f"The model {context.model_id!r} does not say which agent to run.",
                hint='Set command and args, for example "command": "codex-acp".',
            )
        self._argv = [config.command, *config.args]
        self._config = config
        self._context = context
        self._variable = _key_variable(config, context.model_id)
        self._model = config.model or Path(config.command).name

    async def stream_turn(
        self, messages: Sequence[Message], tools: Sequence[Tool], options: TurnOptions
    ) -> AsyncGenerator[TurnEvent, None]:
        pace = Pace.of(self._config, options)
        with working_folder(self._context.folder) as folder:
            keys = await self._keys()
            env = inherited(self._context.environ)
            if self._variable is not None:
                env[self._variable] = keys[0]
            program = await Program.start(self._argv, env=env, folder=folder)
            conversation = _Conversation(program, pace, options.permit, keys)
            try:
                await conversation.open(folder)
                async for event in conversation.prompt(messages):
                    yield event
            finally:
                conversation.close()
                await program.end(at_once=True)
        yield Done(
            conversation.reason, Served(self._context.model_id, NAME, conversation.agent or self._model)
        )

    async def list_models(self) -> tuple[ModelInfo, ...]:
        """The agent itself: it chooses its models."""
        return (ModelInfo(self._model),)

    async def model_info(self, name: str | None = None) -> ModelInfo:
        return ModelInfo(name or self._model, context_tokens=self._config.max_context_tokens)

    async def aclose(self) -> None:
        return

    async def _keys(self) -> tuple[str, ...]:
        reference = self._config.key_reference
        return () if reference is None else (await self._context.keys.fetch(reference),)


class _Conversation:
    """One session with a running agent; reads its lines alone, so nothing else waits for them."""

    def __init__(
        self, program: Program, pace: Pace, permit: PermissionAnswer | None, secrets: tuple[str, ...]
    ) -> None:
        self._program = program
        self._pace = pace
        self._permit = permit
        self._secrets = secrets
        self._last_id = 0
        self._session = ""
        self._images = False
        self._thought: list[str] = []
        self._calls: dict[str, _Call] = {}
        self._counted: Usage | None = None
        self._asking = False
        self.reason = StopReason.END
        self.agent = ""

    async def open(self, folder: Path) -> None:
        about: JsonObject = {
            "protocolVersion": VERSION,
            "clientCapabilities": {"fs": {"readTextFile": False, "writeTextFile": False}, "terminal": False},
            "clientInfo": {"name": "ploinky", "title": "Ploinky", "version": ploinky.__version__},
        }
        agreed = await self._ask("initialize", about)
        if integer(agreed, "protocolVersion") != VERSION:
            raise self._malformed("speaks another version of the protocol")
        capabilities = find_object(find_object(agreed, "agentCapabilities"), "promptCapabilities") or {}
        self._images = capabilities.get("image") is True
        self.agent = find_text(find_object(agreed, "agentInfo"), "name") or ""
        session = await self._ask("session/new", {"cwd": str(folder), "mcpServers": []})
        self._session = find_text(session, "sessionId") or ""
        if not self._session:
            raise self._malformed("began no session")

    async def prompt(self, messages: Sequence[Message]) -> AsyncGenerator[TurnEvent, None]:
        blocks: list[JsonValue] = [{"type": "text", "text": as_prompt(messages)}]
        last = messages[-1] if messages else None
        if self._images and isinstance(last, UserMessage):
            for image in last.images:
                data = b64encode(image.data).decode()
                blocks.append({"type": "image", "mimeType": image.media_type, "data": data})
        number = self._send("session/prompt", {"sessionId": self._session, "prompt": blocks})
        self._asking = True
        while True:
            told = await self._read()
            if "method" in told:
                for event in await self._from_agent(told):
                    yield event
            elif told.get("id") == number:
                break
        self._asking = False
        result = self._result(told)
        for event in self._thought_over():
            yield event
        reason = find_text(result, "stopReason") or ""
        if reason not in REASONS:
            raise self._malformed("ended its answer in an unknown way")
        self.reason = REASONS[reason]
        counted = find_object(result, "usage")
        usage = self._counted if counted is None else _usage(counted)
        if usage is not None:
            yield usage

    def close(self) -> None:
        """Ask it to stop what it does; it is ended in any case."""
        if self._asking:
            self._write({"method": "session/cancel", "params": {"sessionId": self._session}})

    async def _ask(self, method: str, params: JsonObject) -> JsonObject:
        number = self._send(method, params)
        while True:
            told = await self._read()
            if "method" in told:
                await self._from_agent(told)
            elif told.get("id") == number:
                return self._result(told)

    async def _from_agent(self, told: JsonObject) -> list[TurnEvent]:
        """Answer what the agent asks, take in what it tells."""
        method = find_text(told, "method")
        params = find_object(told, "params") or {}
        if method == "session/update":
            return list(self._update(find_object(params, "update") or {}))
        if "id" not in told:
            return []
        if method == "session/request_permission":
            update = find_object(params, "toolCall") or {}
            allowed = await self._decide(update)
            self._write({"id": told["id"], "result": {"outcome": _outcome(params, allowed=allowed)}})
            return list(self._begun(update)) if allowed else []
        missing: JsonObject = {"code": METHOD_NOT_FOUND, "message": "This client does not offer that."}
        self._write({"id": told["id"], "error": missing})
        return []

    async def _decide(self, update: JsonObject) -> bool:
        """Whether the agent may do what it asks for, which it may have told before it asks."""
        call_id, call = self._known(update)
        request = PermissionRequest(call_id, call.title, call.kind, call.arguments or {})
        began = anyio.current_time()
        allowed = self._permit is not None and await self._permit(request)
        self._pace.allow(anyio.current_time() - began)
        return allowed

    def _update(self, update: JsonObject) -> Iterator[TurnEvent]:
        text = find_text(find_object(update, "content"), "text") or ""
        match find_text(update, "sessionUpdate"):
            case "agent_message_chunk":
                self._count(update)
                yield from self._thought_over()
                if text:
                    yield TextDelta(text)
            case "agent_thought_chunk":
                if text:
                    self._thought.append(text)
                    yield ThinkingDelta(text)
            case "tool_call":
                yield from self._begun(update)
                yield from self._ended(update)
            case "tool_call_update":
                yield from self._ended(update)
            case _:
                pass  # plans, modes and commands of the agent are its own matter

    def _known(self, update: JsonObject) -> tuple[str, _Call]:
        """The id of a call, and all that was told of it until now."""
        call_id = find_text(update, "toolCallId") or ""
        before = self._calls.get(call_id, _Call())
        call = replace(
            before,
            title=find_text(update, "title") or before.title,
            kind=find_text(update, "kind") or before.kind,
            arguments=find_object(update, "rawInput") or before.arguments,
        )
        self._calls[call_id] = call
        return call_id, call

    def _begun(self, update: JsonObject) -> Iterator[TurnEvent]:
        """That a tool is used, told once: some agents tell it, some only ask to be permitted."""
        call_id, call = self._known(update)
        if not call.begun:
            self._calls[call_id] = replace(call, begun=True)
            yield ProviderTool(call_id, call.title, "started")

    def _ended(self, update: JsonObject) -> Iterator[TurnEvent]:
        call_id, call = self._known(update)
        status = find_text(update, "status")
        if status in ("completed", "failed"):
            yield ProviderTool(call_id, call.title, status)

    def _count(self, update: JsonObject) -> None:
        """Add what one question to a model took, for agents that tell it with their pieces."""
        counted = find_object(find_object(update, "_meta"), "usage")
        if counted is not None:
            more, before = _usage(counted), self._counted or Usage(0, 0)
            self._counted = Usage(
                before.input_tokens + more.input_tokens,
                before.output_tokens + more.output_tokens,
                before.cached_input_tokens + more.cached_input_tokens,
            )

    def _thought_over(self) -> Iterator[TurnEvent]:
        if self._thought:
            yield ThinkingDone(Thinking("".join(self._thought)))
            self._thought = []

    def _result(self, told: JsonObject) -> JsonObject:
        error = find_object(told, "error")
        if error is not None:
            words = quoted(_complaint(error), *self._secrets)
            if integer(error, "code") == AUTH_REQUIRED:
                raise ProviderError(
                    ProviderCode.NO_KEY,
                    f"The agent wants you to sign in: {words}",
                    hint="Run the agent by hand once and sign in, or give it a key by apiKeyRef.",
                )
            raise ProviderError(ProviderCode.PROGRAM_FAILED, f"The agent failed: {words}")
        return find_object(told, "result") or {}

    def _send(self, method: str, params: JsonObject) -> int:
        self._last_id += 1
        self._write({"id": self._last_id, "method": method, "params": params})
        return self._last_id

    def _write(self, message: JsonObject) -> None:
        self._program.send(orjson.dumps({"jsonrpc": "2.0", **message}) + b"\n")

    async def _read(self) -> JsonObject:
        while True:
            line = await self._program.line(self._pace)
            if line is None:
                raise await self._program.failure(*self._secrets)
            if line.strip():
                return read_object(line, "The agent")

    def _malformed(self, what: str) -> ProviderError:
        return ProviderError(ProviderCode.MALFORMED, f"The agent {what}; the turn was stopped.")


def _outcome(params: JsonObject, *, allowed: bool) -> JsonObject:
    """The answer to a request; a permission for once only, never one for always."""
    wanted = "allow_once" if allowed else "reject_once"
    options = params.get("options")
    for option in options if isinstance(options, list) else ():
        if find_text(option, "kind") == wanted:
            return {"outcome": "selected", "optionId": find_text(option, "optionId") or ""}
    return {"outcome": "cancelled"}


def _usage(counted: JsonObject) -> Usage:
    """By the protocol the cached tokens are not among the input; by the total of some agents they are."""
    cached, taken = integer(counted, "cachedReadTokens"), integer(counted, "inputTokens")
    made = integer(counted, "outputTokens")
    among = integer(counted, "totalTokens") == taken + made
    return Usage(taken if among else taken + cached, made, cached)


def _complaint(error: JsonObject) -> str:
    """The message of an error, and its details where the message alone says nothing."""
    data = error.get("data")
    details = data if isinstance(data, str) else find_text(find_object(error, "data"), "details")
    return ": ".join(part for part in (find_text(error, "message"), details) if part)


def _key_variable(config: ModelConfig, model_id: str) -> str | None:
    """The variable in which the agent finds its key, if the entry gives it one."""
    if config.api_key_ref is None:
        return None
    variable = config.options.get(KEY_VARIABLE)
    if not isinstance(variable, str) or not is_env_name(variable):
        raise UsageError(
            "MODEL_ENTRY_INVALID",
            f"The model {model_id!r} does not say in which variable its agent looks for the key.",
            hint='Set options, for example {"keyVariable": "OPENAI_API_KEY"}.',
        )
    return variable


KIND = ProviderKind(NAME, "a coding agent that speaks the Agent Client Protocol", AcpProvider)
