"""The gateway's HTTP face: a table of paths over parts that are passed in.

Knows HTTP, who may come in and how much they may send; MCP itself is the router's. A control path is the
owner's alone. To add a path: a row in ``_TABLE``; what lies below a path: a ``Mount``.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

import anyio
import orjson

from ploinky import __version__
from ploinky.base.errors import NotFoundError, PloinkyError, UsageError
from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.gateway.event_stream import serve_events
from ploinky.gateway.guard import Guard
from ploinky.gateway.hub import EventHub
from ploinky.gateway.rpc.dispatch import Dispatcher
from ploinky.gateway.rpc.http import serve_rpc
from ploinky.gateway.rpc.socket import RpcSocket, refuse_websocket
from ploinky.gateway.server import Listen, serve
from ploinky.mcp.messages import INTERNAL_ERROR, INVALID_REQUEST, RpcError
from ploinky.router.callers import Caller, CallerKind, TokenVerifier
from ploinky.router.http import (
    PING,
    PING_EVERY_S,
    HttpError,
    Receive,
    Scope,
    Send,
    end_event_stream,
    event,
    send_chunk,
    send_json,
    send_text,
    start_event_stream,
    wait_for_disconnect,
)
from ploinky.router.router import Router
from ploinky.wire.events import Event

__all__ = ["GatewayApp", "GatewayParts", "Listen", "create_app", "serve"]

logger = logging.getLogger(__name__)
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
_HOME = f"""Ploinky {__version__}: a workspace of agents behind one MCP router.

MCP, all agents:   /mcp
MCP, one agent:    /mcps/<agent>/mcp
Health:            /healthz, /readyz

Clients need a bearer token: ploinky token
There is no web page here yet; use the command line.
"""


class Access(Enum):
    """Who may come to a path."""

    ANYONE = 0
    CALLER = 1
    OWNER = 2


@dataclass(frozen=True)
class Request:
    """One HTTP request; ``caller`` is None where anyone may come."""

    scope: Scope
    receive: Receive
    send: Send
    caller: Caller | None


@dataclass(frozen=True)
class Mount:
    """A path and everything below it, answered by ``handler``, which looks at the method itself."""

    prefix: str
    handler: Callable[[Request], Awaitable[None]]
    access: Access = Access.CALLER

    def covers(self, path: str) -> bool:
        return path == self.prefix or path.startswith(f"{self.prefix}/")


@dataclass(frozen=True)
class GatewayParts:
    """What the application stands on.

    ``allowed_hosts`` are host names without port that a Host or Origin header may carry. ``events`` gives a
    new iterator per listener. ``shutdown`` only asks for the end, for its answer must still go out.
    ``rpc`` and ``hub`` serve ``/rpc``, ``/ws`` and ``/events``; without them these are not there.
    """

    router: Router
    verifier: TokenVerifier
    status: Callable[[], Awaitable[JsonValue]]
    reconcile: Callable[[], Awaitable[JsonValue]]
    shutdown: Callable[[], Awaitable[None]]
    events: Callable[[], AsyncIterator[Event]]
    is_ready: Callable[[], bool] = lambda: True
    allowed_hosts: frozenset[str] = field(default=LOOPBACK_HOSTS)
    rpc: Dispatcher | None = None
    hub: EventHub | None = None
    mounts: tuple[Mount, ...] = ()


class GatewayApp:
    """An ASGI application; made by ``create_app``."""

    def __init__(self, parts: GatewayParts) -> None:
        self._parts = parts
        self._guard = Guard(parts.verifier, parts.allowed_hosts)
        self._closing = anyio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        try:
            self._guard.check_names(scope)
            await self._route(scope, receive, send)
        except HttpError as error:
            body = RpcError(INVALID_REQUEST, error.message).body(None)
            await send_json(send, error.status, body, error.headers)
        except PloinkyError as error:
            await send_json(send, _status(error), _error_body(error))
        except Exception:
            logger.exception("a request failed inside the gateway")
            body = RpcError(INTERNAL_ERROR, "The gateway failed; its log says more.").body(None)
            with contextlib.suppress(RuntimeError):  # the answer may have begun
                await send_json(send, 500, body)

    def close_streams(self) -> None:
        """End every open stream; called by ``serve`` before it waits for connections to end."""
        self._closing.set()
        self._parts.router.close_streams()
        if self._parts.hub is not None:
            self._parts.hub.close()

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path == "/mcp":
            await self._mcp(scope, receive, send, None)
            return
        steps = path.split("/")
        if len(steps) == 4 and steps[1] in ("mcps", "mcp") and steps[2] and steps[3] == "mcp":
            await self._mcp(scope, receive, send, steps[2])
            return
        row = _TABLE.get(path)
        if row is None:
            mount = next((each for each in self._parts.mounts if each.covers(path)), None)
            if mount is None:
                raise HttpError(404, "There is nothing at this path.")
            await mount.handler(Request(scope, receive, send, self._admit(scope, mount.access)))
            return
        caller = self._admit(scope, row.access)
        if scope["method"] != row.method:
            raise HttpError(405, "Method Not Allowed", [(b"allow", row.method.encode())])
        await row.handler(self, Request(scope, receive, send, caller))

    def _admit(self, scope: Scope, access: Access) -> Caller | None:
        if access is Access.ANYONE:
            return None
        caller = self._guard.require_caller(scope)
        if access is Access.OWNER and caller.kind is not CallerKind.OWNER:
            raise HttpError(403, "Only the owner's token may do this.")
        return caller

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refused before it is accepted, by the HTTP status that a request would get."""
        parts = self._parts
        try:
            self._guard.check_names(scope)
            caller = self._guard.require_caller(scope)
        except HttpError as error:
            await refuse_websocket(send, error)
            return
        if scope["path"] != "/ws" or parts.rpc is None or parts.hub is None:
            await refuse_websocket(send, HttpError(404, "There is nothing at this path."))
            return
        await RpcSocket(parts.rpc, parts.hub, caller, send).run(receive, self._closing)

    async def _mcp(self, scope: Scope, receive: Receive, send: Send, agent: str | None) -> None:
        caller = self._guard.require_caller(scope)
        await self._parts.router.handle(scope, receive, send, caller=caller, agent=agent)

    async def _home(self, request: Request) -> None:
        await send_text(request.send, 200, _HOME)

    async def _health(self, request: Request) -> None:
        await send_text(request.send, 200, "ok\n")

    async def _readiness(self, request: Request) -> None:
        ready = self._parts.is_ready() and not self._closing.is_set()
        await send_text(request.send, 200 if ready else 503, "ready\n" if ready else "not ready\n")

    async def _status(self, request: Request) -> None:
        await _send_value(request.send, await self._parts.status())

    async def _tools(self, request: Request) -> None:
        await _send_value(request.send, {"tools": self._parts.router.overview()})

    async def _reconcile(self, request: Request) -> None:
        outcome = await self._parts.reconcile()
        await self._parts.router.look()
        await _send_value(request.send, outcome)

    async def _shutdown(self, request: Request) -> None:
        await self._parts.shutdown()
        await _send_value(request.send, {"stopping": True})

    async def _events(self, request: Request) -> None:
        await start_event_stream(request.send)
        await send_chunk(request.send, PING)
        async with anyio.create_task_group() as tasks:

            async def end_with(wait: Awaitable[None]) -> None:
                await wait
                tasks.cancel_scope.cancel()

            async def keep_alive() -> None:
                while True:
                    await anyio.sleep(PING_EVERY_S)
                    await send_chunk(request.send, PING)

            tasks.start_soon(end_with, wait_for_disconnect(request.receive))
            tasks.start_soon(end_with, self._closing.wait())
            tasks.start_soon(keep_alive)
            async for each in self._parts.events():
                await send_chunk(request.send, event(each.model_dump_json().encode()))
            tasks.cancel_scope.cancel()
        await end_event_stream(request.send)

    async def _rpc(self, request: Request) -> None:
        if self._parts.rpc is None or request.caller is None:
            raise HttpError(404, "There is nothing at this path.")
        await serve_rpc(self._parts.rpc, request.caller, request.scope, request.receive, request.send)

    async def _hub_events(self, request: Request) -> None:
        if self._parts.hub is None or request.caller is None:
            raise HttpError(404, "There is nothing at this path.")
        await serve_events(
            self._parts.hub, self._closing, request.caller, request.scope, request.receive, request.send
        )


