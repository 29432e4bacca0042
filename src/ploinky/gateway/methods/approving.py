"""RPC rows of calls that wait for a person, because a row of the router's policy says so."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field
from pydantic import JsonValue as PydanticJson

from ploinky.gateway.audit import AuditRecord
from ploinky.gateway.rpc.method import Answer, Call, Method, NoParams, Params, Scope, reading
from ploinky.router.approvals import Verdict, Waiting


class WaitingCall(Answer):
    """One call that waits. ``digest`` names exactly this tool with exactly these arguments."""

    id: str
    caller: str
    agent: str
    tool: str
    arguments: dict[str, PydanticJson]
    digest: str
    asked_at: str


class ApproveParams(Params):
    """``digest``, if given, must be that of the call: what is approved is what was seen."""

    id: Annotated[str, Field(min_length=1, max_length=100)]
    allow: bool
    digest: Annotated[str, Field(max_length=64)] | None = None


class Approved(Answer):
    """The call that was answered."""

    id: str
    allowed: bool


async def list_waiting(call: Call, params: NoParams) -> list[WaitingCall]:
    """Calls of tools that wait for approval, the oldest first."""
    return [_row(waiting) for waiting in call.services.approvals.waiting()]


async def approve(call: Call, params: ApproveParams) -> Approved:
    """Let a waiting call go on, or refuse it."""
    services = call.services
    reason = "" if params.allow else "a person refused it"
    waiting = services.approvals.resolve(params.id, Verdict(params.allow, reason), digest=params.digest)
    wanted = waiting.wanted
    outcome = "allowed" if params.allow else "refused"
    what = f"{wanted.agent}.{wanted.tool}"
    services.audit.record(
        AuditRecord("approval", str(call.caller), what, outcome, call.audit_id, target=wanted.caller)
    )
    return Approved(id=waiting.id, allowed=params.allow)


def _row(waiting: Waiting) -> WaitingCall:
    wanted = waiting.wanted
    return WaitingCall(
        id=waiting.id,
        caller=wanted.caller,
        agent=wanted.agent,
        tool=wanted.tool,
        arguments=wanted.arguments,
        digest=wanted.digest,
        asked_at=datetime.fromtimestamp(waiting.asked_at, UTC).isoformat(timespec="milliseconds"),
    )


APPROVING_METHODS: tuple[Method[Any], ...] = (
    reading("tools.approvals", NoParams, list[WaitingCall], Scope.ADMIN, list_waiting),
    Method("tools.approve", ApproveParams, Approved, Scope.ADMIN, approve),
)
