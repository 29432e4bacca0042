"""``tools`` and ``call``: what agents offer, and using it, over the running gateway."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from ploinky.base.errors import NotFoundError, PloinkyError, UsageError
from ploinky.base.jsontypes import JsonObject, JsonValue, find_object, find_text
from ploinky.base.names import closest
from ploinky.lifecycle.emitting import Emit, as_events
from ploinky.operations.gateway_link import require_client
from ploinky.router.gateway_client import GatewayClient, ToolInfo, ToolProgress
from ploinky.wire.events import Event, Progress, Result
from ploinky.workspace.documents import read_json_object
from ploinky.workspace.layout import Layout
from ploinky.workspace.summary import read_summaries

_FLAGS = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}


@dataclass(frozen=True)
class Called:
    """A tool and what it is to be called with; ``agent`` is None for a name on ``/mcp``."""

    agent: str | None
    tool: ToolInfo
    arguments: JsonObject


async def list_tools(layout: Layout, agent: str | None) -> AsyncIterator[Event]:
    """Every tool behind the router, or those of one agent by their own names."""
    keys = _enabled(layout)
    if agent is not None and agent not in keys:
        raise _not_enabled(agent, keys)
    found = await require_client(layout).list_tools(agent)
    rows: list[JsonValue] = [
        {
            "name": tool.name,
            "agent": tool.agent or agent,
            "title": tool.title,
            "description": tool.description,
            "input_schema": tool.input_schema,
            "async": tool.is_async,
        }
        for tool in found
    ]
    yield Result(value=rows)


async def call_tool(
    layout: Layout,
    target: str,
    *,
    pairs: Sequence[str],
    arguments: JsonObject,
    timeout_s: float,
) -> AsyncIterator[Event]:
    """Call ``AGENT.TOOL`` (or a tool by its name on ``/mcp``); ``pairs`` are ``key=value``, typed by the
    tool's schema, or ``key:=json``, and are laid over ``arguments``.

    Raises:
        UsageError: ``BAD_ARGUMENT``. NotFoundError: ``TOOL_NOT_FOUND``.
        PloinkyError: ``TOOL_FAILED`` with what the tool said; ``GATEWAY_DOWN``.
    """
    _split(target, _enabled(layout))  # what is not enabled is said first, whether or not the gateway runs
    client = require_client(layout)

    async def work(emit: Emit) -> None:
        called = await find_called(client, layout, target, pairs, arguments)

        async def on_progress(progress: ToolProgress) -> None:
            share = progress.progress / progress.total if progress.total else None
            await emit(Progress(label=target, fraction=share, message=progress.message))

        answer = await client.call_tool(
            called.tool.name,
            called.arguments,
            agent=called.agent,
            on_progress=on_progress,
            timeout_s=timeout_s,
        )
        if answer.is_error:
            raise PloinkyError("TOOL_FAILED", answer.text or f"The tool {target} failed and said nothing.")
        await emit(Result(value={"text": answer.text, "structured": answer.structured}))

    async for event in as_events(work):
        yield event


async def find_called(
    client: GatewayClient, layout: Layout, target: str, pairs: Sequence[str], arguments: JsonObject
) -> Called:
    """What ``target`` and the arguments of a command line stand for.

    Raises:
        UsageError: ``BAD_ARGUMENT``. NotFoundError: ``TOOL_NOT_FOUND``.
    """
    agent, name = _split(target, _enabled(layout))
    tool = await _find_tool(client, agent, name, target)
    return Called(agent, tool, {**arguments, **_typed(pairs, tool.input_schema)})


def _split(target: str, keys: Sequence[str]) -> tuple[str | None, str]:
    """The agent and its tool. An agent's name may hold dots: the longest enabled one counts."""
    fitting = [key for key in keys if target.startswith(f"{key}.")]
    if fitting:
        agent = max(fitting, key=len)
        return agent, target[len(agent) + 1 :]
    agent, dot, _ = target.partition(".")
    if not dot:
        return None, target
    raise _not_enabled(agent, keys)


def _enabled(layout: Layout) -> list[str]:
    servers = (read_json_object(layout.config_file, code="CONFIG_INVALID") or {}).get("mcpServers")
    named = servers.items() if isinstance(servers, dict) else ()
    outside = [str(key) for key, server in named if find_text(server, "url") is not None]
    return [*[summary.key for summary in read_summaries(layout)], *outside]


def _not_enabled(agent: str, keys: Sequence[str]) -> NotFoundError:
    near = closest(agent, keys)
    hint = f"Did you mean '{near}'?" if near else f"Start it: ploinky start {agent}"
    return NotFoundError("AGENT_NOT_ENABLED", f"Agent '{agent}' is not enabled.", hint=hint)


async def _find_tool(client: GatewayClient, agent: str | None, name: str, target: str) -> ToolInfo:
    tools = {tool.name: tool for tool in await client.list_tools(agent)}
    if name in tools:
        return tools[name]
    near = closest(name, tools)
    see = f"ploinky tools {agent}" if agent else "ploinky tools"
    hint = f"Did you mean '{near}'?" if near else f"See what there is: {see}"
    raise NotFoundError("TOOL_NOT_FOUND", f"There is no tool {target!r}.", hint=hint)


def _typed(pairs: Sequence[str], schema: JsonObject) -> JsonObject:
    properties = find_object(schema, "properties") or {}
    return dict(_pair(text, properties) for text in pairs)


def _pair(text: str, properties: Mapping[str, JsonValue]) -> tuple[str, JsonValue]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip(":"):
        raise UsageError("BAD_ARGUMENT", f"{text!r} is not key=value.", hint="Write -p key=value.")
    if name.endswith(":"):
        return name[:-1], _json(name[:-1], value)
    declared = properties.get(name)
    kind = declared.get("type") if isinstance(declared, dict) else None
    return name, _value(name, value, kind)


def _value(name: str, value: str, kind: JsonValue) -> JsonValue:
    if kind in ("integer", "number"):
        try:
            return int(value) if kind == "integer" else float(value)
        except ValueError as error:
            raise UsageError("BAD_ARGUMENT", f"{name} must be a {kind}, not {value!r}.") from error
    if kind == "boolean":
        if value.lower() not in _FLAGS:
            raise UsageError("BAD_ARGUMENT", f"{name} must be true or false, not {value!r}.")
        return _FLAGS[value.lower()]
    return _json(name, value) if kind in ("array", "object") else value


def _json(name: str, value: str) -> JsonValue:
    try:
        parsed: JsonValue = json.loads(value)
    except ValueError as error:
        raise UsageError("BAD_ARGUMENT", f"The value of {name} is not JSON: {error}.") from error
    return parsed
