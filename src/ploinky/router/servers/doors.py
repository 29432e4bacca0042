"""From where a server is to a wire: one for every conversation."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping

from ploinky.channel.client import Channel
from ploinky.channel.model import SpawnRequest
from ploinky.router.routes import AgentRoute
from ploinky.router.servers.http_wire import Door, HttpWire
from ploinky.router.servers.inside import PortDoor
from ploinky.router.servers.source import PortSource, ServerSource, StdioSource, UrlSource
from ploinky.router.servers.stdio_wire import StdioWire
from ploinky.router.servers.wire import Wire, WireState
from ploinky.toolhost.place import DEFAULT_PATH

_GRACE_S = 2.0
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class WireOpener:
    """Opens wires to one agent's server."""

    def __init__(
        self, route: AgentRoute, source: ServerSource, channel: Callable[[], Awaitable[Channel]]
    ) -> None:
        self._route = route
        self._source = source
        self._channel = channel
        self._door: Door | None = None

    async def open(self, state: WireState) -> Wire:
        """See ``OpenWire``.

        Raises:
            PloinkyError: a process cannot be started.
        """
        source = self._source
        if isinstance(source, StdioSource):
            return await self._start(source)
        if self._door is None:
            self._door = _door(source, self._channel)
        return HttpWire(self._door, state)

    async def _start(self, source: StdioSource) -> Wire:
        route = self._route
        known = await route.environment()
        own = {name: _expanded(value, known) for name, value in source.env}
        env = {"PATH": DEFAULT_PATH, **known, **own}
        request = SpawnRequest(
            argv=source.argv,
            env=tuple(env.items()),
            cwd=source.cwd or route.workspace_path,
            timeout_s=None,
            max_output=None,
            grace_s=_GRACE_S,
        )
        channel = await self._channel()
        return StdioWire(await channel.spawn(request), f"agent {route.key}")


def _expanded(value: str, known: Mapping[str, str]) -> str:
    """``value`` with the agent's variables in place of ``${NAME}``; one that is not set stays as it is."""
    return _VARIABLE.sub(lambda found: known.get(found[1], found[0]), value)


def _door(source: PortSource | UrlSource, channel: Callable[[], Awaitable[Channel]]) -> Door:
    if isinstance(source, PortSource):
        return PortDoor(source, channel)
    from ploinky.router.servers.outside import UrlDoor  # a general HTTP client is loaded only for these

    return UrlDoor(source)
