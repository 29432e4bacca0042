"""Tool calls of the audit log in sums: per agent and per span of time, for charts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ploinky.base.jsontypes import JsonObject, JsonValue


@dataclass
class _Sum:
    calls: int = 0
    errors: int = 0
    times_ms: list[float] = field(default_factory=list)

    def add(self, ms: float, *, failed: bool) -> None:
        self.calls += 1
        self.errors += failed
        self.times_ms.append(ms)

    def facts(self) -> JsonObject:
        times = sorted(self.times_ms)
        return {
            "calls": self.calls,
            "errors": self.errors,
            "p50Ms": round(times[len(times) // 2], 1) if times else 0.0,
            "p95Ms": round(times[min(len(times) - 1, int(len(times) * 0.95))], 1) if times else 0.0,
        }


def call_statistics(records: Iterable[JsonObject], *, now: datetime, hours: int, spans: int) -> JsonObject:
    """Sums of the last ``hours`` in ``spans`` equal parts (the oldest first), and of each agent.

    ``records`` come the newest first; reading ends at the first that is too old.
    """
    span_s = hours * 3600 / spans
    began = now.timestamp() - hours * 3600
    parts = [_Sum() for _ in range(spans)]
    agents: dict[str, _Sum] = {}
    for record in records:
        at = _seconds(record.get("at"))
        if at is None:
            continue
        if at < began:
            break
        if record.get("event") != "tool":
            continue
        ms, failed = _number(record.get("ms")), record.get("outcome") != "ok"
        parts[min(spans - 1, max(0, int((at - began) / span_s)))].add(ms, failed=failed)
        agent = str(record.get("what", "")).partition(".")[0]
        agents.setdefault(agent, _Sum()).add(ms, failed=failed)
    rows: list[JsonValue] = [
        {"at": datetime.fromtimestamp(began + index * span_s, UTC).isoformat(), **part.facts()}
        for index, part in enumerate(parts)
    ]
    return {"spans": rows, "agents": [{"agent": key, **each.facts()} for key, each in agents.items()]}


def _seconds(value: JsonValue) -> float | None:
    try:
        return datetime.fromisoformat(str(value)).timestamp()
    except ValueError:
        return None


def _number(value: JsonValue) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0
