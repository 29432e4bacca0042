"""RPC rows of permission: ``approval.*``, ``incident.*``, ``trace.*``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from ploinky.assistants.approvals import Approval, ApprovalStatus, GrantRequest
from ploinky.assistants.assistant import Assistant
from ploinky.base.jsontypes import JsonObject
from ploinky.gateway.methods.named_assistant import OfAssistant, assistant_of
from ploinky.gateway.rpc.method import Call, Method, Params, Scope, reading

_Id = Annotated[str, Field(min_length=1, max_length=64)]
_YEAR_S = 366 * 86400


class ListParams(OfAssistant):
    """``status``: only those; left out, all. ``all``: of every assistant."""

    status: Literal["pending", "approved", "denied", "expired"] | None = None
    all: bool = False
    limit: Annotated[int, Field(ge=1, le=1000)] = 200


class WiderGrant(Params):
    """What shall not be asked for again: this very call, or every call of the tool that fits ``pattern`` (a
    glob per argument; ``{}``: any arguments). ``uses`` null: without number; ``lastsS``: seconds."""

    pattern: dict[str, Annotated[str, Field(max_length=1000)]] | None = None
    uses: Annotated[int, Field(ge=1, le=100_000)] | None = 1
    lasts_s: Annotated[float, Field(gt=0, le=_YEAR_S)] | None = None


class ResolveParams(OfAssistant):
    """``decision`` on the request ``id``; ``grant`` lets further calls through as well."""

    id: _Id
    decision: Literal["approve", "deny"]
    reason: Annotated[str, Field(max_length=1000)] | None = None
    grant: WiderGrant | None = None


class RevokeParams(OfAssistant):
    """``id``: one grant; left out, all of the assistant's."""

    id: _Id | None = None


class IncidentParams(OfAssistant):
    """``reason``: why, for those who read the bundle later."""

    reason: Annotated[str, Field(min_length=1, max_length=1000)] = "opened by hand"


async def list_approvals(call: Call, params: ListParams) -> list[JsonObject]:
    """Requests for a person's word, the newest first."""
    status = None if params.status is None else ApprovalStatus(params.status)
    household = call.services.household
    chosen = household.assistants() if params.all else [assistant_of(call, params)]
    rows = [
        _shown(assistant, each)
        for assistant in chosen
        for each in assistant.approvals.recent(status, limit=params.limit)
    ]
    return sorted(rows, key=lambda row: str(row["createdAt"]), reverse=True)


async def resolve(call: Call, params: ResolveParams) -> JsonObject:
    """Say yes or no to exactly the call that was shown; the run goes on by itself."""
    assistant = assistant_of(call, params)
    approve = params.decision == "approve"
    by = str(call.caller)
    if approve and params.grant is not None:
        asked = assistant.approvals.require(params.id)
        wanted = params.grant
        digest = asked.digest if wanted.pattern is None else None
        grant = GrantRequest(asked.tool, digest, wanted.pattern, wanted.uses, wanted.lasts_s)
        await assistant.approvals.grant(grant, by=by)
    done = await assistant.approvals.resolve(params.id, approve=approve, by=by, reason=params.reason)
    return _shown(assistant, done)


async def capabilities(call: Call, params: OfAssistant) -> JsonObject:
    """The tools of an assistant with their risk, and the grants that let calls through."""
    assistant = assistant_of(call, params)
    return {
        "profileId": assistant.id,
        "tools": [
            {"name": spec.name, "risk": spec.risk.value, "agent": spec.agent, "description": spec.description}
            for spec in assistant.toolbox.offered()
        ],
        "grants": [grant.wire() for grant in assistant.approvals.grants()],
        "incident": None if (found := assistant.incidents.current) is None else found.wire(),
    }


async def revoke(call: Call, params: RevokeParams) -> JsonObject:
    """Take back one grant, or all."""
    revoked = await assistant_of(call, params).approvals.revoke(params.id)
    return {"revoked": [*revoked]}


async def bundle(call: Call, params: IncidentParams) -> JsonObject:
    """Press the red button: proactive messages stop, grants are revoked, tools above low risk are shut, runs
    under way are cancelled; the answer is what happened lately."""
    assistant = assistant_of(call, params)
    opened = await assistant.incidents.bundle(params.reason, by=str(call.caller))
    for run in assistant.active_runs():
        await assistant.cancel_run(run.id)
    return {"profileId": assistant.id, **opened}


async def clear(call: Call, params: OfAssistant) -> JsonObject:
    """Close the open incident; grants stay revoked."""
    return (await assistant_of(call, params).incidents.clear(by=str(call.caller))).wire()


def _shown(assistant: Assistant, approval: Approval) -> JsonObject:
    return {"profileId": assistant.id, **approval.wire()}


APPROVAL_METHODS: tuple[Method[Any], ...] = (
    reading("approval.list", ListParams, list[dict[str, Any]], Scope.ASSISTANTS_USE, list_approvals),
    Method("approval.resolve", ResolveParams, dict[str, Any], Scope.ASSISTANTS_MANAGE, resolve),
    reading("approval.capabilities", OfAssistant, dict[str, Any], Scope.ASSISTANTS_USE, capabilities),
    Method("approval.revoke", RevokeParams, dict[str, Any], Scope.ASSISTANTS_MANAGE, revoke),
    Method("incident.bundle", IncidentParams, dict[str, Any], Scope.ASSISTANTS_MANAGE, bundle),
    Method("incident.clear", OfAssistant, dict[str, Any], Scope.ASSISTANTS_MANAGE, clear),
)
