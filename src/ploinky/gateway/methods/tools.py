"""RPC rows of the agents' tools: what there is, and calling one."""

from __future__ import annotations

import time
from typing import Annotated, Any

from pydantic import Field
from pydantic import JsonValue as PydanticJson

from ploinky.base.jsontypes import JsonObject
from ploinky.gateway.rpc.method import Answer, Call, Method, Params, Rate, Scope, reading
from ploinky.router.gateway_client import ToolAnswer, ToolInfo, ToolProgress
from ploinky.router.served import INTERRUPTED, OK, TOOL_FAILED


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
    found = await call.services.tools(call.caller).list_tools(params.agent)
    return [_row(tool, params.agent) for tool in found]


async def call_tool(call: Call, params: CallParams) -> CallAnswer:
    """Call a tool and wait for its answer."""
    services = call.services

    async def on_progress(progress: ToolProgress) -> None:
        share = progress.progress / progress.total if progress.total else None
        facts: JsonObject = {"fraction": share, "message": progress.message}
        _tell(call, params, "progress", facts)

    began = time.perf_counter()
    outcome = INTERRUPTED
    try:
        answer: ToolAnswer = await services.tools(call.caller).call_tool(
            params.tool,
            dict(params.arguments),
            agent=params.agent,
            on_progress=on_progress,
            timeout_s=params.timeout_s,
        )
        outcome = TOOL_FAILED if answer.is_error else OK
    finally:
        ms = (time.perf_counter() - began) * 1000
        _tell(call, params, "ended", {"outcome": outcome, "ms": round(ms, 1)})
    return CallAnswer(
        text=answer.text, structured=answer.structured, is_error=answer.is_error, ms=round(ms, 1)
    )


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
