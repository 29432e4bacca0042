"""From what a manifest or the settings say of an MCP server to where the router finds it.

Arguments may hold ``${VAR}`` of the platform's own variables, which are no secrets; headers of a server
outside may hold any variable of the agent, and are made anew for each request.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Container, Mapping
from pathlib import Path

from ploinky.base.errors import PloinkyError
from ploinky.lifecycle.context import LifecycleContext
from ploinky.lifecycle.planner import StartPlan
from ploinky.manifest.values import DEFAULT_WORKDIR, McpSpec
from ploinky.router.routes import AgentRoute
from ploinky.router.servers.source import HeaderSource, PortSource, ServerSource, StdioSource, UrlSource
from ploinky.secrets.environment import expand
from ploinky.workspace.settings import McpServer

_log = logging.getLogger(__name__)
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
Environment = Callable[[], Awaitable[Mapping[str, str]]]


def server_source(plan: StartPlan, environment: Environment) -> ServerSource | None:
    """Where the MCP server is that the planned agent is; None if it is made of programs."""
    spec = plan.config.mcp
    if spec is None:
        return None
    if spec.port is not None:
        return PortSource(spec.port, spec.path)
    if spec.url is not None:
        return UrlSource(spec.url, _headers(spec, environment, plan.key))
    what = f"The MCP server of agent '{plan.key}'"
    argv = tuple(_known(word, plan.platform, what) for word in spec.argv)
    return StdioSource(argv, spec.env, plan.config.commands.workdir or DEFAULT_WORKDIR)


def outside_routes(
    ctx: LifecycleContext, servers: Mapping[str, McpServer], *, taken: Container[str]
) -> list[AgentRoute]:
    """Routes to the servers of the settings that are outside; none takes the name of an agent."""
    routes = []
    for key, server in servers.items():
        if server.url is None or server.disabled:
            continue
        if key in taken:
            _log.warning("mcpServers.%s is left out: an agent has that name", key)
            continue
        source = UrlSource(server.url, _headers_of_settings(ctx, key, server))
        routes.append(AgentRoute(key=key, socket_path=Path("/nonexistent"), server=source))
    return routes


def _headers_of_settings(ctx: LifecycleContext, key: str, server: McpServer) -> HeaderSource:
    names = sorted({name for value in server.headers.values() for name in _VARIABLE.findall(value)})

    async def environment() -> Mapping[str, str]:
        sources = ctx.secrets.sources(ctx.profile.name)
        return {name: found.value for name in names if (found := sources.find(name)) is not None}

    return _headers(McpSpec(headers=tuple(server.headers.items())), environment, key)


def _known(word: str, values: Mapping[str, str], what: str) -> str:
    return expand(word, values, what=what) if "${" in word else word


def _headers(spec: McpSpec, environment: Environment, key: str) -> HeaderSource:
    async def headers(caller: str) -> Mapping[str, str]:
        values = await environment() if any("${" in value for _, value in spec.headers) else {}
        try:
            return {name: expand(value, values, what=f"A header of '{key}'") for name, value in spec.headers}
        except PloinkyError as error:
            raise PloinkyError("SERVER_LOGIN", error.message, hint=error.hint) from error

    return headers
