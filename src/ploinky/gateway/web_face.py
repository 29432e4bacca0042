"""What browsers and RPC clients reach: ``/rpc``, ``/events``, ``/ws``, logging in, terminals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from ploinky.gateway.event_stream import serve_events
from ploinky.gateway.hub import EventHub
from ploinky.gateway.login import LoginDesk
from ploinky.gateway.rows import Access, Handler, Request, Row
from ploinky.gateway.rpc.dispatch import Dispatcher
from ploinky.gateway.rpc.http import serve_rpc
from ploinky.gateway.rpc.socket import RpcSocket
from ploinky.gateway.sessions import SessionStore
from ploinky.gateway.terminals import Terminals
from ploinky.router.http import send_json


@dataclass(frozen=True)
class WebFace:
    """Rows over parts that are passed in."""

    dispatcher: Dispatcher
    hub: EventHub
    login: LoginDesk
    sessions: SessionStore
    terminals: Terminals

    def rows(self) -> Mapping[str, Row]:
        return {
            "/rpc": Row({"POST": self._rpc}, Access.CALLER),
            "/events": Row({"GET": self._events}, Access.CALLER),
            "/session": Row({"GET": self._session}, Access.ANYONE),
            "/login": Row({"GET": self._link, "POST": self._login}, Access.ANYONE),
            "/logout": Row({"POST": self._logout}, Access.ANYONE),
            "/control/login-code": Row({"POST": self._code}),
        }

    def sockets(self) -> Mapping[str, Handler]:
        return {
            "/ws": self._socket,
            "/ws/terminal": self.terminals.terminal,
            "/ws/logs": self.terminals.log,
        }

    async def _rpc(self, request: Request) -> None:
        await serve_rpc(self.dispatcher, request.caller, request.scope, request.receive, request.send)

    async def _events(self, request: Request) -> None:
        await serve_events(self.hub, request)

    async def _socket(self, request: Request) -> None:
        socket = RpcSocket(self.dispatcher, self.hub, request.caller, request.send)
        await socket.run(request.receive, request.closing)

    async def _session(self, request: Request) -> None:
        await self.login.session(request.scope, request.send)

    async def _login(self, request: Request) -> None:
        await self.login.login(request.scope, request.receive, request.send)

    async def _link(self, request: Request) -> None:
        await self.login.follow_link(request.scope, request.send)

    async def _logout(self, request: Request) -> None:
        await self.login.logout(request.scope, request.send)

    async def _code(self, request: Request) -> None:
        await send_json(request.send, 200, orjson.dumps({"code": self.sessions.new_code()}))
