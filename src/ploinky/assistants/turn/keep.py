"""Fifth stage: what the model said becomes a message of the thread, byte for byte as it was streamed."""

from __future__ import annotations

import json

from ploinky.assistants.messages import NewMessage, Role
from ploinky.assistants.runs import interrupted_result
from ploinky.assistants.turn.state import TurnState
from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.providers.folding import TurnFold
from ploinky.providers.protocol import AssistantMessage, ToolCall


async def keep(state: TurnState, fold: TurnFold) -> None:
    """Append the message, with the calls it asks for."""
    assert state.partial is not None
    message = fold.message
    data: JsonObject = {}
    if message.tool_calls:
        data["toolCalls"] = [_call(call, state) for call in message.tool_calls]
        data |= _thinking(message, state)
    new = NewMessage(Role.ASSISTANT, message.text, state.partial[0], state.run.id, data)
    if message.text or message.tool_calls:
        state.thread += await state.parts.threads.append(state.session, [new])
    state.partial = None


async def keep_call(state: TurnState, call: ToolCall) -> None:
    """Append a message that asks for a call which somebody else than the model wants; once."""
    data: JsonObject = {"toolCalls": [_call(call, state)], "source": state.run.kind.value}
    new = NewMessage(Role.ASSISTANT, "", f"msg_{state.run.id}", state.run.id, data)
    if all(each.id != new.id for each in state.thread):
        state.thread += await state.parts.threads.append(state.session, [new])


async def keep_partial(state: TurnState, status: str) -> None:
    """Keep what came out of a call that did not end, and give every open call a result that says so."""
    if state.partial is not None and state.partial[1]:
        message_id, text = state.partial
        new = NewMessage(Role.ASSISTANT, text, message_id, state.run.id, {"status": status})
        state.thread += await state.parts.threads.append(state.session, [new])
    state.partial = None
    missing = [interrupted_result(state.run.id, call.id, call.name) for call in state.open_calls()]
    state.thread += await state.parts.threads.append(state.session, missing)


def _thinking(message: AssistantMessage, state: TurnState) -> JsonObject:
    """Signed thinking: its provider wants it back with the calls, unchanged or not at all."""
    signed = [each for each in message.thinking if each.signature is not None]
    if not signed or any(state.parts.scrub(each.text) != each.text for each in signed):
        return {}
    kept: list[JsonValue] = [{"text": each.text, "signature": each.signature} for each in signed]
    return {"thinking": kept}


def _call(call: ToolCall, state: TurnState) -> JsonValue:
    """The call as it is kept, and as it will be made: a secret has no business in its arguments."""
    try:
        arguments: JsonValue = json.loads(state.parts.scrub(json.dumps(call.arguments, ensure_ascii=False)))
    except ValueError:
        arguments = {}  # the secret was part of the JSON's own signs
    kept: JsonObject = {"id": call.id, "name": call.name, "arguments": arguments}
    if call.malformed is not None:
        kept["malformed"] = state.parts.scrub(call.malformed)
    return kept
