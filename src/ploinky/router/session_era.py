"""MCP up to 2025-11-25: initialize, a session, POST for requests, GET for notifications, DELETE to end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import anyio
import orjson

from ploinky.base.jsontypes import JsonObject, find_object
from ploinky.mcp.messages import (
    AGENT_LOST,
    CANCELLED,
    ENVELOPE_KEYS,
    INVALID_PARAMS,
    INVALID_REQUEST,
    SESSION_HEADER,
    SESSION_VERSIONS,
    Reply,
    Request,
    RpcError,
    check_facts,
    notification,
    result_body,
)
from ploinky.mcp.upstream import Back, ClientFacts
from ploinky.router.catalogue import KINDS
from ploinky.router.directory import Origin
from ploinky.router.dressing import for_session, session_capabilities
from ploinky.router.exchange import Exchange, carry, changed_lists, without_ours
from ploinky.router.http import (
    HttpError,
    end_event_stream,
    event,
    send_empty,
    send_json,
    start_event_stream,
)
from ploinky.router.revival import Revival
from ploinky.router.service import Service
from ploinky.router.sessions import Session, SessionStore, new_session_id
from ploinky.router.streams import RETRY, CallReply, StreamLog, request_of
from ploinky.router.talks import Talks

_PRIMED_FROM = "2025-11-25"  # older clients take every event for a message
_STREAM_GONE = RpcError(
    AGENT_LOST,
    "The rest of this request's stream is gone; it may have run, and was not repeated.",
    {"code": "STREAM_GONE"},
)
_LISTS = frozenset(f"notifications/{kind}/list_changed" for kind in ("tools", "prompts", "resources"))
Answer = Callable[[Exchange, Session, Request], bytes]


class SessionEra:
    """Requests of all clients of the session era. To answer one more method here: a row in ``_answers``.

    ``revival`` brings back sessions of a former gateway.
    """

    def __init__(self, service: Service, sessions: SessionStore, revival: Revival) -> None:
        self._service = service
        self._directory = service.directory
        self._sessions = sessions
        self._revival = revival
        self._answers: dict[str, Answer] = {"ping": _ping}
        self._answers.update(dict.fromkeys(KINDS, self._list))

    async def post(self, exchange: Exchange, message: Request | Reply) -> None:
        """Answer one message.

        Raises:
            RpcError: the message cannot be understood; the caller answers with HTTP 400.
            HttpError: there is no such session.
        """
        if isinstance(message, Request) and message.method == "initialize" and message.id is not None:
            await self._initialize(exchange, message)
            return
        session = await self._require_session(exchange)
        if isinstance(message, Reply):
            session.answer(message)
            await send_empty(exchange.send, 202)
        elif message.id is None:
            await send_empty(exchange.send, 202)
            await _notified(session, message)
        elif message.method in self._answers and not self._directory.asks_agent(
            exchange.origin, message.method
        ):
            await send_json(exchange.send, 200, self._answer(exchange, session, message))
        else:
            await self._forward(exchange, session, message)

    async def get(self, exchange: Exchange) -> None:
        """Stream notifications; after ``Last-Event-ID`` if the client had some.

        Raises:
            HttpError: no session, a stream of it is open already, the client takes no streams.
        """
        if not exchange.accepts(b"text/event-stream"):
            raise HttpError(406, "A GET takes text/event-stream.")
        session = await self._require_session(exchange)
        name, _, number = exchange.headers.get(b"last-event-id", b"").decode("latin-1").rpartition(".")
        seen = int(number) if number.isascii() and number.isdigit() and len(number) < 18 else None
        headers = ((SESSION_HEADER, session.id.encode()),)
        log = session.logs.get(name)
        if log is not None and seen is not None:
            await log.stream(exchange.send, exchange.receive, seen, headers)
            return
        lost = request_of(name)
        if lost is not None:
            await start_event_stream(exchange.send, headers)
            await end_event_stream(exchange.send, event(_STREAM_GONE.body(lost)))
            return
        if session.feed.listening:
            raise HttpError(409, "This session has a stream already.")
        if seen is None or name != session.feed.name:
            seen = 0 if session.life else None  # what it missed between two gateways
        first = RETRY + b"\n" if session.client.version >= _PRIMED_FROM else b""
        await session.feed.stream(exchange.send, exchange.receive, first=first, seen=seen, headers=headers)

    async def delete(self, exchange: Exchange) -> None:
        """End the session and what runs in it.

        Raises:
            HttpError: there is no such session.
        """
        self._sessions.close(await self._require_session(exchange))
        await send_empty(exchange.send, 204)

    def publish_changes(self) -> None:
        """Tell every session whose lists are no longer what it was shown or told of last."""
        for session in self._sessions:
            shown = self._directory.snapshot(self._directory.view(Origin(session.caller, session.agent)))
            for method in changed_lists(session.shown, shown):
                session.feed.publish(notification(method))
            session.shown = shown

    async def _initialize(self, exchange: Exchange, request: Request) -> None:
        assert request.id is not None
        asked = request.params.get("protocolVersion")
        if not isinstance(asked, str):
            raise RpcError(INVALID_PARAMS, "params.protocolVersion must be a version such as '2025-11-25'.")
        origin = exchange.origin
        client = ClientFacts(
            caller=str(origin.caller),
            version=asked if asked in SESSION_VERSIONS else SESSION_VERSIONS[-1],
            session_id=new_session_id(),
            capabilities=find_object(request.params, "capabilities") or {},
            info=find_object(request.params, "clientInfo") or {},
        )
        check_facts(client.capabilities, client.info)
        session = self._sessions.open(origin.caller, origin.agent, client)
        if session is None:
            raise HttpError(503, "Too many sessions are open.", [(b"retry-after", b"5")])
        self._settle(session)
        await self._revival.keep(session)
        result = self._directory.introduction(origin)
        result["capabilities"] = session_capabilities(result["capabilities"])
        body = result_body(request.id, orjson.dumps({"protocolVersion": client.version, **result}))
        await send_json(exchange.send, 200, body, [(SESSION_HEADER, session.id.encode())])

    def _settle(self, session: Session) -> None:
        aggregate = session.agent is None

        def back_for(agent: str) -> Back:
            return self._service.outward(_FeedBack(session, aggregate=aggregate), agent, aggregate)

        session.talks = Talks(self._service.upstreams, session.client, back_for)
        session.shown = self._directory.snapshot(self._directory.view(Origin(session.caller, session.agent)))

    async def _require_session(self, exchange: Exchange) -> Session:
        given = exchange.headers.get(SESSION_HEADER)
        if given is None:
            raise HttpError(400, "Bad Request: Mcp-Session-Id is missing; start with initialize.")
        origin = exchange.origin
        session_id = given.decode("latin-1")
        session = self._sessions.find(session_id, origin.caller, origin.agent)
        if session is None:
            session = await self._revival.bring_back(session_id, origin, self._settle)
        if session is None or SESSION_HEADER in exchange.doubled:
            raise HttpError(404, "There is no such session; start with initialize.")
        return session

    def _answer(self, exchange: Exchange, session: Session, request: Request) -> bytes:
        assert request.id is not None
        try:
            return result_body(request.id, self._answers[request.method](exchange, session, request))
        except RpcError as error:
            return error.body(request.id)

    async def _forward(self, exchange: Exchange, session: Session, request: Request) -> None:
        request_id, talks = request.id, session.talks
        assert request_id is not None
        assert talks is not None
        if request_id in session.calls:
            raise RpcError(INVALID_REQUEST, "A request of this session with the same id is under way.")
        inward = Request(request_id, request.method, without_ours(request.params, ENVELOPE_KEYS))

        async def work(reply: CallReply) -> bytes:
            with anyio.CancelScope() as scope:
                session.calls[request_id] = scope
                try:
                    back = _ReplyBack(session, reply)
                    result = await self._service.request(exchange.origin, inward, talks, back)
                    await self._revival.note(session, inward)
                    return orjson.dumps(for_session(request.method, result))
                finally:
                    del session.calls[request_id]
            raise RpcError(CANCELLED, "The request was cancelled.")

        log: StreamLog | None = (
            session.new_log(request_id) if session.client.version >= _PRIMED_FROM else None
        )
        await carry(exchange, request_id, work, ends_with_client=False, log=log)

    def _list(self, exchange: Exchange, session: Session, request: Request) -> bytes:
        if request.params.get("cursor") is not None:
            raise RpcError(INVALID_PARAMS, "There is no such cursor; the list has one page.")
        view = self._directory.view(exchange.origin)
        return b"{" + self._directory.rendered(request.method, view, stateless=False) + b"}"


@dataclass(frozen=True)
class _FeedBack:
    """The way back for what belongs to no request: the session's standing stream."""

    session: Session
    aggregate: bool

    def notify(self, method: str, params: JsonObject) -> None:
        if self.aggregate and method in _LISTS:
            return  # the catalogue tells
        self.session.feed.publish(notification(method, params))

    async def ask(self, method: str, params: JsonObject) -> JsonObject:
        return await self.session.ask(method, params, self.session.feed.publish)


@dataclass(frozen=True)
class _ReplyBack:
    """The way back for one request: its own stream, or the standing one of a client that takes no stream."""

    session: Session
    reply: CallReply

    def notify(self, method: str, params: JsonObject) -> None:
        self.reply.notify(notification(method, params))

    async def ask(self, method: str, params: JsonObject) -> JsonObject:
        send = self.reply.notify if self.reply.may_stream else self.session.feed.publish
        return await self.session.ask(method, params, send)


def _ping(exchange: Exchange, session: Session, request: Request) -> bytes:
    return b"{}"


async def _notified(session: Session, message: Request) -> None:
    """Cancellation ends a request; what else an agent may want to know is handed on."""
    if message.method == "notifications/cancelled":
        request_id = message.params.get("requestId")
        scope = session.calls.get(request_id) if isinstance(request_id, (str, int)) else None
        if scope is not None:
            scope.cancel()
    elif message.method != "notifications/initialized" and session.talks is not None:
        await session.talks.notify(message.method, message.params)