@dataclass(frozen=True)
class _Row:
    """One fixed path."""

    method: str
    handler: Callable[[GatewayApp, Request], Awaitable[None]]
    access: Access = Access.OWNER


_TABLE: Mapping[str, _Row] = MappingProxyType(
    {
        "/": _Row("GET", GatewayApp._home, Access.ANYONE),
        "/healthz": _Row("GET", GatewayApp._health, Access.ANYONE),
        "/readyz": _Row("GET", GatewayApp._readiness, Access.ANYONE),
        "/rpc": _Row("POST", GatewayApp._rpc, Access.CALLER),
        "/events": _Row("GET", GatewayApp._hub_events, Access.CALLER),
        "/control/status": _Row("GET", GatewayApp._status),
        "/control/tools": _Row("GET", GatewayApp._tools),
        "/control/reconcile": _Row("POST", GatewayApp._reconcile),
        "/control/shutdown": _Row("POST", GatewayApp._shutdown),
        "/control/events": _Row("GET", GatewayApp._events),
    }
)


def create_app(parts: GatewayParts) -> GatewayApp:
    """The application over ``parts``."""
    return GatewayApp(parts)


async def _send_value(send: Send, value: JsonValue) -> None:
    await send_json(send, 200, orjson.dumps(value))


def _status(error: PloinkyError) -> int:
    if isinstance(error, NotFoundError):
        return 404
    return 400 if isinstance(error, UsageError) else 500


def _error_body(error: PloinkyError) -> bytes:
    body: JsonObject = {"code": error.code, "message": error.message, "hint": error.hint}
    body["details"] = dict(error.details)
    return orjson.dumps({"error": body})
