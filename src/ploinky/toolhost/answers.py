"""Requests of MCP answered by programs: what an agent of programs offers, and one function per method.

Knows the words of MCP and no HTTP, no session, no public name. To serve one more method: a row in the table
of ``ProgramAnswers`` and, if clients must know, a capability in ``offer_of``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ploinky.base.jsontypes import JsonObject
from ploinky.mcp.messages import INVALID_PARAMS, METHOD_NOT_FOUND, RequestId, RpcError
from ploinky.mcp.upstream import Ask, Back, Offer
from ploinky.toolhost.config import ToolConfig, ToolSpec
from ploinky.toolhost.host import CallMeta, ToolHost
from ploinky.toolhost.output import OnProgress
from ploinky.toolhost.progress import Progress
from ploinky.toolhost.results import ToolResult

Answer = Callable[[Ask], Awaitable[JsonObject]]


def offer_of(config: ToolConfig) -> Offer:
    """What the programs of ``config`` offer."""
    return Offer(
        capabilities={"tools": {"listChanged": True}}, tools=tuple(_wire_tool(tool) for tool in config.tools)
    )


class ProgramAnswers:
    """Answers for one configuration, by the programs of ``host``."""

    def __init__(self, host: ToolHost) -> None:
        self._host = host
        self._answers: dict[str, Answer] = {"tools/call": self._call}

    async def answer(self, ask: Ask) -> JsonObject:
        """The result of ``ask``.

        Raises:
            RpcError: wrong params, nothing of that name, no such method.
            PloinkyError: the agent is or went away.
        """
        answer = self._answers.get(ask.method)
        if answer is None:
            raise RpcError(METHOD_NOT_FOUND, f"Method not found: {ask.method}")
        return await answer(ask)

    async def _call(self, ask: Ask) -> JsonObject:
        name, arguments = call_params(ask.params)
        client = ask.client
        meta = CallMeta(ask.id, client.session_id, client.caller)
        result = await self._host.call(name, arguments, meta, _progress_to(ask.back, ask.params))
        return call_result(result)


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


def call_result(result: ToolResult) -> JsonObject:
    """A ``CallToolResult``."""
    wire: JsonObject = {"content": [{"type": "text", "text": result.text}], "isError": result.is_error}
    if result.has_structured:
        wire["structuredContent"] = result.structured
    return wire


def progress_token(params: JsonObject) -> RequestId | None:
    """The token under which the client wants to hear of progress."""
    meta = params.get("_meta")
    token = meta.get("progressToken") if isinstance(meta, dict) else None
    return token if isinstance(token, (str, int)) and not isinstance(token, bool) else None


def _progress_to(back: Back, params: JsonObject) -> OnProgress | None:
    token = progress_token(params)
    if token is None:
        return None

    async def on_progress(progress: Progress) -> None:
        told: JsonObject = {"progressToken": token, "progress": progress.progress}
        if progress.total is not None:
            told["total"] = progress.total
        if progress.message is not None:
            told["message"] = progress.message
        back.notify("notifications/progress", told)

    return on_progress


def _wire_tool(tool: ToolSpec) -> JsonObject:
    wire: JsonObject = {"name": tool.name, "inputSchema": tool.input_schema}
    for key, value in (("title", tool.title), ("description", tool.description)):
        if value is not None:
            wire[key] = value
    if tool.annotations is not None:
        wire["annotations"] = tool.annotations
    if tool.output_schema is not None:
        wire["outputSchema"] = tool.output_schema
    return wire
