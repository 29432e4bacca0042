"""The policy of ``config.json``: rows tried in order, the first that fits decides, else the default does.

A row fits by caller, agent and tool, each a glob. It may allow or refuse, limit the rate, or ask a person
before every call. Callers are ``owner``, ``agent:NAME``, ``client:NAME``, ``assistant:ID``. What is not a
call of a tool is judged by the rows that cover all tools.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ploinky.base.buckets import TokenBuckets
from ploinky.base.jsontypes import JsonObject, find_object
from ploinky.mcp.messages import FORBIDDEN, NOT_APPROVED, RATE_LIMITED, RpcError
from ploinky.router.approvals import CallApprovals, Wanted
from ploinky.router.callers import Caller, CallerKind, matches, reachable
from ploinky.router.catalogue import Pattern
from ploinky.router.naming import Target
from ploinky.router.routes import RouteTable
from ploinky.workspace.settings import PolicyRule

_CALL = "tools/call"
_ALL = "*"
Rules = Callable[[], Sequence[PolicyRule]]


@dataclass(frozen=True)
class _Decision:
    """``rule`` is the row's number, None for the default."""

    allow: bool
    rule: int | None = None
    rate: int | None = None
    approval: bool = False


class RulePolicy:
    """``rules`` gives the rows of this moment; ``approvals`` asks a person."""

    def __init__(self, table: RouteTable, rules: Rules, approvals: CallApprovals) -> None:
        self._table = table
        self._rules = rules
        self._approvals = approvals
        self._buckets = TokenBuckets()

    def reach(self, caller: Caller) -> frozenset[str] | None:
        default = reachable(caller, self._table.routes)
        rows = [rule for rule in self._rules() if matches(str(caller), (rule.caller,))]
        if not rows:
            return default
        return frozenset(key for key in self._table.routes if _may_see(rows, key, _in(default, key)))

    def patterns(self, caller: Caller) -> tuple[Pattern, ...]:
        rows = [rule for rule in self._rules() if matches(str(caller), (rule.caller,))]
        if not rows:
            return ()
        ruled = tuple(
            Pattern(agent, tool, rule.allow) for rule in rows for agent in rule.agents for tool in rule.tools
        )
        return (*ruled, *self._default_patterns(caller))

    def admits_at_once(self, caller: Caller, target: Target) -> bool:
        decision = self._decide(caller, target.agent, target.name)
        return decision.allow and decision.rate is None and not decision.approval

    async def admit(self, caller: Caller, method: str, target: Target, params: JsonObject) -> None:
        tool = target.name if method == _CALL else _ALL
        decision = self._decide(caller, target.agent, tool)
        if not decision.allow:
            raise RpcError(FORBIDDEN, _refusal(caller, target, decision), {"code": "FORBIDDEN"})
        if method != _CALL:
            return
        if decision.rate is not None:
            self._limit(caller, decision.rule, decision.rate)
        if decision.approval:
            await self._ask(caller, target, params)

    def _decide(self, caller: Caller, agent: str, tool: str) -> _Decision:
        for number, rule in enumerate(self._rules()):
            if _fits(rule, caller, agent, tool):
                return _Decision(rule.allow, number, rule.rate, rule.approval)
        return _Decision(_in(reachable(caller, self._table.routes), agent))

    def _default_patterns(self, caller: Caller) -> Iterator[Pattern]:
        reach = reachable(caller, self._table.routes)
        for agent in (_ALL,) if reach is None else sorted(reach):
            yield Pattern(agent, _ALL, True)

    def _limit(self, caller: Caller, rule: int | None, per_minute: int) -> None:
        wait_s = self._buckets.take((str(caller), rule), per_minute=per_minute, burst=per_minute)
        if wait_s is not None:
            raise RpcError(
                RATE_LIMITED,
                f"The policy allows {per_minute} calls a minute; try again in {wait_s} s.",
                {"code": "RATE_LIMITED", "retryAfterS": wait_s},
            )

    async def _ask(self, caller: Caller, target: Target, params: JsonObject) -> None:
        wanted = Wanted(str(caller), target.agent, target.name, find_object(params, "arguments") or {})
        answer = await self._approvals.ask(wanted)
        if not answer.allowed:
            raise RpcError(
                NOT_APPROVED,
                f"The call of {target.name!r} of agent {target.agent!r} was not approved: {answer.reason}",
                {"code": "NOT_APPROVED"},
            )


def _fits(rule: PolicyRule, caller: Caller, agent: str, tool: str) -> bool:
    covers_tool = _ALL in rule.tools if tool == _ALL else matches(tool, rule.tools)
    return covers_tool and matches(str(caller), (rule.caller,)) and matches(agent, rule.agents)


def _may_see(rows: Sequence[PolicyRule], agent: str, default: bool) -> bool:
    """Whether a call of any tool of ``agent`` could be allowed."""
    for rule in rows:
        if matches(agent, rule.agents):
            if rule.allow:
                return True
            if _ALL in rule.tools:
                return False
    return default


def _in(reach: frozenset[str] | None, agent: str) -> bool:
    return reach is None or agent in reach


def _refusal(caller: Caller, target: Target, decision: _Decision) -> str:
    if decision.rule is not None:
        return f"Row {decision.rule + 1} of router.policy refuses {str(caller)!r} this."
    if caller.kind is CallerKind.AGENT:
        return f"This agent's manifest does not enable {target.agent!r}."
    return f"The token {caller.name!r} is not for agent {target.agent!r}."
