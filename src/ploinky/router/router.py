"""The router: every ready agent's tools as MCP servers, one by one and all together.

Keeps agents and directory true to the table and to the configuration files, tells open streams when what they
see has changed, and hands each request to its era.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
import anyio.abc
import anyio.to_thread

from ploinky.base.errors import NotFoundError
from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.mcp.messages import (
    SESSION_VERSIONS,
    VERSION_HEADER,
    Reply,
    Request,
    RpcError,
    is_stateless,
    read_message,
)
from ploinky.mcp.traces import trace_in, trace_of, with_trace
from ploinky.router.callers import Caller
from ploinky.router.directory import Directory, DirectorySettings, Origin
from ploinky.router.exchange import Exchange
from ploinky.router.express import Asked, ExpressWay
from ploinky.router.http import HeaderPair, HttpError, Receive, Scope, Send, read_body, send_json
from ploinky.router.inside import InsideTools
from ploinky.router.naming import Naming
from ploinky.router.policy import EnabledOnly, Policy
from ploinky.router.programs import ProgramAgent
from ploinky.router.remembered import RememberedSessions
from ploinky.router.revival import Revival
from ploinky.router.roster import Roster
from ploinky.router.routes import RouteTable
from ploinky.router.served import Tell
from ploinky.router.service import Service, ServiceSettings
from ploinky.router.session_era import SessionEra
from ploinky.router.sessions import Session, SessionStore
from ploinky.router.stateless_era import StatelessEra
from ploinky.router.tracing import Tracer, begin_http, within_http
from ploinky.toolhost.backroom import Backroom
from ploinky.toolhost.parked import ParkedRuns
from ploinky.toolhost.task_store import TaskStore
from ploinky.toolhost.task_wire import old_task
from ploinky.toolhost.tasks import TaskDesk

__all__ = ["Naming", "Router", "RouterSettings", "open_router"]

logger = logging.getLogger(__name__)
_SWEEP_EVERY = 60


@dataclass(frozen=True)
class RouterSettings:
    """``agent_deadline_s`` bounds how long one agent may hold up a list, ``call_timeout_s`` how long one
    request to it may take (``timeouts``: by glob of the agent); the rest bound memory and waits. ``tell``
    hears of every request that ended; ``tracer`` makes spans, if it is given. Tasks are kept in
    ``tasks_file``; without one there are none. Sessions outlive the router in ``sessions_file``."""

    naming: Naming = Naming.AUTO
    agent_deadline_s: float = 2.0
    call_timeout_s: float = 600.0
    timeouts: tuple[tuple[str, float], ...] = ()
    tell: Tell = lambda served: None
    tool_search: bool = False
    config_poll_s: float = 1.0
    session_idle_s: float = 3600.0
    max_sessions: int = 10_000
    max_body_bytes: int = 4 * 1024 * 1024
    body_timeout_s: float = 30.0
    tasks_file: Path | None = None
    sessions_file: Path | None = None
    tracer: Tracer | None = None


class Router:
    """Made by ``open_router``; ``table`` may be replaced at any time."""

    def __init__(
        self,
        table: RouteTable,
        settings: RouterSettings,
        tasks: anyio.abc.TaskGroup,
        policy: Policy,
        backroom: Backroom,
        remembered: RememberedSessions | None = None,
    ) -> None:
        self.table = table
        self.settings = settings
        self._tasks = tasks
        self._backroom = backroom
        self._changed = anyio.Event()
        self._roster = Roster(table, tasks, backroom, self._look_soon)
        self._directory = Directory(
            table, self._roster.agents, policy, DirectorySettings(settings.naming, settings.tool_search)
        )
        self._service = Service(
            table,
            self._directory,
            ServiceSettings(settings.call_timeout_s, settings.timeouts, settings.tell, settings.tracer),
        )
        self._sessions = SessionStore(
            most=settings.max_sessions, idle_s=settings.session_idle_s, end=self._end_talks
        )
        self._revival = Revival(self._service, self._sessions, remembered, tasks)
        self._session_era = SessionEra(self._service, self._sessions, self._revival)
        self._stateless_era = StatelessEra(self._service, tasks)
        self._express = ExpressWay(self._service, self._sessions)

    async def handle(
        self, scope: Scope, receive: Receive, send: Send, *, caller: Caller, agent: str | None
    ) -> None:
        """Answer one HTTP request at ``agent``'s endpoint, or (None) at that of all agents.

        Raises:
            HttpError: HTTP itself refuses the request.
        """
        self._require_endpoint(caller, agent)
        exchange = _exchange(scope, receive, send, Origin(caller, agent))
        if exchange.method == "POST":
            await self._post(scope, exchange)
            return
        version = exchange.headers.get(VERSION_HEADER, b"2025-11-25").decode("latin-1")
        handler = {"GET": self._session_era.get, "DELETE": self._session_era.delete}.get(exchange.method)
        if handler is None or version not in SESSION_VERSIONS:
            allowed = b"POST" if version not in SESSION_VERSIONS else b"GET, POST, DELETE"
            raise HttpError(405, "Method Not Allowed", [(b"allow", allowed)])
        await handler(exchange)

    async def task(self, caller: Caller, agent: str, task_id: str) -> JsonObject:
        """A task as clients of before MCP's tasks ask for it.

        Raises:
            HttpError: there is no such agent or task, or not for this caller.
        """
        self._require_endpoint(caller, agent)
        upstream = self._roster.agents[agent]
        try:
            if isinstance(upstream, ProgramAgent) and upstream.tasks is not None:
                return old_task(await upstream.tasks.find(task_id, str(caller)))
        except NotFoundError as error:
            raise HttpError(404, error.message) from error
        raise HttpError(404, "There is no such task.")

    @property
    def desk(self) -> TaskDesk | None:
        """All tasks of all agents, for the workspace's owner; None where none are kept."""
        return self._backroom.desk

    def inside(self) -> InsideTools:
        """The agents' tools for callers within this process."""
        return InsideTools(self._service)

    def take_express(self, asked: Asked) -> Callable[[], None] | None:
        """Begin a plain call the quick way; what cancels it, or None if ``handle`` must be asked."""
        if asked.agent is not None:
            reach = self._directory.policy.reach(asked.caller)
            if asked.agent not in self.table.routes or (reach is not None and asked.agent not in reach):
                return None
        return self._express.take(asked)

    def problems(self) -> dict[str, str]:
        """What is wrong with agents' configurations, by route key."""
        return self._roster.problems()

    def overview(self) -> list[JsonValue]:
        """What the owner's list at the endpoint of all agents holds, in short: for completion, for people."""
        return self._directory.overview()

    def sessions(self) -> int:
        """How many sessions are open."""
        return len(self._sessions)

    def close_streams(self) -> None:
        """End every open stream, so that the server can shut down; new ones end at once."""
        self._stateless_era.listeners.close()
        for session in self._sessions:
            session.feed.close()

    def close(self) -> None:
        """End streams and connections; calls under way fail."""
        self.close_streams()
        self._roster.close()

    async def look(self) -> None:
        """Bring links and catalogue up to the table and the files, and tell clients what changed.

        An agent that takes longer than its deadline is left as it was.
        """
        changed = self._roster.adopt_routes()
        changed = await self._roster.refresh(self.settings.agent_deadline_s) or changed
        if changed:
            self._publish()

    async def run(self) -> None:
        """Look again and again: at once when the table changes, else every ``config_poll_s``."""
        rounds, swept = 0, time.monotonic()
        unsubscribe = self.table.subscribe(self._wake)
        try:
            while True:
                with anyio.move_on_after(self.settings.config_poll_s):
                    await self._changed.wait()
                self._changed = anyio.Event()
                await self.look()
                rounds += 1
                if rounds % _SWEEP_EVERY == 0:
                    self._sessions.sweep()
                    swept, since = time.monotonic(), swept
                    await self._revival.sweep(since)
                    self._stateless_era.parked.sweep()
                    await self._backroom.sweep()
                    await self._stateless_era.talks.sweep()
        finally:
            unsubscribe()

    def _wake(self) -> None:
        """Readiness gates routing at this very moment; files may be read a moment later."""
        self._changed.set()
        if self._roster.adopt_routes():
            self._publish()

    def _look_soon(self) -> None:
        self._changed.set()

    def _end_talks(self, session: Session) -> None:
        if session.talks is not None:
            self._tasks.start_soon(session.talks.aclose)
        self._tasks.start_soon(self._revival.forget, session.id)

    def _publish(self) -> None:
        self._directory.rebuild()
        self._service.forget_gone()
        self._session_era.publish_changes()
        self._stateless_era.listeners.publish_changes()

    def _require_endpoint(self, caller: Caller, agent: str | None) -> None:
        if agent is None:
            return
        if agent not in self.table.routes:
            raise HttpError(404, f"There is no agent {agent!r} here.")
        reach = self._directory.policy.reach(caller)
        if reach is not None and agent not in reach:
            raise HttpError(403, f"This agent's manifest does not enable {agent!r}.")

    async def _post(self, scope: Scope, exchange: Exchange) -> None:
        kind = exchange.headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        if kind != b"application/json":
            raise HttpError(415, "A POST carries application/json.")
        if not exchange.accepts(b"application/json"):
            raise HttpError(406, "Accept application/json and text/event-stream.")
        settings = self.settings
        body = await read_body(
            scope, exchange.receive, limit=settings.max_body_bytes, timeout_s=settings.body_timeout_s
        )
        try:
            message = read_message(body)
            if isinstance(message, Request) and message.id is not None:
                await self._request(exchange, message)
            else:
                await self._by_era(exchange, message)
        except RpcError as error:
            await send_json(exchange.send, 400, error.body(None))

    async def _request(self, exchange: Exchange, request: Request) -> None:
        """A request, with what its caller says of the trace it belongs to."""
        said, tracer = trace_in(request.params), self.settings.tracer
        trace = said or trace_of(exchange.headers)
        if tracer is None:
            if trace is not said and trace is not None:
                request = replace(request, params=with_trace(request.params, trace))
            await self._by_era(exchange, request)
            return

        async def work(request: Request, send: Send) -> None:
            await self._by_era(replace(exchange, send=send), request)

        await within_http(begin_http(tracer, exchange.origin.agent, trace), request, exchange.send, work)

    async def _by_era(self, exchange: Exchange, message: Request | Reply) -> None:
        era = self._stateless_era if is_stateless(exchange.headers, message) else self._session_era
        await era.post(exchange, message)


