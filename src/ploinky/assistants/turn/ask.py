"""Third stage: one call of the model. Its words are kept in the journal before anybody sees them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

import anyio

from ploinky.assistants.context import Context
from ploinky.assistants.ids import new_id
from ploinky.assistants.journal import EventKind
from ploinky.assistants.turn.judge import ask_for
from ploinky.assistants.turn.state import TurnState
from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonObject
from ploinky.providers.folding import TurnFold
from ploinky.providers.protocol import (
    FallingBack,
    PermissionRequest,
    ProviderTool,
    Retrying,
    TextDelta,
    ThinkingDelta,
    TurnEvent,
    TurnOptions,
    Usage,
)

_FLUSH_TIMEOUT_S = 10.0


async def ask(state: TurnState, context: Context) -> TurnFold:
    """What the model said to ``context``, told while it comes.

    Raises:
        ProviderError: the call failed; what had come out is in ``state.partial``.
        PloinkyError: ``BUDGET_SPENT``, ``OUTPUT_TOO_LONG``.
    """
    state.parts.spending.require_turn(state.settings.budgets)
    fold = TurnFold()
    message_id = new_id("msg")
    state.partial = (message_id, "")
    options = TurnOptions(
        max_output_tokens=None,
        context_tokens=context.budget,
        session=f"{state.parts.assistant}/{state.session.id}",
        permit=lambda request: _permit(state, request),
    )
    turn = state.model.provider().stream_turn(context.messages, context.tools, options)
    async with _speaking(state, message_id) as say, aclosing(turn):
        async for event in turn:
            fold.add(event)
            if isinstance(event, TextDelta):
                say.add(event.text)
                state.said += len(event.text)
                state.partial = (message_id, say.text)
                _require_size(state)
            else:
                await _tell(state, event)
    done = fold.require_done()
    state.run = replace(state.run, model=done.served.model_id)
    await _count(state, fold.usage)
    return fold


class _Speech:
    """Words on their way into the journal: what comes while one piece is being kept goes with the next."""

    def __init__(self, state: TurnState, message_id: str) -> None:
        self._state = state
        self._message_id = message_id
        self._pieces: list[str] = []
        self._waiting: list[str] = []
        self._arrived = anyio.Event()
        self._ended = False

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def add(self, text: str) -> None:
        self._pieces.append(text)
        self._waiting.append(text)
        self._arrived.set()

    def end(self) -> None:
        self._ended = True
        self._arrived.set()

    async def run(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived = anyio.Event()
            await self.flush()
            if self._ended and not self._waiting:
                return

    async def flush(self) -> None:
        if self._waiting:
            text, self._waiting = "".join(self._waiting), []
            await self._state.tell(EventKind.ASSISTANT_DELTA, {"text": text, "messageId": self._message_id})


@asynccontextmanager
async def _speaking(state: TurnState, message_id: str) -> AsyncIterator[_Speech]:
    speech = _Speech(state, message_id)
    async with anyio.create_task_group() as tasks:

        async def speak() -> None:
            with anyio.CancelScope(shield=True):  # what was said is told, even of a turn that is cancelled
                await speech.run()

        tasks.start_soon(speak)
        try:
            yield speech
        finally:
            speech.end()


def _require_size(state: TurnState) -> None:
    limit = state.settings.turn.max_output_chars
    if state.said > limit:
        raise PloinkyError(
            "OUTPUT_TOO_LONG",
            f"The answer became longer than {limit} characters and was stopped.",
            hint="Raise turn.maxOutputChars if the assistant may say more.",
        )


async def _tell(state: TurnState, event: TurnEvent) -> None:
    match event:
        case ThinkingDelta(text):
            await state.tell(EventKind.THINKING, {"text": text})
        case Retrying(attempt, pause_s, code):
            data: JsonObject = {"code": code, "attempt": attempt, "pauseS": pause_s}
            await state.tell(EventKind.NOTICE, {"message": "The model is asked again.", **data})
        case FallingBack(failed, code, then):
            message = f"The model {failed} did not answer; {then} is asked."
            await state.tell(EventKind.NOTICE, {"message": message, "code": code})
        case ProviderTool(call_id, title, status, detail):
            kind = EventKind.TOOL_CALL if status == "started" else EventKind.TOOL_RESULT
            scrub = state.parts.scrub
            shown: JsonObject = {"id": call_id, "name": scrub(title), "status": status, "text": scrub(detail)}
            await state.tell(kind, {**shown, "byProvider": True, "isError": status == "failed"})
        case _:
            return


async def _permit(state: TurnState, request: PermissionRequest) -> bool:
    arguments: JsonObject = {"title": request.title, "kind": request.kind, "arguments": request.arguments}
    return await ask_for(state, f"provider.{request.kind or 'tool'}", arguments)


async def _count(state: TurnState, usage: Usage | None) -> None:
    if usage is None:
        return
    cost = None if usage.cost is None else (state.run.cost or 0.0) + usage.cost
    state.run = replace(
        state.run,
        input_tokens=state.run.input_tokens + usage.input_tokens,
        output_tokens=state.run.output_tokens + usage.output_tokens,
        cost=state.run.cost if cost is None else cost,
    )
    tokens = usage.input_tokens + usage.output_tokens
    await state.parts.spending.add_turn(state.run.id, tokens, usage.cost or 0.0)
    await state.tell(
        EventKind.USAGE,
        {
            "inputTokens": usage.input_tokens,
            "outputTokens": usage.output_tokens,
            "cachedInputTokens": usage.cached_input_tokens,
            "cost": usage.cost,
            "currency": usage.currency,
            "model": state.run.model,
        },
    )
