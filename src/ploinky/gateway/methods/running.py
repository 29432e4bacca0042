"""Operations on behalf of a call: to the end within it, or in the background with events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from pydantic import JsonValue as PydanticJson

from ploinky.base.jsontypes import JsonValue
from ploinky.gateway.rpc.method import Answer, Call
from ploinky.wire.events import Event, Result


class OperationAnswer(Answer):
    """``operationId`` is that of its events; ``result`` is null while it runs."""

    operation_id: str
    done: bool
    result: PydanticJson = None


class MayWait(Protocol):
    """Parameters that name an agent and say whether to wait."""

    @property
    def agent(self) -> str | None: ...

    @property
    def wait(self) -> bool: ...


async def collect(events: AsyncIterator[Event]) -> JsonValue:
    """Run a short operation to its end; its result."""
    value: JsonValue = None
    async for event in events:
        if isinstance(event, Result):
            value = event.value
    return value


async def run_operation(
    call: Call, events: AsyncIterator[Event], title: str, params: MayWait
) -> OperationAnswer:
    """Run a long operation; the client may leave, it goes on."""
    runner = call.services.runner
    operation = runner.start(events, title, agent=params.agent)
    if not params.wait:
        return OperationAnswer(operation_id=operation.id, done=False)
    result = await runner.finish(operation)
    return OperationAnswer(operation_id=operation.id, done=True, result=result)
