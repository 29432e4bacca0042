"""An agent that is an MCP server, as an ``Upstream``.

A scout looks at it when it is ready, and again whenever it says that something changed or its connection was
lost; what was seen last stays known while it is away. Each client speaks to it in a conversation of its own,
in the client's era if the server speaks that.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from dataclasses import replace

import anyio
import anyio.abc

from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import find_object
from ploinky.mcp.messages import RpcError
from ploinky.mcp.upstream import Ask, Back, ClientFacts, Conversation, Offer
from ploinky.router.launcher_link import LauncherLink
from ploinky.router.param_headers import ParamHeader, param_headers
from ploinky.router.routes import AgentRoute
from ploinky.router.servers.background import Background
from ploinky.router.servers.doors import WireOpener
from ploinky.router.servers.scout import (
    EVERY_LIST,
    SCOUT_SESSION,
    SCOUT_STATELESS,
    Deaf,
    Found,
    discover,
    read_offer,
)
from ploinky.router.servers.session_talk import SessionTalk
from ploinky.router.servers.source import StdioSource
from ploinky.router.servers.stateless_talk import StatelessTalk

logger = logging.getLogger(__name__)
Talk = SessionTalk | StatelessTalk
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 15.0
_LOOK_S = 60.0
_WATCH_S = 1.0
_SETTLE_S = 0.05


class ServerAgent:
    """See ``Upstream``. ``tell`` is called when the offer changed."""

    def __init__(self, route: AgentRoute, tasks: anyio.abc.TaskGroup, tell: Callable[[], None]) -> None:
        self.route = route
        self._tasks = tasks
        self._tell = tell
        self._link = LauncherLink(route.socket_path)
        self._offer = Offer(varies=True, keeps_state=True)
        self._found: Found | None = None
        self._problem = ""
        self._mirrored: dict[str, tuple[ParamHeader, ...]] = {}
        self._changed = False
        self._looked = anyio.Event()
        self._talks: weakref.WeakSet[Talk] = weakref.WeakSet()
        self._begin()

    @property
    def offer(self) -> Offer:
        return self._offer

    @property
    def problem(self) -> str:
        return self._problem

    async def refresh(self) -> bool:
        """Wait for the first look, if one is due; whether the offer changed since the last time."""
        if self.route.ready:
            await self._looked.wait()
        changed, self._changed = self._changed, False
        return changed

    def converse(self, client: ClientFacts, back: Back) -> Conversation:
        found = self._found
        stateless = found is not None and found.stateless and (client.stateless or not found.session)
        return self._talk(client, back, stateless=stateless)

    def adopt(self, route: AgentRoute) -> bool:
        """Take a new version of the route; says whether what clients see may differ."""
        before, self.route = self.route, route
        moved = (before.instance, before.socket_path, before.server) != (
            route.instance,
            route.socket_path,
            route.server,
        )
        if moved or (route.ready and not before.ready):
            self.close()
            self._link.socket_path = route.socket_path
            self._begin()
        return before != route

    def close(self) -> None:
        self._background.end()
        for talk in tuple(self._talks):
            talk.abandon()
        self._talks.clear()
        self._link.close()

    def _begin(self) -> None:
        """Start looking, if there is something to look at."""
        self._background = Background(self._tasks, f"agent {self.route.key}")
        self._looked = anyio.Event()
        assert self.route.server is not None
        self._wires = WireOpener(self.route, self.route.server, self._link.channel)
        if self.route.ready:
            self._background.start(self._watch)

    def _talk(self, client: ClientFacts, back: Back, *, stateless: bool) -> Talk:
        talk: Talk
        if stateless:
            talk = StatelessTalk(self._wires.open, client, back, self._background, self._mirrored_of)
        else:
            talk = SessionTalk(self._wires.open, client, back, self._tasks, f"agent {self.route.key}")
        self._talks.add(talk)
        return talk

    def _mirrored_of(self, tool: str) -> tuple[ParamHeader, ...]:
        return self._mirrored.get(tool, ())

    async def _watch(self) -> None:
        """Look, wait until something changed, look again; pauses grow while it cannot be reached."""
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                await self._look_and_wait()
                pause_s = _FIRST_PAUSE_S
            except (PloinkyError, RpcError, TimeoutError) as error:
                self._fail(str(error) or "it did not answer in time")
            self._looked.set()
            await anyio.sleep(pause_s)
            pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)

    async def _look_and_wait(self) -> None:
        back = Deaf()
        talks: list[Talk] = []
        try:
            with anyio.fail_after(_LOOK_S):
                talk, found = await self._meet(back, talks)
                self._accept(found, await read_offer(talk, found, back))
            while True:
                await self._until_changed(talk, back, found)
                await anyio.sleep(_SETTLE_S)
                back.changed = anyio.Event()
                with anyio.fail_after(_LOOK_S):
                    self._accept(found, await read_offer(talk, found, back))
        finally:
            with anyio.CancelScope(shield=True):
                for each in talks:
                    await each.aclose()

    async def _meet(self, back: Deaf, talks: list[Talk]) -> tuple[Talk, Found]:
        """The conversation to look by. A process is asked one thing only: it may not bear the other."""
        session = self._talk(SCOUT_SESSION, back, stateless=False)
        assert isinstance(session, SessionTalk)
        talks.append(session)
        introduction = None
        try:
            introduction = await session.introduction()
        except RpcError as error:
            refusal = error
        if introduction is not None and isinstance(self.route.server, StdioSource):
            return session, Found(introduction, session=True, stateless=False)
        stateless = self._talk(SCOUT_STATELESS, back, stateless=True)
        talks.append(stateless)
        discovered = await discover(stateless, back)
        if discovered is None and introduction is None:
            raise refusal
        if introduction is not None:
            return session, Found(introduction, session=True, stateless=discovered is not None)
        assert discovered is not None
        return stateless, Found(discovered, session=False, stateless=True)

    async def _until_changed(self, talk: Talk, back: Deaf, found: Found) -> None:
        """Return when a list changed.

        Raises:
            PloinkyError: the server went away.
        """
        if isinstance(talk, StatelessTalk):
            async with anyio.create_task_group() as tasks:

                async def listen() -> None:
                    await talk.request(Ask(0, "subscriptions/listen", EVERY_LIST, SCOUT_STATELESS, back))
                    tasks.cancel_scope.cancel()

                tasks.start_soon(listen)
                await back.changed.wait()
                tasks.cancel_scope.cancel()
            return
        while not back.changed.is_set():
            with anyio.move_on_after(_WATCH_S):
                await back.changed.wait()
            if talk.is_lost:
                raise PloinkyError("SERVER_LOST", "The MCP server ended.")

    def _accept(self, found: Found, offer: Offer) -> None:
        self._found, self._problem = found, ""
        if offer != self._offer:
            self._offer = offer
            self._mirrored = {
                str(tool.get("name")): param_headers(find_object(tool, "inputSchema") or {})
                for tool in offer.tools
            }
            self._changed = True
        self._looked.set()
        if self._changed:
            self._tell()

    def _fail(self, problem: str) -> None:
        if problem != self._problem:
            logger.warning("agent %s: %s", self.route.key, problem)
        self._problem = problem
        if self._offer.problem != problem:
            self._offer = replace(self._offer, problem=problem)
            self._changed = True
            self._tell()
