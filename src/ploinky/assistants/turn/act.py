"""Fourth stage: the tools that the model asked for, side by side; every call gets a result that is kept."""

from __future__ import annotations

import anyio

from ploinky.assistants.journal import EventKind
from ploinky.assistants.messages import NewMessage, Role
from ploinky.assistants.toolkit import ToolOutcome, ToolUse
from ploinky.assistants.turn.judge import judge
from ploinky.assistants.turn.state import TurnState
from ploinky.base.jsontypes import JsonObject
from ploinky.base.names import closest
from ploinky.providers.protocol import ToolCall

MOST_AT_ONCE = 8
_SHOWN = 8000


async def act(state: TurnState, calls: tuple[ToolCall, ...]) -> None:
    """Run the calls and keep their results in the thread."""
    limiter = anyio.Semaphore(MOST_AT_ONCE)

    async def one(call: ToolCall) -> None:
        async with limiter:
            await _answer(state, call, await _run(state, call))

    async with anyio.create_task_group() as tasks:
        for call in calls:
            tasks.start_soon(one, call)


async def _run(state: TurnState, call: ToolCall) -> ToolOutcome:
    toolbox = state.parts.toolbox
    spec = toolbox.find(call.name)
    risk = None if spec is None else spec.risk.value
    told: JsonObject = {"id": call.id, "name": call.name, "arguments": call.arguments, "risk": risk}
    await state.tell(EventKind.TOOL_CALL, told)
    if call.malformed is not None:
        return ToolOutcome("The arguments are no JSON object; write them again.", is_error=True)
    if spec is None:
        near = closest(call.name, [each.name for each in toolbox.offered()])
        guess = f" Did you mean {near}?" if near else ""
        return ToolOutcome(f"There is no tool {call.name!r}.{guess}", is_error=True)
    verdict = await judge(state, spec, call.arguments)
    if not verdict.allowed:
        return ToolOutcome(verdict.why, is_error=True, data={"denied": True})

    async def on_progress(message: str, fraction: float | None) -> None:
        text = state.parts.scrub(message)[:500]
        await state.tell(EventKind.TOOL_PROGRESS, {"id": call.id, "message": text, "fraction": fraction})

    use = ToolUse(state.run, on_progress, tainted=state.tainted, depth=state.ticket.depth)
    return await toolbox.call(spec, call.arguments, use)


async def _answer(state: TurnState, call: ToolCall, outcome: ToolOutcome) -> None:
    text = state.parts.scrub(outcome.text)
    data: JsonObject = {"toolCallId": call.id, "name": call.name, **outcome.data}
    if outcome.is_error:
        data["isError"] = True
    if outcome.outside:
        data["tainted"] = True
    state.thread += await state.parts.threads.append(
        state.session, [NewMessage(Role.TOOL, text, run_id=state.run.id, data=data)]
    )
    shown: JsonObject = {"id": call.id, "name": call.name, "text": text[:_SHOWN]}
    marks: JsonObject = {"isError": outcome.is_error, "tainted": bool(outcome.outside)}
    await state.tell(EventKind.TOOL_RESULT, {**shown, **marks, "cut": len(text) > _SHOWN})