def _exchange(scope: Scope, receive: Receive, send: Send, origin: Origin) -> Exchange:
    headers: dict[bytes, bytes] = {}
    doubled: set[bytes] = set()
    pairs: list[HeaderPair] = scope["headers"]
    for name, value in pairs:
        if name in headers:
            doubled.add(name)
        headers[name] = value
    connection = str(scope.get("client") or "")
    return Exchange(scope["method"], headers, frozenset(doubled), receive, send, origin, connection)


@contextlib.asynccontextmanager
async def _kept(path: Path | None) -> AsyncIterator[TaskStore | None]:
    if path is None:
        yield None
        return
    store = await anyio.to_thread.run_sync(TaskStore, path)
    try:
        yield store
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(store.close)


@contextlib.asynccontextmanager
async def _remembered(settings: RouterSettings) -> AsyncIterator[RememberedSessions | None]:
    if settings.sessions_file is None:
        yield None
        return
    most, idle_s = settings.max_sessions, settings.session_idle_s
    remembered = RememberedSessions(settings.sessions_file, idle_s=idle_s, most=most)
    try:
        await remembered.sweep(())
        yield remembered
    finally:
        remembered.close()


@contextlib.asynccontextmanager
async def open_router(
    table: RouteTable, settings: RouterSettings | None = None, policy: Policy | None = None
) -> AsyncIterator[Router]:
    """A running router that has looked at every agent once; leaving the context ends its channels.

    Raises:
        PloinkyError: a file of its own cannot be used.
    """
    settings = settings or RouterSettings()
    async with (
        _kept(settings.tasks_file) as store,
        _remembered(settings) as remembered,
        anyio.create_task_group() as tasks,
    ):
        backroom = Backroom(ParkedRuns(tasks), None if store is None else TaskDesk(store, tasks))
        router = Router(table, settings, tasks, policy or EnabledOnly(table), backroom, remembered)
        await router.look()
        tasks.start_soon(router.run)
        try:
            yield router
        finally:
            router.close()
            tasks.cancel_scope.cancel()
