"""The route table: which agents there are, where their launchers listen, whether they are ready.

The gateway process replaces the table whenever lifecycle reports a change; the router reconciles what it
holds (channels, tool lists, open streams) with the new one and never edits it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from ploinky.base.errors import PloinkyError
from ploinky.base.redaction import Redactor
from ploinky.mcp.upstream import Upstream
from ploinky.router.servers.source import ServerSource
from ploinky.toolhost.place import no_secrets
from ploinky.toolhost.sources import ConfigSource

Environment = Callable[[], Awaitable[Mapping[str, str]]]


async def no_environment() -> Mapping[str, str]:
    return {}


@dataclass(frozen=True)
class AgentRoute:
    """One agent as the router sees it.

    ``environment`` gives the agent's full environment, secrets included, at the moment a tool starts; the
    router keeps no copy; ``redactor`` masks its secrets in what is kept. ``config_sources`` are tried in
    order (``toolhost.sources.config_sources``). ``ports`` are those of services inside, the main one first.
    ``instance`` changes when the sandbox was started anew. ``reason`` says why the agent is not ready. With a
    ``server`` it is an MCP server and not a set of programs; with ``inner`` it lives in this process.
    ``cut_off``: it has no network.
    """

    key: str
    socket_path: Path
    config_sources: tuple[ConfigSource, ...] = ()
    environment: Environment = field(default=no_environment, compare=False)
    redactor: Callable[[], Awaitable[Redactor]] = field(default=no_secrets, compare=False)
    ready: bool = True
    reason: str = ""
    workspace_path: str = "/code"
    code_path: str = "/code"
    may_call: frozenset[str] = frozenset()
    ports: tuple[int, ...] = ()
    instance: str = ""
    cut_off: bool = False
    server: ServerSource | None = None
    inner: Upstream | None = field(default=None, compare=False)


class RouteTable:
    """All routes, replaced as a whole; subscribers are told after each replacement that changed something."""

    def __init__(self, routes: Iterable[AgentRoute] = ()) -> None:
        self._routes = _indexed(routes)
        self._subscribers: list[Callable[[], None]] = []

    @property
    def routes(self) -> Mapping[str, AgentRoute]:
        """The present routes by key; the mapping never changes, a replacement makes a new one."""
        return self._routes

    def absence(self, key: str) -> str:
        """Why the agent of that name cannot be asked now; empty if it can."""
        route = self._routes.get(key)
        if route is None:
            return "it is not in the workspace"
        return "" if route.ready else route.reason or "it is not ready"

    def replace(self, routes: Iterable[AgentRoute]) -> bool:
        """Put ``routes`` in place of all present ones; says whether anything differs.

        Raises:
            PloinkyError: ``ROUTE_DOUBLE`` if two routes have one key; the table stays as it was.
        """
        fresh = _indexed(routes)
        changed = dict(fresh) != dict(self._routes)
        self._routes = fresh
        if changed:
            for tell in tuple(self._subscribers):
                tell()
        return changed

    def subscribe(self, tell: Callable[[], None]) -> Callable[[], None]:
        """Call ``tell`` after each change; the result ends that and may be called twice."""
        self._subscribers.append(tell)

        def end() -> None:
            if tell in self._subscribers:
                self._subscribers.remove(tell)

        return end


def _indexed(routes: Iterable[AgentRoute]) -> Mapping[str, AgentRoute]:
    index: dict[str, AgentRoute] = {}
    for route in routes:
        if route.key in index:
            raise PloinkyError("ROUTE_DOUBLE", f"Two routes are named {route.key!r}.")
        index[route.key] = route
    return MappingProxyType(index)
