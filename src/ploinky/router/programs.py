"""An agent made of programs: its connection, its configuration as last read, what its programs offer.

The configuration is read again when its file changes; one that cannot be read or used leaves the last good
one in force and a ``problem`` to show.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonObject
from ploinky.base.redaction import Redactor
from ploinky.channel.program import Program
from ploinky.mcp.upstream import Back, ClientFacts, Offer
from ploinky.router.launcher_link import LauncherLink
from ploinky.router.routes import AgentRoute
from ploinky.toolhost.answers import ProgramAnswers, offer_of
from ploinky.toolhost.backroom import Backroom
from ploinky.toolhost.config import ToolConfig, parse_mcp_config
from ploinky.toolhost.conversation import ProgramConversation
from ploinky.toolhost.host import CallMeta, Express, ToolHost, ToolPlace
from ploinky.toolhost.sources import (
    MAX_CONFIG_BYTES,
    ConfigSource,
    Stamp,
    read_host_file,
    stat_stamp,
)
from ploinky.toolhost.subscriptions import Subscriptions
from ploinky.toolhost.tasks import AgentTasks, TaskAgent

logger = logging.getLogger(__name__)
_REMOTE_EVERY_S = 5.0


@dataclass(frozen=True)
class _Found:
    """A configuration file: its stamp, and where it lies on the host or what it holds."""

    stamp: Stamp
    content: Path | bytes

    def read(self) -> bytes:
        return self.content if isinstance(self.content, bytes) else read_host_file(self.content)


class ProgramAgent:
    """One agent, as long as it has a route: an ``Upstream``. ``backroom`` carries what outlives a request."""

    def __init__(
        self,
        route: AgentRoute,
        backroom: Backroom | None = None,
        end_program: Callable[[Program], None] | None = None,
    ) -> None:
        self.route = route
        self._end_program = end_program
        self.backroom = backroom
        self.tasks: AgentTasks | None = None
        self.subscriptions = Subscriptions()
        self._problem = ""
        self._link = LauncherLink(route.socket_path)
        self._stamp: Stamp | None = None
        self._remote_seen: dict[str, _Found | None] = {}
        self._remote_due = 0.0
        self._take(ToolConfig())
        if backroom is not None and backroom.desk is not None:
            self.tasks = backroom.desk.join(self._as_task_agent())

    @property
    def offer(self) -> Offer:
        return self._offer

    @property
    def problem(self) -> str:
        return self._problem

    def converse(self, client: ClientFacts, back: Back) -> ProgramConversation:
        """See ``Upstream``."""
        return ProgramConversation(self, client, back)

    def express(self, name: str, arguments: JsonObject, meta: CallMeta) -> Express | None:
        """See ``ToolHost``."""
        return self._host.express(name, arguments, meta)

    def adopt(self, route: AgentRoute) -> bool:
        """Take a new version of the route; says whether what clients see may differ."""
        before, self.route = self.route, route
        if (before.instance, before.socket_path) != (route.instance, route.socket_path):
            self.close()
            self._link.socket_path = route.socket_path
        if before.ready != route.ready or before.instance != route.instance:
            self._remote_due = 0.0
        same_place = (before.code_path, before.workspace_path) == (route.code_path, route.workspace_path)
        if not same_place or before.config_sources != route.config_sources:
            self._stamp = None
            self._remote_due = 0.0
        if self.tasks is not None:
            self.tasks.pump()
        return before != route

    def close(self) -> None:
        """End the connection; calls that run over it fail."""
        self._link.close()

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
            if self._problem != error.message:
                logger.warning("agent %s: %s", self.route.key, error.message)
            self._problem = error.message
            return False
        for warning in config.warnings:
            logger.warning("agent %s: %s", self.route.key, warning)
        return await self._accept(found.stamp, config)

    async def _accept(self, stamp: Stamp | None, config: ToolConfig) -> bool:
        self._problem = ""
        if stamp == self._stamp and (stamp is not None or not self._host.config.is_empty):
            return False
        self._stamp = stamp
        former = self._host
        self._take(config)
        await former.close()
        if self.tasks is not None:
            self.tasks.pump()
        return True

    def _as_task_agent(self) -> TaskAgent:
        return TaskAgent(
            key=self.route.key,
            host=lambda: self._host,
            is_ready=lambda: self.route.ready and self._stamp is not None,
            redactor=self._redactor,
            on_updated=self.subscriptions.publish,
        )

    def _take(self, config: ToolConfig) -> None:
        route = self.route
        place = ToolPlace(route.key, self._environment, route.code_path, route.workspace_path, self._redactor)
        self._host = ToolHost(place, self._link.channel, config)
        if self._end_program is not None:
            self._host.allow_express(self._end_program, self.subscriptions.publish)
        self.answers = ProgramAnswers(self._host)
        self._offer = offer_of(config, has_tasks=self.backroom is not None and self.backroom.desk is not None)

    async def _redactor(self) -> Redactor:
        return await self.route.redactor()

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
        channel = await self._link.channel()
        file = await channel.read_file(source.inside, MAX_CONFIG_BYTES)
        if file is None:
            return None
        if file.truncated:
            raise PloinkyError(
                "MCP_CONFIG_UNREADABLE", f"{source.inside} has more than {MAX_CONFIG_BYTES} bytes."
            )
        return _Found(Stamp(source.inside, file.mtime_ns, file.size), file.data)
