"""From what a manifest or the settings say of an MCP server to where the router finds it.

Arguments may hold ``${VAR}`` of the platform's own variables, which are no secrets; headers of a server
outside may hold any variable of the agent, and are made anew for each request.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Container, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ploinky.base.errors import PloinkyError
from ploinky.lifecycle.context import LifecycleContext
from ploinky.lifecycle.planner import StartPlan
from ploinky.manifest.values import DEFAULT_WORKDIR, McpSpec
from ploinky.operations.server_login import OWNER, Login, SealedTokens
from ploinky.router.routes import AgentRoute
from ploinky.router.servers.scout import SCOUT
from ploinky.router.servers.source import (
    AuthSource,
    HeaderSource,
    PortSource,
    ServerSource,
    StdioSource,
    UrlSource,
)
from ploinky.secrets.environment import expand
from ploinky.secrets.sealed import SealedStore
from ploinky.workspace.settings import McpServer

if TYPE_CHECKING:
    import httpx2

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
        source = UrlSource(
            server.url, _headers_of_settings(ctx, key, server), _login_of(ctx, key, server, server.url)
        )
        routes.append(AgentRoute(key=key, socket_path=Path("/nonexistent"), server=source))
    return routes


def _login_of(ctx: LifecycleContext, key: str, server: McpServer, url: str) -> AuthSource:
    """Signs requests by the login of the caller, or of the owner for all."""
    store = SealedStore(ctx.layout, ctx.environ)
    logins: dict[str, Login] = {}

    async def auth(caller: str) -> httpx2.Auth | None:
        user = caller if server.per_user and caller != SCOUT else OWNER
        login = logins.get(user)
        if login is None:
            login = logins[user] = Login(SealedTokens(store, key, user), url)
        return await login.auth()

    return auth


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
