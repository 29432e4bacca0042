"""Who hears of requests to agents: the metrics, the audit log, those who watch events.

The audit lines of calls that went well are written together a moment later, so that a call does not wait for
the disk; a refusal is written at once. Reads of lists and the like are counted, not written.
"""

from __future__ import annotations

import anyio

from ploinky.base.jsontypes import JsonObject
from ploinky.gateway.audit import AuditLog, AuditRecord
from ploinky.gateway.hub import EventHub
from ploinky.gateway.metrics import Metrics
from ploinky.router.approvals import Waiting
from ploinky.router.served import Served

FLUSH_EVERY_S = 0.2
_AT_ONCE = frozenset({"refused", "not_approved", "limited"})


class Telling:
    """``served`` and ``approval`` are called by the router; ``run`` writes what waits."""

    def __init__(self, metrics: Metrics, audit: AuditLog, hub: EventHub) -> None:
        self._metrics = metrics
        self._audit = audit
        self._hub = hub

    def served(self, served: Served) -> None:
        """A request ended."""
        self._metrics.count(served)
        if served.method != "tools/call" and served.outcome not in _AT_ONCE:
            return
        what = f"{served.agent}.{served.name}" if served.name else served.agent
        event = "tool" if served.method == "tools/call" else "mcp"
        target = "" if event == "tool" else served.method
        record = AuditRecord(event, served.caller, what, served.outcome, target=target, ms=served.ms)
        if served.outcome in _AT_ONCE:
            self._audit.record(record)
        else:
            self._audit.defer(record)
        if self._hub.is_watched("calls"):
            facts: JsonObject = {
                "caller": served.caller,
                "tool": served.name,
                "outcome": served.outcome,
                "ms": round(served.ms, 1),
            }
            self._hub.publish("calls", "served", facts, agent=served.agent)

    def approval(self, kind: str, waiting: Waiting) -> None:
        """A call began (``asked``) or ended (``answered``) to wait for a person."""
        wanted = waiting.wanted
        facts: JsonObject = {"id": waiting.id, "caller": wanted.caller, "tool": wanted.tool}
        self._hub.publish("approvals", kind, facts, agent=wanted.agent)

    async def run(self) -> None:
        """Write every ``FLUSH_EVERY_S``, and once more at the end."""
        try:
            while True:
                await anyio.sleep(FLUSH_EVERY_S)
                self._audit.flush()
        finally:
            self._audit.flush()
