"""RPC rows of the agents' tools: what there is, and calling one."""

from __future__ import annotations

import time
from typing import Annotated, Any

from pydantic import Field
from pydantic import JsonValue as PydanticJson

from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonObject
from ploinky.gateway.audit import AuditRecord
from ploinky.gateway.rpc.method import Answer, Call, Method, Params, Rate, Scope, reading
from ploinky.router.callers import CallerKind, matches
from ploinky.router.gateway_client import ToolAnswer, ToolInfo, ToolProgress


class ToolsParams(Params):
    """``agent``: only its tools, by their own names; left out: all, by their public names."""

    agent: str | None = None


class CallParams(Params):
    """``tool`` is the tool's own name if ``agent`` is given, else its public name. Progress comes as events
    of the topic ``calls`` that carry ``callId``."""

    tool: Annotated[str, Field(min_length=1, max_length=300)]
    agent: str | None = None
    arguments: dict[str, PydanticJson] = Field(default_factory=dict)
    call_id: Annotated[str, Field(max_length=100)] | None = None
    timeout_s: Annotated[float, Field(gt=0, le=3600)] = 600.0


class ToolRow(Answer):
    """One tool; ``inputSchema`` is JSON Schema."""

    name: str
    agent: str | None
    title: str
    description: str
    input_schema: dict[str, PydanticJson]


class CallAnswer(Answer):
    """What the tool answered. ``isError``: the tool itself says it failed."""

    text: str
    structured: PydanticJson
    is_error: bool
    ms: float


async def list_tools(call: Call, params: ToolsParams) -> list[ToolRow]:
    """The tools that agents offer now."""
    found = await call.services.tools().list_tools(params.agent)
    return [row for tool in found if _may_reach(call, row := _row(tool, params.agent))]


async def call_tool(call: Call, params: CallParams) -> CallAnswer:
    """Call a tool and wait for its answer."""
    services = call.services
    await _require_reach(call, params)

    async def on_progress(progress: ToolProgress) -> None:
        share = progress.progress / progress.total if progress.total else None
        facts: JsonObject = {"fraction": share, "message": progress.message}
        _tell(call, params, "progress", facts)

    began = time.perf_counter()
    outcome = "INTERRUPTED"
    try:
        answer: ToolAnswer = await services.tools().call_tool(
            params.tool,
            dict(params.arguments),
            agent=params.agent,
            on_progress=on_progress,
            timeout_s=params.timeout_s,
        )
        outcome = "TOOL_FAILED" if answer.is_error else "ok"
    finally:
        ms = (time.perf_counter() - began) * 1000
        target = f"{params.agent}.{params.tool}" if params.agent else params.tool
        services.audit.record(AuditRecord("tool", str(call.caller), target, outcome, call.audit_id, ms=ms))
        _tell(call, params, "ended", {"outcome": outcome, "ms": round(ms, 1)})
    return CallAnswer(
        text=answer.text, structured=answer.structured, is_error=answer.is_error, ms=round(ms, 1)
    )


def _may_reach(call: Call, row: ToolRow) -> bool:
    """Whether the caller's token covers the agent; the tools are asked for with the owner's."""
    caller = call.caller
    return caller.kind is CallerKind.OWNER or (row.agent is not None and matches(row.agent, caller.agents))


async def _require_reach(call: Call, params: CallParams) -> None:
    if call.caller.kind is CallerKind.OWNER:
        return
    rows = await list_tools(call, ToolsParams(agent=params.agent))
    if all(row.name != params.tool for row in rows):
        raise PloinkyError("FORBIDDEN", "This caller's token covers no such tool.")


def _tell(call: Call, params: CallParams, kind: str, facts: JsonObject) -> None:
    payload: JsonObject = {"callId": params.call_id, "tool": params.tool, **facts}
    call.services.hub.publish("calls", kind, payload, agent=params.agent)


def _row(tool: ToolInfo, agent: str | None) -> ToolRow:
    return ToolRow(
        name=tool.name,
        agent=tool.agent or agent,
        title=tool.title,
        description=tool.description,
        input_schema=tool.input_schema,
    )


TOOL_METHODS: tuple[Method[Any], ...] = (
    reading("tools.list", ToolsParams, list[ToolRow], Scope.TOOLS_CALL, list_tools),
    Method("tools.call", CallParams, CallAnswer, Scope.TOOLS_CALL, call_tool, Rate(6000, 600), quiet=True),
)
