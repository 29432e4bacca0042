"""MCP up to 2025-11-25: initialize, a session, POST for requests, GET for notifications, DELETE to end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import anyio
import orjson

from ploinky.base.jsontypes import JsonObject
from ploinky.router.exchange import Exchange, carry
from ploinky.router.http import HttpError, send_empty, send_json
from ploinky.router.protocol import (
    CANCELLED,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    SESSION_HEADER,
    SESSION_VERSIONS,
    Reply,
    Request,
    RpcError,
    notification,
    result_body,
)
from ploinky.router.service import CAPABILITIES, Origin, ToolService, call_result, server_info
from ploinky.router.sessions import Session, SessionStore
from ploinky.router.streams import CallReply

_LIST_CHANGED = notification("notifications/tools/list_changed")
Answer = Callable[[Exchange, Session, Request], bytes]


class SessionEra:
    """Requests of all clients of the session era. To add a plain method: a row in ``_answers``."""

    def __init__(self, service: ToolService, sessions: SessionStore) -> None:
        self._service = service
        self._sessions = sessions
        self._answers: dict[str, Answer] = {"ping": _ping, "tools/list": self._list_tools}

    async def post(self, exchange: Exchange, message: Request | Reply) -> None:
        """Answer one message.

        Raises:
            RpcError: the message cannot be understood; the caller answers with HTTP 400.
            HttpError: there is no such session.
        """
        if isinstance(message, Request) and message.method == "initialize" and message.id is not None:
            await self._initialize(exchange, message)
            return
        session = self._require_session(exchange)
        exchange = replace(exchange, origin=replace(exchange.origin, session_id=session.id))
        if isinstance(message, Reply):
            await send_empty(exchange.send, 202)
        elif message.id is None:
            _notified(session, message)
            await send_empty(exchange.send, 202)
        elif message.method == "tools/call":
            await self._call(exchange, session, message)
        else:
            await send_json(exchange.send, 200, self._answer(exchange, session, message))

    async def get(self, exchange: Exchange) -> None:
        """Stream notifications; after ``Last-Event-ID`` if the client had some.

        Raises:
            HttpError: no session, a stream of it is open already, the client takes no streams.
        """
        if not exchange.accepts(b"text/event-stream"):
            raise HttpError(406, "A GET takes text/event-stream.")
        session = self._require_session(exchange)
        if session.feed.listening:
            raise HttpError(409, "This session has a stream already.")
        seen = exchange.headers.get(b"last-event-id", b"").decode("latin-1")
        pair = (SESSION_HEADER, session.id.encode())
        await session.feed.stream(
            exchange.send,
            exchange.receive,
            seen=int(seen) if seen.isascii() and seen.isdigit() and len(seen) < 18 else None,
            headers=(pair,),
        )

    async def delete(self, exchange: Exchange) -> None:
        """End the session and what runs in it.

        Raises:
            HttpError: there is no such session.
        """
        self._sessions.close(self._require_session(exchange))
        await send_empty(exchange.send, 204)

    def publish_changes(self) -> None:
        """Tell every session whose tools are no longer what it was shown or told of last."""
        for session in self._sessions:
            shown = self._shown(session)
            if shown != session.shown:
                session.shown = shown
                session.feed.publish(_LIST_CHANGED)

    def _shown(self, session: Session) -> bytes:
        return self._service.tools(self._service.view(Origin(session.caller, session.agent)), stateless=False)

    async def _initialize(self, exchange: Exchange, request: Request) -> None:
        assert request.id is not None
        asked = request.params.get("protocolVersion")
        if not isinstance(asked, str):
            raise RpcError(INVALID_PARAMS, "params.protocolVersion must be a version such as '2025-11-25'.")
        origin = exchange.origin
        version = asked if asked in SESSION_VERSIONS else SESSION_VERSIONS[-1]
        session = self._sessions.open(origin.caller, origin.agent, version)
        if session is None:
            raise HttpError(503, "Too many sessions are open.", [(b"retry-after", b"5")])
        session.shown = self._shown(session)
        result: JsonObject = {
            "protocolVersion": version,
            "capabilities": CAPABILITIES,
            "serverInfo": server_info(origin.agent),
        }
        body = result_body(request.id, orjson.dumps(result))
        await send_json(exchange.send, 200, body, [(SESSION_HEADER, session.id.encode())])

    def _require_session(self, exchange: Exchange) -> Session:
        given = exchange.headers.get(SESSION_HEADER)
        if given is None:
            raise HttpError(400, "Bad Request: Mcp-Session-Id is missing; start with initialize.")
        origin = exchange.origin
        session = self._sessions.find(given.decode("latin-1"), origin.caller, origin.agent)
        if session is None or SESSION_HEADER in exchange.doubled:
            raise HttpError(404, "There is no such session; start with initialize.")
        return session

    def _answer(self, exchange: Exchange, session: Session, request: Request) -> bytes:
        assert request.id is not None
        answer = self._answers.get(request.method, _unknown)
        try:
            return result_body(request.id, answer(exchange, session, request))
        except RpcError as error:
            return error.body(request.id)

    async def _call(self, exchange: Exchange, session: Session, request: Request) -> None:
        request_id = request.id
        assert request_id is not None
        if request_id in session.calls:
            raise RpcError(INVALID_REQUEST, "A request of this session with the same id is under way.")

        async def work(reply: CallReply) -> bytes:
            with anyio.CancelScope() as scope:
                session.calls[request_id] = scope
                try:
                    result = await self._service.call(exchange.origin, request, reply)
                    return call_result(result, stateless=False, agent=exchange.origin.agent)
                finally:
                    del session.calls[request_id]
            raise RpcError(CANCELLED, "The request was cancelled.")

        await carry(exchange, request_id, work, ends_with_client=False)

    def _list_tools(self, exchange: Exchange, session: Session, request: Request) -> bytes:
        if request.params.get("cursor") is not None:
            raise RpcError(INVALID_PARAMS, "There is no such cursor; the list has one page.")
        return b"{" + self._service.tools(self._service.view(exchange.origin), stateless=False) + b"}"


def _unknown(exchange: Exchange, session: Session, request: Request) -> bytes:
    raise RpcError(METHOD_NOT_FOUND, f"Method not found: {request.method}")


def _ping(exchange: Exchange, session: Session, request: Request) -> bytes:
    return b"{}"


def _notified(session: Session, message: Request) -> None:
    """Only cancellation means something here; every other notification is taken and dropped."""
    if message.method != "notifications/cancelled":
        return
    request_id = message.params.get("requestId")
    if isinstance(request_id, (str, int)):
        scope = session.calls.get(request_id)
        if scope is not None:
            scope.cancel()
