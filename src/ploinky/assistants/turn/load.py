"""First stage: the thread as it is, with the new messages of this run added if they are not there yet."""

from __future__ import annotations

from dataclasses import replace

from ploinky.assistants.incoming import new_messages
from ploinky.assistants.journal import EventKind
from ploinky.assistants.messages import NewMessage, Role
from ploinky.assistants.runs import Run, RunStatus
from ploinky.assistants.turn.state import TurnState
from ploinky.base.clock import now_iso
from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.providers.protocol import ToolCall


async def load(state: TurnState) -> None:
    """Fill ``state.thread`` and tell that the run has begun. A run that is resumed adds nothing."""
    threads = state.parts.threads
    await threads.append(state.session, new_messages(threads.messages(state.session.id), asked_of(state.run)))
    state.thread = list(threads.messages(state.session.id))
    state.first_turn = not any(each.role is Role.ASSISTANT for each in state.thread)
    resumed = state.run.started_at is not None
    model = state.model.model_id
    state.run = replace(
        state.run, status=RunStatus.RUNNING, started_at=state.run.started_at or now_iso(), model=model
    )
    told: JsonObject = {"kind": state.run.kind.value, "model": model, "resumed": resumed}
    await state.tell_with_run([(EventKind.STARTED, told)])


def asked_of(run: Run) -> list[NewMessage]:
    """The messages that the run was asked with; each has an id, so that adding them twice adds them once."""
    found = run.request.get("messages")
    return [_message(run, each) for each in found] if isinstance(found, list) else []


def _message(run: Run, value: JsonValue) -> NewMessage:
    assert isinstance(value, dict)
    data = value.get("data")
    return NewMessage(
        Role(str(value["role"])),
        str(value["content"]),
        str(value["id"]),
        run.id,
        data if isinstance(data, dict) else {},
    )


def call_of(run: Run) -> ToolCall | None:
    """The tool that the run was asked to call, without a model."""
    found = run.request.get("call")
    if not isinstance(found, dict):
        return None
    arguments = found.get("arguments")
    return ToolCall(f"call_{run.id}", str(found["tool"]), arguments if isinstance(arguments, dict) else {})


def request_of(messages: list[NewMessage], call: tuple[str, JsonObject] | None = None) -> JsonObject:
    """What is kept of a request, so that ``asked_of`` and ``call_of`` can read it after a restart."""
    rows: list[JsonValue] = [
        {"id": each.id, "role": each.role.value, "content": each.content, "data": each.data}
        for each in messages
    ]
    return {"messages": rows} if call is None else {"call": {"tool": call[0], "arguments": call[1]}}
