"""``/metrics``: what the gateway counts, in the text form of Prometheus.

Sums are kept here in plain numbers, because every call is counted; the library makes text of them when
somebody asks, and is loaded then. Names of tools come from agents' configurations, so the number of series is
bounded by these. To tell one more thing: a family in ``collect``.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING

from ploinky.router.served import Served

if TYPE_CHECKING:
    from prometheus_client import Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_BUCKETS_MS = tuple(each * 1000 for each in _BUCKETS_S)
_BOUNDS = (*(str(float(each)) for each in _BUCKETS_S), "+Inf")


@dataclass(slots=True, eq=False)
class _Durations:
    """How many requests fell into each bucket, and how long all took together."""

    counts: list[int] = field(default_factory=lambda: [0] * len(_BOUNDS))
    sum_ms: float = 0.0


@dataclass(slots=True, eq=False)
class _Series:
    """One series of requests, and the durations that it is counted in too."""

    durations: _Durations
    number: int = 0


class Metrics:
    """``ready`` tells of each agent whether it is ready."""

    def __init__(self, ready: Callable[[], Mapping[str, bool]]) -> None:
        self._ready = ready
        self._requests: dict[tuple[str, str, str, str], _Series] = {}
        self._durations: dict[tuple[str, str], _Durations] = {}
        self._sessions: Callable[[], int] = lambda: 0

    def follow_sessions(self, count: Callable[[], int]) -> None:
        """``count`` tells how many sessions are open whenever somebody asks."""
        self._sessions = count

    def count(self, served: Served) -> None:
        """One request ended."""
        tool = served.name if served.method == "tools/call" else ""
        key = (served.agent, served.method, tool, served.outcome)
        series = self._requests.get(key)
        if series is None:  # as many as there are series
            durations = self._durations.setdefault(key[:2], _Durations())
            series = self._requests[key] = _Series(durations)
        series.number += 1
        durations = series.durations
        durations.counts[bisect_left(_BUCKETS_MS, served.ms)] += 1
        durations.sum_ms += served.ms

    def collect(self) -> Iterator[Metric]:
        """All of it as of now, as the library wants it."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        labels = ("agent", "method", "tool", "outcome")
        requests = CounterMetricFamily(
            "ploinky_requests", "Requests to agents that ended, by how.", labels=labels
        )
        for key, series in self._requests.items():
            requests.add_metric(key, series.number)
        seconds = HistogramMetricFamily(
            "ploinky_request_seconds", "How long requests to agents took.", labels=labels[:2]
        )
        for where, durations in self._durations.items():
            buckets = list(zip(_BOUNDS, accumulate(durations.counts), strict=True))
            seconds.add_metric(where, buckets, durations.sum_ms / 1000)
        agents = GaugeMetricFamily(
            "ploinky_agent_ready", "1 if the agent is ready, else 0.", labels=("agent",)
        )
        for agent, ready in self._ready().items():
            agents.add_metric((agent,), 1 if ready else 0)
        sessions = GaugeMetricFamily(
            "ploinky_sessions", "MCP sessions that are open.", value=self._sessions()
        )
        yield from (requests, seconds, agents, sessions)

    def text(self) -> bytes:
        """All of it as text."""
        from prometheus_client import generate_latest

        return generate_latest(self)
