"""The router's side of one agent: its connection, its configuration as last read, its tools.

One connection to the launcher is kept open and carries all calls; when it ends, whatever runs over it fails
at once and the next call makes a new one. The configuration is read again when its file changes; one that
cannot be read or used leaves the last good one in force and a ``problem`` to show.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path

import anyio

from ploinky.base.errors import PloinkyError
from ploinky.channel.client import Channel
from ploinky.router.routes import AgentRoute
from ploinky.toolhost.config import ToolConfig, parse_mcp_config
from ploinky.toolhost.host import ToolHost, ToolPlace
from ploinky.toolhost.sources import (
    MAX_CONFIG_BYTES,
    ConfigSource,
    Stamp,
    read_host_file,
    stat_stamp,
)

logger = logging.getLogger(__name__)
_REMOTE_EVERY_S = 5.0


@dataclass(frozen=True)
class _Found:
    """A configuration file: its stamp, and where it lies on the host or what it holds."""

    stamp: Stamp
    content: Path | bytes

    def read(self) -> bytes:
        return self.content if isinstance(self.content, bytes) else read_host_file(self.content)


class AgentLink:
    """One agent, as long as it has a route."""

    def __init__(self, route: AgentRoute) -> None:
        self.route = route
        self.problem: str | None = None
        self._live: Channel | None = None
        self._connecting = anyio.Lock()
        self._stamp: Stamp | None = None
        self._remote_seen: dict[str, _Found | None] = {}
        self._remote_due = 0.0
        self.host = self._new_host(ToolConfig())

    def adopt(self, route: AgentRoute) -> bool:
        """Take a new version of the route; says whether what clients see may differ."""
        before, self.route = self.route, route
        if (before.instance, before.socket_path) != (route.instance, route.socket_path):
            self.close()
        if before.ready != route.ready or before.instance != route.instance:
            self._remote_due = 0.0
        same_place = (before.code_path, before.workspace_path) == (route.code_path, route.workspace_path)
        if not same_place or before.config_sources != route.config_sources:
            self._stamp = None
            self._remote_due = 0.0
        return before != route

    def close(self) -> None:
        """End the connection; calls that run over it fail."""
        if self._live is not None:
            self._live.close()
            self._live = None

    async def channel(self) -> Channel:
        """The connection, made if there is none or the last one was lost.

        Raises:
            PloinkyError: ``CHANNEL_UNREACHABLE``.
            DeadlineError: the launcher does not answer.
        """
        if self._live is None or self._live.is_lost:
            async with self._connecting:
                if self._live is None or self._live.is_lost:
                    self.close()
                    self._live = await Channel.connect(self.route.socket_path)
        return self._live

    async def refresh(self) -> bool:
        """Look whether the configuration changed and read it if so; says whether it did.

        Never raises for what is wrong with the agent or its file: that becomes ``problem``. An agent that is
        away and of which nothing is known now keeps what it had, and with it its claim on names.
        """
        if not self.route.ready and not self.route.config_sources:
            return False
        try:
            found = await self._find()
            if found is None:
                return await self._accept(None, ToolConfig())
            if found.stamp == self._stamp:
                return False
            config = parse_mcp_config(found.read(), source=found.stamp.path)
        except PloinkyError as error:
            if self.problem != error.message:
                logger.warning("agent %s: %s", self.route.key, error.message)
            self.problem = error.message
            return False
        for warning in config.warnings:
            logger.warning("agent %s: %s", self.route.key, warning)
        return await self._accept(found.stamp, config)

    async def _accept(self, stamp: Stamp | None, config: ToolConfig) -> bool:
        self.problem = None
        if stamp == self._stamp and (stamp is not None or not self.host.tools):
            return False
        self._stamp = stamp
        former, self.host = self.host, self._new_host(config)
        await former.close()
        return True

    def _new_host(self, config: ToolConfig) -> ToolHost:
        route = self.route
        place = ToolPlace(route.key, self._environment, route.code_path, route.workspace_path)
        return ToolHost(place, self.channel, config)

    async def _environment(self) -> dict[str, str]:
        return dict(await self.route.environment())

    async def _find(self) -> _Found | None:
        """The first source that exists. A path that only the launcher can see is asked for now and then."""
        ask = self.route.ready and time.monotonic() >= self._remote_due
        if ask:
            self._remote_due = time.monotonic() + _REMOTE_EVERY_S
        for source in self.route.config_sources:
            host = source.host_path()
            if host is not None:
                stamp = stat_stamp(source, host)
                if stamp is not None:
                    return _Found(stamp, host)
                continue
            if ask:
                self._remote_seen[source.inside] = await self._read_remote(source)
            found = self._remote_seen.get(source.inside)
            if found is not None:
                return found
        return None

    async def _read_remote(self, source: ConfigSource) -> _Found | None:
        channel = await self.channel()
        file = await channel.read_file(source.inside, MAX_CONFIG_BYTES)
        if file is None:
            return None
        if file.truncated:
            raise PloinkyError(
                "MCP_CONFIG_UNREADABLE", f"{source.inside} has more than {MAX_CONFIG_BYTES} bytes."
            )
        return _Found(Stamp(source.inside, file.mtime_ns, file.size), file.data)
