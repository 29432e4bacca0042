"""Whether one call may go ahead: by its risk, the settings, an open incident, a grant, or a person's word.

Deny is the default: of a tool that is not offered, of an answer that does not come in time.
"""

from __future__ import annotations

from dataclasses import dataclass

from ploinky.assistants.approvals import Approval, ApprovalStatus, Ask
from ploinky.assistants.runs import RunStatus
from ploinky.assistants.toolbox import matches
from ploinky.assistants.toolkit import Risk, ToolSpec
from ploinky.assistants.turn.state import TurnState
from ploinky.base.jsontypes import JsonObject


@dataclass(frozen=True)
class Verdict:
    """Whether the call may go ahead, and if not, what the model is told."""

    allowed: bool
    why: str = ""


_ALLOWED = Verdict(True)


def risk_of(spec: ToolSpec, tainted: bool) -> Risk:
    """The risk of a call now; a wary tool counts one higher once strangers' words were read."""
    if tainted and spec.wary:
        return Risk.HIGH if spec.risk is Risk.MEDIUM else Risk.MEDIUM if spec.risk is Risk.LOW else spec.risk
    return spec.risk


async def judge(state: TurnState, spec: ToolSpec, arguments: JsonObject) -> Verdict:
    """The verdict on one call; waits for a person if it needs one."""
    tools = state.settings.tools
    risk = risk_of(spec, state.tainted)
    if state.parts.incidents.current is not None and risk is not Risk.LOW:
        return Verdict(False, "An incident is open: tools above low risk are shut until it is cleared.")
    reason = await spec.refuse(arguments) if spec.refuse is not None else None
    if reason is not None:
        return Verdict(False, reason)
    must_ask = matches(spec.name, tools.approve)
    if not must_ask and (risk is Risk.LOW or matches(spec.name, tools.trust)):
        return _ALLOWED
    if await state.parts.approvals.take_grant(spec.name, arguments) is not None:
        return _ALLOWED
    return await _ask(state, spec.name, arguments, risk, _reason(spec, must_ask, state.tainted))


async def ask_for(state: TurnState, name: str, arguments: JsonObject) -> bool:
    """A person's word on something that the provider itself wants to run."""
    if state.parts.incidents.current is not None:
        return False
    if await state.parts.approvals.take_grant(name, arguments) is not None:
        return True
    verdict = await _ask(state, name, arguments, Risk.HIGH, "The provider wants to run a tool of its own.")
    return verdict.allowed


async def _ask(state: TurnState, name: str, arguments: JsonObject, risk: Risk, why: str) -> Verdict:
    ask = Ask(state.run.id, state.session.id, name, arguments, why, risk)
    state.waiting += 1
    # first, so that a run whose request is seen can go on after a crash
    await state.become(RunStatus.WAITING)
    approval = await state.parts.approvals.request(ask, timeout_s=state.settings.turn.approval_timeout)
    settled = await state.parts.approvals.wait(approval)
    state.waiting -= 1
    if not state.waiting:
        await state.become(RunStatus.RUNNING)
    return _verdict(settled)


def _verdict(settled: Approval) -> Verdict:
    if settled.status is ApprovalStatus.APPROVED:
        return _ALLOWED
    if settled.status is ApprovalStatus.DENIED:
        reason = f" They said: {settled.reason}" if settled.reason else ""
        return Verdict(False, f"A person denied this call.{reason} Do not repeat it.")
    return Verdict(False, "Nobody approved this call in time, so it was not made.")


def _reason(spec: ToolSpec, must_ask: bool, tainted: bool) -> str:
    if must_ask:
        return "The settings ask for a person's word on this tool."
    if tainted and spec.wary:
        return "It would act on words that came from outside."
    if spec.agent is not None:
        return f"The agent '{spec.agent}' does not say that this tool only reads."
    return "It changes or reaches something outside the assistant."
