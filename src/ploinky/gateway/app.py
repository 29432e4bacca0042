"""The gateway's HTTP face: a table of paths over parts that are passed in.

Knows HTTP, who may come in and what is at which path; MCP itself is the router's. To add a path: a row in a
file that makes rows (``control``, ``web_face``), given in ``GatewayParts.rows``; what lies below a path: a
``Mount``.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import parse_qs

import anyio
import orjson

from ploinky import __version__
from ploinky.base.errors import NotFoundError, PloinkyError, UsageError
from ploinky.base.jsontypes import JsonObject
from ploinky.base.names import is_name
from ploinky.gateway.guard import Guard
from ploinky.gateway.pages import Pages
from ploinky.gateway.rows import Access, Handler, Mount, Request, Row, require_access
from ploinky.gateway.rpc.socket import refuse_websocket
from ploinky.gateway.server import Listen, serve
from ploinky.mcp.messages import INTERNAL_ERROR, INVALID_REQUEST, RpcError
from ploinky.router.callers import Caller
from ploinky.router.express import Asked, headers_of
from ploinky.router.http import HttpError, Receive, Scope, Send, send_json, send_text
from ploinky.router.router import Router

__all__ = ["GatewayApp", "GatewayParts", "Listen", "create_app", "serve"]

logger = logging.getLogger(__name__)
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
_HOME = f"""Ploinky {__version__}: a workspace of agents behind one MCP router.

MCP, all agents:   /mcp
MCP, one agent:    /mcps/<agent>/mcp
Health:            /healthz, /readyz

Clients need a bearer token: ploinky token
"""


@dataclass(frozen=True)
class GatewayParts:
    """What the application stands on: rows by path, websockets by path, and pages for what is neither.

    A key of ``sockets`` that ends with a slash is for all that lies below it. ``on_close`` is called when
    streams should end.
    """

    router: Router
    guard: Guard
    rows: Mapping[str, Row]
    sockets: Mapping[str, Handler] = field(default_factory=lambda: MappingProxyType({}))
    pages: Pages | None = None
    on_close: Callable[[], None] = lambda: None
    mounts: tuple[Mount, ...] = ()

    def socket(self, path: str) -> Handler | None:
        """What answers a websocket at ``path``."""
        below = (each for key, each in self.sockets.items() if key.endswith("/") and path.startswith(key))
        return self.sockets.get(path) or next(below, None)


class GatewayApp:
    """An ASGI application; made by ``create_app``."""

    def __init__(self, parts: GatewayParts) -> None:
        self._parts = parts
        self._guard = parts.guard
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

    def express(
        self,
        scope: Scope,
        body: bytes,
        answered: Callable[[int, bytes], None],
        fall_back: Callable[[], None],
    ) -> Callable[[], None] | None:
        """See ``server.Express``: plain calls of tools by callers that show a good token."""
        agent = _mcp_agent(scope["path"])
        headers = headers_of(scope["headers"])
        if agent is _NO_ENDPOINT or headers is None or self._closing.is_set():
            return None
        if not headers.get(b"content-type", b"").startswith(b"application/json"):
            return None
        caller = self._guard.known_caller(scope)
        if caller is None:
            return None
        asked = Asked(caller, agent or None, headers, body, answered, fall_back)
        return self._parts.router.take_express(asked)

    def close_streams(self) -> None:
        """End every open stream; called by ``serve`` before it waits for connections to end."""
        self._closing.set()
        self._parts.router.close_streams()
        self._parts.on_close()

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path == "/mcp":
            await self._mcp(scope, receive, send, None)
            return
        steps = path.split("/")
        if len(steps) == 4 and steps[1] in ("mcps", "mcp") and steps[2] and steps[3] == "mcp":
            await self._mcp(scope, receive, send, steps[2])
            return
        if len(steps) == 4 and steps[1] in ("mcps", "mcp") and steps[2] and steps[3] == "task":
            await self._task(scope, send, steps[2])
            return
        row = self._parts.rows.get(path)
        if row is None:
            await self._below(scope, receive, send)
            return
        caller = self._admit(scope, row.access)
        await row.handler(scope["method"])(Request(scope, receive, send, self._closing, caller))

    async def _task(self, scope: Scope, send: Send, agent: str) -> None:
        """How clients of before MCP's tasks look at one: ``?taskId=``."""
        caller = self._guard.require_caller(scope)
        if scope["method"] != "GET":
            raise HttpError(405, "Method Not Allowed", [(b"allow", b"GET")])
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        task_id = query.get("taskId", [""])[0]
        task = await self._parts.router.task(caller, agent, task_id)
        await send_json(send, 200, orjson.dumps({"task": task}))

    async def _below(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What lies below a mount, or else a page of the web UI."""
        mount = next((each for each in self._parts.mounts if each.covers(scope["path"])), None)
        if mount is not None:
            caller = self._admit(scope, mount.access)
            await mount.handler(Request(scope, receive, send, self._closing, caller))
        elif self._parts.pages is not None:
            await self._parts.pages.serve(scope, send)
        elif scope["path"] == "/":
            await send_text(send, 200, _HOME)
        else:
            raise HttpError(404, "There is nothing at this path.")

    def _admit(self, scope: Scope, access: Access) -> Caller | None:
        caller = self._guard.require_caller(scope) if access is not Access.ANYONE else None
        require_access(access, caller)
        return caller

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refused before it is accepted, by the HTTP status that a request would get."""
        try:
            self._guard.check_names(scope)
            caller = self._guard.require_caller(scope)
        except HttpError as error:
            await refuse_websocket(send, error)
            return
        handler = self._parts.socket(scope["path"])
        if handler is None:
            await refuse_websocket(send, HttpError(404, "There is nothing at this path."))
            return
        await handler(Request(scope, receive, send, self._closing, caller))

    async def _mcp(self, scope: Scope, receive: Receive, send: Send, agent: str | None) -> None:
        caller = self._guard.require_caller(scope)
        await self._parts.router.handle(scope, receive, send, caller=caller, agent=agent)


_NO_ENDPOINT = "/"  # no agent has this name


def _mcp_agent(path: str) -> str:
    """The agent of an MCP endpoint, empty for all together, ``_NO_ENDPOINT`` for any other path."""
    if path == "/mcp":
        return ""
    steps = path.split("/")
    fits = len(steps) == 4 and steps[1] in ("mcps", "mcp") and steps[3] == "mcp" and is_name(steps[2])
    return steps[2] if fits else _NO_ENDPOINT


def create_app(parts: GatewayParts) -> GatewayApp:
    """The application over ``parts``."""
    return GatewayApp(parts)


def _status(error: PloinkyError) -> int:
    if isinstance(error, NotFoundError):
        return 404
    return 400 if isinstance(error, UsageError) else 500


def _error_body(error: PloinkyError) -> bytes:
    body: JsonObject = {"code": error.code, "message": error.message, "hint": error.hint}
    body["details"] = dict(error.details)
    return orjson.dumps({"error": body})
