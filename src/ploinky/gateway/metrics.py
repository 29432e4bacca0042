"""``/metrics``: what the gateway counts, in the text form of Prometheus.

Names of tools come from agents' configurations, so the number of series is bounded by these. To count one
more thing: a metric here, moved by whoever knows it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ploinky.router.served import Served

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Metrics:
    """``ready`` tells of each agent whether it is ready."""

    def __init__(self, ready: Callable[[], Mapping[str, bool]]) -> None:
        self._ready = ready
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "ploinky_requests",
            "Requests to agents that ended, by how.",
            ("agent", "method", "tool", "outcome"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "ploinky_request_seconds",
            "How long requests to agents took.",
            ("agent", "method"),
            buckets=_BUCKETS_S,
            registry=self._registry,
        )
        self._agents = Gauge(
            "ploinky_agent_ready", "1 if the agent is ready, else 0.", ("agent",), registry=self._registry
        )
        self._counters: dict[tuple[str, str, str, str], tuple[Counter, Histogram]] = {}
        self._sessions = Gauge("ploinky_sessions", "MCP sessions that are open.", registry=self._registry)

    def follow_sessions(self, count: Callable[[], int]) -> None:
        """``count`` tells how many sessions are open whenever somebody asks."""
        self._sessions.set_function(count)

    def count(self, served: Served) -> None:
        """One request ended."""
        tool = served.name if served.method == "tools/call" else ""
        key = (served.agent, served.method, tool, served.outcome)
        found = self._counters.get(key)
        if found is None:  # as many as there are series
            requests = self._requests.labels(*key)
            found = self._counters[key] = (requests, self._seconds.labels(served.agent, served.method))
        requests, seconds = found
        requests.inc()
        seconds.observe(served.ms / 1000)

    def text(self) -> bytes:
        """All of it as of now."""
        self._agents.clear()
        for agent, ready in self._ready().items():
            self._agents.labels(agent).set(1 if ready else 0)
        return generate_latest(self._registry)
