"""Sessions that outlive the gateway: brought back when their client comes with an id of a former one.

The client notices nothing but that its lists may have changed. What made the session's state (log level,
subscriptions) is asked of the agents again; a call is never. To have one more request replayed: a row in
``_STATE``.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

import anyio
import anyio.abc

from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonObject, find_text
from ploinky.mcp.messages import AGENT_LOST, AGENT_NOT_READY, Request, RpcError, notification
from ploinky.mcp.upstream import Ask
from ploinky.router.directory import Origin
from ploinky.router.exchange import LIST_CHANGED
from ploinky.router.remembered import RememberedSessions
from ploinky.router.service import Service
from ploinky.router.sessions import Session, SessionStore
from ploinky.router.talks import SET_LEVEL, SILENT

logger = logging.getLogger(__name__)
_SUBSCRIBE, _UNSUBSCRIBE = "resources/subscribe", "resources/unsubscribe"
_STATE: Mapping[str, Callable[[JsonObject], str]] = MappingProxyType(
    {
        SET_LEVEL: lambda params: SET_LEVEL,
        _SUBSCRIBE: lambda params: find_text(params, "uri") or "",
        _UNSUBSCRIBE: lambda params: find_text(params, "uri") or "",
    }
)
"""What a request that makes state is about: a later one about the same takes its place."""
_MOST_MADE = 256
_TRIES = 120
_PAUSE_S = 0.5


class Revival:
    """Over the sessions of this gateway; without ``remembered`` none outlives it."""

    def __init__(
        self,
        service: Service,
        sessions: SessionStore,
        remembered: RememberedSessions | None,
        tasks: anyio.abc.TaskGroup,
    ) -> None:
        self._service = service
        self._sessions = sessions
        self._remembered = remembered
        self._tasks = tasks

    async def keep(self, session: Session) -> None:
        """A new session; it will be found by the next gateway."""
        if self._remembered is not None:
            with _kept_going("kept"):
                await self._remembered.keep(session.id, str(session.caller), session.agent, session.client)

    async def note(self, session: Session, request: Request) -> None:
        """A request of the session was answered."""
        about = _STATE.get(request.method)
        if about is None or self._remembered is None:
            return
        what = about(request.params)
        session.made_by.pop(what, None)
        if request.method != _UNSUBSCRIBE and len(session.made_by) < _MOST_MADE:
            session.made_by[what] = (request.method, request.params)
        with _kept_going("noted"):
            await self._remembered.note(session.id, tuple(session.made_by.values()))

    async def bring_back(
        self, session_id: str, origin: Origin, settle: Callable[[Session], None]
    ) -> Session | None:
        """The session that this caller had here with a former gateway; ``settle`` makes it ready."""
        if self._remembered is None:
            return None
        recalled = None
        with _kept_going("looked for"):
            recalled = await self._remembered.recall(session_id, str(origin.caller), origin.agent)
        known = self._sessions.find(session_id, origin.caller, origin.agent)
        if known is not None or recalled is None:
            return known
        session = self._sessions.open(origin.caller, origin.agent, recalled.client)
        if session is None:
            return None
        session.begin_life(recalled.life)
        settle(session)
        for method in dict.fromkeys(LIST_CHANGED):
            session.feed.publish(notification(method))
        session.made_by = {_STATE[method](params): (method, params) for method, params in recalled.made_by}
        await self._restore_level(session)
        if session.made_by:
            self._tasks.start_soon(self._replay, session, recalled.made_by)
        return session

    async def forget(self, session_id: str) -> None:
        """The session was ended."""
        if self._remembered is not None:
            with _kept_going("forgotten"):
                await self._remembered.forget(session_id)

    async def sweep(self, used_since: float) -> None:
        """Drop what is of no use any more; those used after ``used_since`` (monotonic) are of use."""
        if self._remembered is not None:
            with _kept_going("swept"):
                used = [each.id for each in self._sessions if each.busy or each.last_used >= used_since]
                await self._remembered.sweep(used)

    async def _replay(self, session: Session, made_by: tuple[tuple[str, JsonObject], ...]) -> None:
        for number, (method, params) in enumerate(made_by):
            if method != SET_LEVEL:
                await self._ask_again(session, Request(f"again-{number}", method, params))

    async def _restore_level(self, session: Session) -> None:
        """Each agent is told before its first request."""
        set_level = session.made_by.get(SET_LEVEL)
        if set_level is not None and session.talks is not None:
            ask = Ask("again", *set_level, session.client, SILENT)
            await session.talks.set_level(set_level[1], [], ask)

    async def _ask_again(self, session: Session, request: Request) -> None:
        """Ask until the agent is there to be asked, for a minute."""
        origin, talks = Origin(session.caller, session.agent), session.talks
        assert talks is not None
        for _ in range(_TRIES):
            try:
                await self._service.request(origin, request, talks, SILENT)
            except RpcError as error:
                if error.code not in (AGENT_LOST, AGENT_NOT_READY):
                    return
            except PloinkyError as error:
                logger.info("%s was not asked again: %s", request.method, error.message)
                return
            else:
                return
            await anyio.sleep(_PAUSE_S)


@contextlib.contextmanager
def _kept_going(what: str) -> Iterator[None]:
    """A file that cannot be used costs the sessions their future, not their present."""
    try:
        yield
    except PloinkyError as error:
        logger.warning("sessions cannot be %s: %s", what, error.message)
