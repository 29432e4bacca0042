"""RPC rows of what happened: operations under way, the audit log."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import anyio.to_thread
from pydantic import Field

from ploinky.base.jsontypes import JsonObject
from ploinky.gateway.rpc.method import Answer, Call, Method, NoParams, Params, Scope, reading
from ploinky.gateway.statistics import call_statistics


class OperationRow(Answer):
    """One operation; ``outcome`` is empty while it runs, ``ok``, or the code of its error."""

    id: str
    title: str
    agent: str | None
    started_at: str
    outcome: str
    message: str


class OperationParams(Params):
    """``operationId`` as the call that began it answered."""

    operation_id: Annotated[str, Field(max_length=100)]


class Cancelled(Answer):
    """Whether the end was asked for."""

    cancelled: bool


class AuditParams(Params):
    """Filters: each left out means all. ``text`` is looked for in caller, what and target."""

    event: str | None = None
    outcome: str | None = None
    text: Annotated[str, Field(max_length=200)] | None = None
    limit: Annotated[int, Field(ge=1, le=5000)] = 200


class AuditRow(Answer):
    """One line of the audit log; never a value."""

    at: str
    event: str
    caller: str = ""
    what: str = ""
    target: str = ""
    outcome: str = ""
    audit_id: str = ""
    ms: float = 0.0


class StatisticsParams(Params):
    """``hours``: how far back; ``spans``: in how many parts."""

    hours: Annotated[int, Field(ge=1, le=24 * 31)] = 24
    spans: Annotated[int, Field(ge=1, le=200)] = 24


class CallSum(Answer):
    """Tool calls and how long they took; the half took at most ``p50Ms``."""

    calls: int
    errors: int
    p50_ms: float
    p95_ms: float


class SpanRow(CallSum):
    """One part of the time, which began ``at``."""

    at: str


class AgentSum(CallSum):
    """One agent's calls."""

    agent: str


class StatisticsAnswer(Answer):
    """Sums by time, the oldest first, and by agent."""

    spans: list[SpanRow]
    agents: list[AgentSum]


async def call_sums(call: Call, params: StatisticsParams) -> JsonObject:
    """Tool calls in sums, by time and by agent, as the audit log has them."""
    records = call.services.audit.newest_first()
    return await anyio.to_thread.run_sync(
        lambda: call_statistics(records, now=datetime.now(UTC), hours=params.hours, spans=params.spans)
    )


async def list_operations(call: Call, params: NoParams) -> list[JsonObject]:
    """Operations that run and the last that ended."""
    return [operation.facts() for operation in call.services.runner.operations()]


async def cancel_operation(call: Call, params: OperationParams) -> Cancelled:
    """End an operation that runs."""
    call.services.runner.cancel(params.operation_id)
    return Cancelled(cancelled=True)


async def list_audit(call: Call, params: AuditParams) -> list[JsonObject]:
    """The audit log, the newest first."""
    found: list[JsonObject] = []
    for facts in call.services.audit.newest_first():
        if _fits(facts, params):
            found.append(_named(facts))
            if len(found) == params.limit:
                break
    return found


def _named(facts: JsonObject) -> JsonObject:
    """Lines of other parts name the agent, where these rows say what."""
    return facts if "what" in facts else {**facts, "what": facts.get("agent") or "", "outcome": "ok"}


def _fits(facts: JsonObject, params: AuditParams) -> bool:
    if params.event not in (None, facts.get("event")):
        return False
    if params.outcome is not None and (facts.get("outcome") == "ok") != (params.outcome == "ok"):
        return False
    wanted = (params.text or "").lower()
    return any(wanted in str(facts.get(name, "")).lower() for name in ("caller", "what", "target", "agent"))


EVENT_METHODS: tuple[Method[Any], ...] = (
    reading("operations.list", NoParams, list[OperationRow], Scope.AGENTS_READ, list_operations),
    Method("operations.cancel", OperationParams, Cancelled, Scope.AGENTS_MANAGE, cancel_operation),
    reading("calls.statistics", StatisticsParams, StatisticsAnswer, Scope.AGENTS_READ, call_sums),
    reading("audit.list", AuditParams, list[AuditRow], Scope.ADMIN, list_audit),
)
