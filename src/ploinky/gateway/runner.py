"""Operations that clients ask for: run to their end whoever waits, one task each, their events published.

A caller that goes away ends nothing; ``cancel`` does. What an operation yields goes to the topic
``operations``; its result or error is kept a while for those who ask later.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field

import anyio
import anyio.abc
from pydantic import JsonValue as PydanticJson

from ploinky.base.clock import now_iso
from ploinky.base.errors import NotFoundError, PloinkyError
from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.gateway.hub import EventHub
from ploinky.wire.events import Event, Result

KEPT_ENDED = 50
MOST_RUNNING = 32


@dataclass
class Operation:
    """One run of an operation. ``title`` is for people; ``outcome`` is empty while it runs."""

    id: str
    title: str
    agent: str | None
    started_at: str
    outcome: str = ""
    result: PydanticJson = None
    error: PloinkyError | None = None
    ended: anyio.Event = field(default_factory=anyio.Event)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    def facts(self) -> JsonObject:
        return {
            "id": self.id,
            "title": self.title,
            "agent": self.agent,
            "startedAt": self.started_at,
            "outcome": self.outcome,
            "message": self.error.message if self.error is not None else "",
        }


class Runner:
    """Starts operations in ``tasks``, which outlives every request."""

    def __init__(self, tasks: anyio.abc.TaskGroup, hub: EventHub) -> None:
        self._tasks = tasks
        self._hub = hub
        self._known: OrderedDict[str, Operation] = OrderedDict()

    def operations(self) -> list[Operation]:
        """Those that run and the last that ended, the newest last."""
        return list(self._known.values())

    def start(self, events: AsyncIterator[Event], title: str, *, agent: str | None = None) -> Operation:
        """Run an operation in the background.

        Raises:
            PloinkyError: ``TOO_MANY_OPERATIONS``.
        """
        if sum(not each.ended.is_set() for each in self._known.values()) >= MOST_RUNNING:
            raise PloinkyError(
                "TOO_MANY_OPERATIONS",
                f"{MOST_RUNNING} operations run already.",
                hint="Wait for one to end, or cancel it.",
            )
        operation = Operation(secrets.token_hex(8), title, agent, now_iso())
        self._known[operation.id] = operation
        self._forget()
        self._tasks.start_soon(self._run, operation, events)
        return operation

    async def finish(self, operation: Operation) -> PydanticJson:
        """The result of an operation once it has ended.

        Raises:
            PloinkyError: what the operation raised; ``CANCELLED``.
        """
        await operation.ended.wait()
        if operation.error is not None:
            raise operation.error
        return operation.result

    def cancel(self, operation_id: str) -> None:
        """End an operation that runs; one that has ended stays as it is.

        Raises:
            NotFoundError: ``OPERATION_NOT_FOUND``.
        """
        operation = self._known.get(operation_id)
        if operation is None:
            raise NotFoundError("OPERATION_NOT_FOUND", "There is no such operation.")
        operation.scope.cancel()

    async def _run(self, operation: Operation, events: AsyncIterator[Event]) -> None:
        self._tell(operation, "started", operation.facts())
        try:
            with operation.scope:
                async with aclosing(events):  # type: ignore[type-var]
                    async for event in events:
                        if isinstance(event, Result):
                            operation.result = event.value
                        else:
                            self._tell(operation, "event", event.to_object())
            if operation.scope.cancelled_caught:
                operation.error = PloinkyError("CANCELLED", f"{operation.title} was cancelled.")
        except PloinkyError as error:
            operation.error = error
        except Exception:
            operation.error = PloinkyError(
                "INTERNAL", f"{operation.title} failed inside the gateway.", hint="See: ploinky logs router"
            )
            raise
        finally:
            operation.outcome = operation.error.code if operation.error is not None else "ok"
            operation.ended.set()
            self._tell(operation, "ended", _ending(operation))

    def _tell(self, operation: Operation, kind: str, payload: JsonObject) -> None:
        self._hub.publish("operations", kind, {"operationId": operation.id, **payload}, agent=operation.agent)

    def _forget(self) -> None:
        ended = [each.id for each in self._known.values() if each.ended.is_set()]
        for gone in ended[: max(0, len(ended) - KEPT_ENDED)]:
            del self._known[gone]


def _ending(operation: Operation) -> JsonObject:
    error = operation.error
    facts: JsonObject = {"outcome": operation.outcome, "title": operation.title}
    if error is not None:
        facts["error"] = {"code": error.code, "message": error.message, "hint": error.hint}
    else:
        value: JsonValue = operation.result
        facts["result"] = value
    return facts
