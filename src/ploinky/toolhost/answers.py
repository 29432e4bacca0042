"""Requests of MCP answered by programs: one function per method, over one configuration.

Knows the words of MCP and no HTTP, no session, no public name. To serve one more method: a row in the table
of ``ProgramAnswers`` and, if clients must know, a capability in ``offers``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from ploinky.base.errors import NotFoundError, PloinkyError
from ploinky.base.jsontypes import JsonObject, find_object, find_text
from ploinky.mcp.messages import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    MISSING_CAPABILITY,
    NOT_FOUND,
    RpcError,
    clipped,
)
from ploinky.mcp.traces import trace_in
from ploinky.mcp.upstream import Ask
from ploinky.toolhost.client_listener import capabilities_of
from ploinky.toolhost.host import CallMeta, ToolHost
from ploinky.toolhost.listener import DEAF, Listener
from ploinky.toolhost.offers import call_result, complete_result, offer_of, prompt_result, read_result
from ploinky.toolhost.results import ProgramError, ToolResult
from ploinky.toolhost.specs import ToolSpec

__all__ = ["ProgramAnswers", "offer_of"]

Answer = Callable[[Ask, Listener], Awaitable[JsonObject]]
_CODES: Mapping[str, int] = MappingProxyType(
    {
        "RESOURCE_NOT_FOUND": NOT_FOUND,
        "PROMPT_NOT_FOUND": INVALID_PARAMS,
        "PROMPT_ARGUMENTS": INVALID_PARAMS,
        "RESOURCE_FAILED": INTERNAL_ERROR,
        "PROMPT_FAILED": INTERNAL_ERROR,
        "COMPLETION_FAILED": INTERNAL_ERROR,
    }
)


class ProgramAnswers:
    """Answers for one configuration, by the programs of ``host``."""

    def __init__(self, host: ToolHost) -> None:
        self._host = host
        self._answers: dict[str, Answer] = {
            "tools/call": self._call,
            "resources/read": self._read,
            "prompts/get": self._prompt,
            "completion/complete": self._complete,
        }

    @property
    def has_async_tools(self) -> bool:
        return any(tool.is_async for tool in self._host.tools)

    def find_tool(self, name: str) -> ToolSpec | None:
        return self._host.find_tool(name)

    def refusal(self, name: str, arguments: JsonObject) -> ToolResult | None:
        """See ``ToolHost``."""
        return self._host.refusal(name, arguments)

    def asks(self, ask: Ask) -> bool:
        """Whether the program that answers may ask the client while it runs."""
        config, name, uri = self._host.config, ask.params.get("name"), ask.params.get("uri")
        match ask.method:
            case "tools/call":
                tool = self._host.find_tool(name) if isinstance(name, str) else None
                return tool is not None and bool(tool.program.asks)
            case "prompts/get":
                return any(each.program is not None and each.program.asks for each in config.prompts)
            case "resources/read":
                return isinstance(uri, str) and any(
                    each.program is not None and each.program.asks for each in config.resources
                )
        return False

    async def answer(self, ask: Ask, listener: Listener = DEAF) -> JsonObject:
        """The result of ``ask``.

        Raises:
            RpcError: wrong params, nothing of that name, no such method, the program's own error.
            PloinkyError: the agent is or went away.
        """
        answer = self._answers.get(ask.method)
        if answer is None:
            raise RpcError(METHOD_NOT_FOUND, f"Method not found: {clipped(ask.method)}")
        try:
            return await answer(ask, listener)
        except ProgramError as error:
            raise RpcError(error.rpc_code, error.message) from error
        except PloinkyError as error:
            code = _CODES.get(error.code)
            if code is None:
                raise
            uri = find_text(ask.params, "uri")
            raise RpcError(code, error.message, {"uri": uri} if uri is not None else None) from error

    async def _call(self, ask: Ask, listener: Listener) -> JsonObject:
        name, arguments = call_params(ask.params)
        self.require_capabilities(ask, name)
        return call_result(await self._host.call(name, arguments, meta_of(ask), listener))

    def require_capabilities(self, ask: Ask, name: str) -> None:
        """Raises:
        RpcError: the tool is for clients that can what this one cannot.
        """
        tool = self._host.find_tool(name)
        missing = sorted(tool.requires - capabilities_of(ask.client)) if tool is not None else []
        if missing:
            needed: JsonObject = {each: {} for each in missing}
            raise RpcError(
                MISSING_CAPABILITY,
                f"Tool {name!r} is for clients with {' and '.join(missing)}.",
                {"requiredCapabilities": needed},
            )

    async def _read(self, ask: Ask, listener: Listener) -> JsonObject:
        uri = find_text(ask.params, "uri")
        if uri is None:
            raise RpcError(INVALID_PARAMS, "params.uri must be the URI of a resource.")
        return read_result(await self._host.read(uri, meta_of(ask), listener))

    async def _prompt(self, ask: Ask, listener: Listener) -> JsonObject:
        name = find_text(ask.params, "name")
        if name is None:
            raise RpcError(INVALID_PARAMS, "params.name must be the name of a prompt.")
        arguments = _texts(ask.params.get("arguments", {}), "params.arguments")
        return prompt_result(await self._host.prompt(name, arguments, meta_of(ask), listener))

    async def _complete(self, ask: Ask, listener: Listener) -> JsonObject:
        ref, argument = find_object(ask.params, "ref"), find_object(ask.params, "argument")
        kind, name = find_text(ref, "type"), find_text(ref, "name") or find_text(ref, "uri")
        wanted, typed = find_text(argument, "name"), find_text(argument, "value")
        if kind not in ("ref/prompt", "ref/resource") or name is None or wanted is None or typed is None:
            raise RpcError(INVALID_PARAMS, "params.ref and params.argument say what to complete.")
        given = find_object(ask.params, "context") or {}
        context = _texts(given.get("arguments", {}), "params.context.arguments")
        try:
            completion = self._host.find_completion(kind, name, wanted)
        except NotFoundError as error:
            raise RpcError(INVALID_PARAMS, error.message) from error
        if completion is None:
            return complete_result([])
        return complete_result(await self._host.complete(completion, wanted, typed, context, meta_of(ask)))


def call_params(params: JsonObject) -> tuple[str, JsonObject]:
    """Name and arguments of a ``tools/call``.

    Raises:
        RpcError: one of them is not what it must be.
    """
    name, arguments = params.get("name"), params.get("arguments")
    if not isinstance(name, str):
        raise RpcError(INVALID_PARAMS, "params.name must be the name of a tool.")
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, dict):
        raise RpcError(INVALID_PARAMS, "params.arguments must be an object.")
    return name, arguments


def meta_of(ask: Ask, task_id: str | None = None) -> CallMeta:
    """What the program may know of the request."""
    client = ask.client
    able = tuple(sorted(capabilities_of(client)))
    return CallMeta(ask.id, client.session_id, client.caller, task_id, able, trace_in(ask.params))


def _texts(given: object, what: str) -> dict[str, str]:
    if given is None:
        return {}
    if not isinstance(given, dict) or not all(isinstance(each, str) for each in given.values()):
        raise RpcError(INVALID_PARAMS, f"{what} must be an object of texts.")
    return given
