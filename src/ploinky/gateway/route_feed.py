"""From what lifecycle knows of agents to the router's table.

An agent's plan says where its tools are described and whom it may call; it is made again when the sandbox
was started anew, not at every change of health. An agent whose plan fails stays in the table, not ready,
with the reason. One that does not run is in the table with what describes its tools, for names follow from
the configuration: it keeps its claim on them, whether it could start or not.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import anyio.to_thread

from ploinky.base.errors import PloinkyError
from ploinky.gateway.server_sources import outside_routes, server_source
from ploinky.lifecycle.context import LifecycleContext
from ploinky.lifecycle.dependencies import code_folder
from ploinky.lifecycle.environment import agent_environment, agent_redactor
from ploinky.lifecycle.mounts import AGENT_TARGET, CODE_TARGET
from ploinky.lifecycle.planner import StartPlan, plan_agent
from ploinky.lifecycle.sources import locate
from ploinky.lifecycle.status import AgentStatus
from ploinky.lifecycle.variables import mcp_config_inside
from ploinky.router.routes import AgentRoute, Environment, RouteTable
from ploinky.runtimes.spec import NetworkMode
from ploinky.toolhost.sources import ConfigSource, Mount, config_sources
from ploinky.workspace.settings import McpServer

_log = logging.getLogger(__name__)
ENVIRONMENT_TTL_S = 2.0
_MCP_CONFIG = "PLOINKY_MCP_CONFIG_PATH"


@dataclass(frozen=True)
class _Planned:
    """The lasting part of a route, and the run of the agent that it was made for."""

    instance: str
    route: AgentRoute


class RouteFeed:
    """Keeps ``table`` true to the statuses it is shown; ``servers`` are the MCP servers of the settings."""

    def __init__(
        self,
        ctx: LifecycleContext,
        servers: Callable[[], Mapping[str, McpServer]] = dict,
        inner: Iterable[AgentRoute] = (),
    ) -> None:
        self._ctx = ctx
        self._servers = servers
        self._inner = tuple(inner)
        self._planned: dict[str, _Planned] = {}
        self._claims: dict[str, AgentRoute] = {}
        self.table = RouteTable()

    def ready(self) -> dict[str, bool]:
        """Of each agent of the table whether it is ready."""
        return {key: route.ready for key, route in self.table.routes.items() if route.inner is None}

    async def show(self, statuses: Mapping[str, AgentStatus]) -> None:
        """Replace the table by the routes of these agents."""
        routes = [await self._route(status) for status in statuses.values()]
        routes += outside_routes(self._ctx, self._servers(), taken=statuses.keys())
        routes += [route for route in self._inner if route.key not in statuses]
        for known in (self._planned, self._claims):
            for gone in known.keys() - statuses.keys():
                known.pop(gone)
        self.table.replace(routes)

    async def _route(self, status: AgentStatus) -> AgentRoute:
        instance = f"{status.started_at}/{status.pid}"
        if status.socket_path is None:
            return await self._absent(status)
        planned = self._planned.get(status.key)
        if planned is None or planned.instance != instance:
            try:
                route = await anyio.to_thread.run_sync(self._plan, status, status.socket_path, instance)
            except PloinkyError as error:
                _log.warning("no route to %s: %s", status.key, error.message)
                return replace(await self._absent(status), reason=error.message)
            planned = self._planned[status.key] = _Planned(instance, route)
            self._claims.pop(status.key, None)
        return replace(planned.route, ready=status.ready, reason=status.reason)

    def _plan(self, status: AgentStatus, socket_path: Path, instance: str) -> AgentRoute:
        entry = self._ctx.registry.require(status.key)
        plan = plan_agent(self._ctx.as_last_started(entry), entry)
        environment = _cached(self._ctx, status.key)
        return AgentRoute(
            key=status.key,
            socket_path=socket_path,
            config_sources=_planned_sources(plan),
            environment=environment,
            server=server_source(plan, environment),
            redactor=functools.partial(anyio.to_thread.run_sync, agent_redactor, self._ctx, status.key),
            workspace_path=str(plan.place.project),
            may_call=frozenset(ref.key for ref in plan.config.enable),
            ports=_service_ports(plan),
            instance=instance,
            cut_off=plan.spec.network.mode is NetworkMode.NONE,
        )

    async def _absent(self, status: AgentStatus) -> AgentRoute:
        key = status.key
        if key not in self._claims:
            self._claims[key] = await anyio.to_thread.run_sync(self._claim, key)
        return replace(self._claims[key], reason=status.reason or f"it is {status.state.value.lower()}")

    def _claim(self, key: str) -> AgentRoute:
        """The route of an agent that does not run. Its tools are described where its plan says or, if that
        fails (a secret is missing, say), where agents usually have them."""
        nowhere = AgentRoute(key=key, socket_path=Path("/nonexistent"), ready=False)
        try:
            entry = self._ctx.registry.require(key)
            route = replace(nowhere, workspace_path=str(Path(entry.project_path)))
            with contextlib.suppress(PloinkyError):
                plan = plan_agent(self._ctx.as_last_started(entry), entry)
                server = server_source(plan, _cached(self._ctx, key))
                return replace(route, config_sources=_planned_sources(plan), server=server)
            return replace(route, config_sources=_usual_sources(locate(self._ctx, entry).folder))
        except PloinkyError as error:
            _log.warning("the tools of %s are not known: %s", key, error.message)
            return nowhere


def _service_ports(plan: StartPlan) -> tuple[int, ...]:
    config = plan.config
    published = (port.container_port for port in config.ports if port.protocol == "tcp")
    return tuple(dict.fromkeys((config.main_port, *published)))


def _planned_sources(plan: StartPlan) -> tuple[ConfigSource, ...]:
    mounts = [Mount(mount.target, mount.source) for mount in plan.spec.mounts]
    return config_sources(plan.environment.values, mounts)


def _usual_sources(folder: Path) -> tuple[ConfigSource, ...]:
    mounts = [Mount(CODE_TARGET, code_folder(folder)), Mount(AGENT_TARGET, folder)]
    return config_sources({_MCP_CONFIG: mcp_config_inside(folder)}, mounts)


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
