"""From what lifecycle knows of agents to the router's table.

An agent's plan says where its tools are described and whom it may call; it is made again when the sandbox
was started anew, not at every change of health. An agent whose plan fails stays in the table, not ready,
with the reason.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import anyio.to_thread

from ploinky.base.errors import PloinkyError
from ploinky.lifecycle.context import LifecycleContext
from ploinky.lifecycle.environment import agent_environment
from ploinky.lifecycle.planner import plan_agent
from ploinky.lifecycle.status import AgentStatus
from ploinky.router.routes import AgentRoute, Environment, RouteTable
from ploinky.toolhost.sources import Mount, config_sources

_log = logging.getLogger(__name__)
ENVIRONMENT_TTL_S = 2.0


@dataclass(frozen=True)
class _Planned:
    """The lasting part of a route, and the run of the agent that it was made for."""

    instance: str
    route: AgentRoute


class RouteFeed:
    """Keeps ``table`` true to the statuses it is shown."""

    def __init__(self, ctx: LifecycleContext) -> None:
        self._ctx = ctx
        self._planned: dict[str, _Planned] = {}
        self.table = RouteTable()

    async def show(self, statuses: Mapping[str, AgentStatus]) -> None:
        """Replace the table by the routes of these agents."""
        routes = [await self._route(status) for status in statuses.values()]
        self._planned = {key: planned for key, planned in self._planned.items() if key in statuses}
        self.table.replace(routes)

    async def _route(self, status: AgentStatus) -> AgentRoute:
        instance = f"{status.started_at}/{status.pid}"
        if status.socket_path is None:
            return _absent(status)
        planned = self._planned.get(status.key)
        if planned is None or planned.instance != instance:
            try:
                route = await anyio.to_thread.run_sync(self._plan, status, status.socket_path, instance)
            except PloinkyError as error:
                _log.warning("no route to %s: %s", status.key, error.message)
                return replace(_absent(status), reason=error.message)
            planned = self._planned[status.key] = _Planned(instance, route)
        return replace(planned.route, ready=status.ready, reason=status.reason)

    def _plan(self, status: AgentStatus, socket_path: Path, instance: str) -> AgentRoute:
        entry = self._ctx.registry.require(status.key)
        plan = plan_agent(self._ctx.as_last_started(entry), entry)
        mounts = [Mount(mount.target, mount.source) for mount in plan.spec.mounts]
        values = plan.environment.values
        return AgentRoute(
            key=status.key,
            socket_path=socket_path,
            config_sources=config_sources(values, mounts),
            environment=_cached(self._ctx, status.key),
            workspace_path=str(plan.place.project),
            may_call=frozenset(ref.key for ref in plan.config.enable),
            instance=instance,
        )


def _absent(status: AgentStatus) -> AgentRoute:
    reason = status.reason or f"it is {status.state.value.lower()}"
    return AgentRoute(key=status.key, socket_path=Path("/nonexistent"), ready=False, reason=reason)


def _cached(ctx: LifecycleContext, key: str) -> Environment:
    """The agent's environment, resolved anew at most once in ``ENVIRONMENT_TTL_S``: tools may be called
    a thousand times a second, and a changed secret must count soon."""
    kept: tuple[float, Mapping[str, str]] | None = None

    async def environment() -> Mapping[str, str]:
        nonlocal kept
        now = time.monotonic()
        if kept is None or now - kept[0] > ENVIRONMENT_TTL_S:
            kept = (now, await agent_environment(ctx, key))
        return kept[1]

    return environment
