"""The turn as a whole: its stages in order, its bounds, and how it ends whatever happens."""

from __future__ import annotations

import logging
from dataclasses import replace

import anyio

from ploinky.assistants.journal import EventKind
from ploinky.assistants.runs import INTERRUPTED, Run, RunError, RunStatus
from ploinky.assistants.turn.act import act
from ploinky.assistants.turn.ask import ask
from ploinky.assistants.turn.assemble import assemble
from ploinky.assistants.turn.keep import keep, keep_call, keep_partial
from ploinky.assistants.turn.load import call_of, load
from ploinky.assistants.turn.state import TurnState
from ploinky.base.clock import now_iso
from ploinky.base.errors import DeadlineError, PloinkyError
from ploinky.base.jsontypes import JsonObject
from ploinky.providers.errors import ProviderCode

_log = logging.getLogger(__name__)
_END_TIMEOUT_S = 30.0
_KEY_FAULTS = (ProviderCode.NO_KEY, ProviderCode.KEY_REFUSED)


async def run_turn(state: TurnState) -> Run:
    """Work on a run to its end; the run as it ended. Raises nothing but cancellation, which ends it too."""
    try:
        await _bounded(state)
    except anyio.get_cancelled_exc_class():
        with anyio.CancelScope(shield=True), anyio.move_on_after(_END_TIMEOUT_S):
            await _stop(state)
        raise
    except Exception as error:
        await _end(state, RunStatus.FAILED, _as_error(error, state))
    else:
        await _end(state, RunStatus.DONE, None)
    return state.run


async def _bounded(state: TurnState) -> None:
    limit_s = state.settings.turn.timeout
    try:
        with anyio.fail_after(limit_s):
            await _stages(state)
    except TimeoutError as error:
        raise DeadlineError(
            "the turn to end", limit_s, code="TURN_TIMEOUT", hint="Raise turn.timeout if it may take longer."
        ) from error


async def _stages(state: TurnState) -> None:
    await load(state)
    call = call_of(state.run)
    if call is not None:
        await keep_call(state, call)
        await act(state, state.open_calls())
        _require_success(state)
        return
    for _ in range(state.settings.turn.max_rounds):
        calls = state.open_calls()
        if calls:
            await act(state, calls)
        fold = await ask(state, await assemble(state))
        await keep(state, fold)
        if not fold.message.tool_calls:
            return
    raise PloinkyError(
        "TOO_MANY_ROUNDS",
        f"The turn was stopped after {state.settings.turn.max_rounds} rounds of tools.",
        hint="Ask for less at a time, or raise turn.maxRounds.",
    )


def _require_success(state: TurnState) -> None:
    """A run that is one call fails with it."""
    result = state.thread[-1]
    if result.data.get("isError") is True:
        raise PloinkyError("TOOL_FAILED", result.content[:500])


async def _stop(state: TurnState) -> None:
    """End a cancelled run; one that waits for a person is left as it is if the gateway ends, and goes on
    with the next one."""
    if state.ticket.cancelled_as is not RunStatus.INTERRUPTED:
        await _end(state, state.ticket.cancelled_as, None)
    elif state.waiting and state.partial is None:
        await state.become(RunStatus.WAITING)
    else:
        await _end(state, RunStatus.INTERRUPTED, INTERRUPTED)


async def _end(state: TurnState, status: RunStatus, error: RunError | None) -> None:
    await keep_partial(state, status.value if status is RunStatus.CANCELLED else "interrupted")
    await state.parts.approvals.withdraw_run(state.run.id)
    state.run = replace(state.run, status=status, ended_at=now_iso(), error=error, notes=tuple(state.notes))
    usage: JsonObject = {
        "inputTokens": state.run.input_tokens,
        "outputTokens": state.run.output_tokens,
        "cost": state.run.cost,
    }
    done: JsonObject = {
        "status": status.value,
        "model": state.run.model,
        "usage": usage,
        "notes": list(state.run.notes),
    }
    told = [*_told_of(state, error), (EventKind.DONE, done)]
    await state.tell_with_run(told)
    state.parts.journal.forget_run(state.run.id)


def _told_of(state: TurnState, error: RunError | None) -> list[tuple[EventKind, JsonObject]]:
    """The error, and the question for the model's key if it failed for want of one that is kept here."""
    if error is None:
        return []
    told = [(EventKind.ERROR, error.wire())]
    reference = state.model.entry.key_reference if error.code in _KEY_FAULTS else None
    if reference is not None and reference.place == "profile":
        wanted: JsonObject = {"kind": "provider", "owner": reference.owner, "name": reference.name}
        refused = error.code == ProviderCode.KEY_REFUSED
        told.append((EventKind.CREDENTIAL_NEEDED, {**wanted, "why": error.message, "refused": refused}))
    return told


def _as_error(error: BaseException, state: TurnState) -> RunError:
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, PloinkyError):
        hint = None if error.hint is None else state.parts.scrub(error.hint)
        return RunError(error.code, state.parts.scrub(error.message), hint)
    _log.error("a turn of %s failed inside", state.parts.assistant, exc_info=error)
    return RunError("INTERNAL", "The turn failed inside the gateway.", f"Its log says more: {state.run.id}")
