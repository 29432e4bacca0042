"""MCP 2026-07-28: every request stands alone; notifications come only on a stream that was asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import orjson

from ploinky.base.jsontypes import JsonObject, find_object
from ploinky.router.exchange import Exchange, carry, error_status
from ploinky.router.http import HttpError, event, send_empty, send_json
from ploinky.router.param_headers import check_param_headers
from ploinky.router.protocol import (
    HEADER_MISMATCH,
    INVALID_PARAMS,
    INVALID_REQUEST,
    META_SERVER,
    META_SUBSCRIPTION,
    METHOD_NOT_FOUND,
    ROUTING_HEADERS,
    STATELESS_VERSIONS,
    VERSION_HEADER,
    Reply,
    Request,
    RpcError,
    check_envelope,
    check_version,
    notification,
    result_body,
)
from ploinky.router.service import CAPABILITIES, Origin, ToolService, call_result, server_info
from ploinky.router.streams import CallReply, Feed

MAX_LISTENERS = 1024
Answer = Callable[[Exchange, Request], bytes]


@dataclass(slots=True, eq=False)
class _Listener:
    """One open stream, the message it gets (if it asked for any), the tools that its client knows of."""

    origin: Origin
    feed: Feed
    message: bytes | None
    shown: bytes


class StatelessEra:
    """Requests of all clients of the stateless era. To add a plain method: a row in ``_answers``."""

    def __init__(self, service: ToolService) -> None:
        self._service = service
        self._answers: dict[str, Answer] = {"server/discover": _discover, "tools/list": self._list_tools}
        self._listeners: dict[Feed, _Listener] = {}
        self._closed = False

    async def post(self, exchange: Exchange, message: Request | Reply) -> None:
        """Answer one message; every refusal is an answer too."""
        if isinstance(message, Reply):
            await _refuse(exchange, message, RpcError(INVALID_REQUEST, "A client sends no responses here."))
            return
        try:
            _check_doubles(exchange)
            if message.id is None:
                check_version(exchange.headers.get(VERSION_HEADER, b"").decode("latin-1"))
                await send_empty(exchange.send, 202)
                return
            check_envelope(exchange.headers, message)
            await self._dispatch(exchange, message)
        except RpcError as error:
            await _refuse(exchange, message, error)

    def close(self) -> None:
        """End all streams; those asked for later end at once."""
        self._closed = True
        for feed in self._listeners:
            feed.close()

    def publish_changes(self) -> None:
        """Tell every listener whose tools are no longer what they were."""
        for listener in self._listeners.values():
            shown = self._shown(listener.origin)
            if shown != listener.shown and listener.message is not None:
                listener.shown = shown
                listener.feed.publish(listener.message)

    def _shown(self, origin: Origin) -> bytes:
        return self._service.tools(self._service.view(origin), stateless=True)

    async def _dispatch(self, exchange: Exchange, request: Request) -> None:
        assert request.id is not None
        if request.method == "tools/call":
            await self._call(exchange, request)
        elif request.method == "subscriptions/listen":
            await self._listen(exchange, request)
        else:
            answer = self._answers.get(request.method)
            if answer is None:
                raise RpcError(METHOD_NOT_FOUND, f"Method not found: {request.method}")
            await send_json(exchange.send, 200, result_body(request.id, answer(exchange, request)))

    async def _call(self, exchange: Exchange, request: Request) -> None:
        assert request.id is not None
        mirrored = self._service.mirrored(exchange.origin, request)
        check_param_headers(mirrored, exchange.headers, exchange.doubled, request.params.get("arguments", {}))

        async def work(reply: CallReply) -> bytes:
            result = await self._service.call(exchange.origin, request, reply)
            return call_result(result, stateless=True, agent=exchange.origin.agent)

        await carry(exchange, request.id, work, ends_with_client=True)

    async def _listen(self, exchange: Exchange, request: Request) -> None:
        assert request.id is not None
        if not exchange.accepts(b"text/event-stream"):
            raise HttpError(406, "subscriptions/listen takes text/event-stream.")
        if len(self._listeners) >= MAX_LISTENERS:
            raise HttpError(503, "Too many streams are open.", [(b"retry-after", b"5")])
        asked = find_object(request.params, "notifications")
        if asked is None:
            raise RpcError(INVALID_PARAMS, "params.notifications must say what to listen to.")
        honoured: JsonObject = {"toolsListChanged": True} if asked.get("toolsListChanged") is True else {}
        meta: JsonObject = {META_SUBSCRIPTION: request.id}
        ack = notification(
            "notifications/subscriptions/acknowledged", {"notifications": honoured, "_meta": meta}
        )
        closing: JsonObject = {
            "resultType": "complete",
            "_meta": {**meta, META_SERVER: server_info(exchange.origin.agent)},
        }
        feed = Feed()
        if self._closed:
            feed.close()
        changed = notification("notifications/tools/list_changed", {"_meta": meta}) if honoured else None
        self._listeners[feed] = _Listener(exchange.origin, feed, changed, self._shown(exchange.origin))
        try:
            await feed.stream(
                exchange.send,
                exchange.receive,
                first=event(ack),
                last=event(result_body(request.id, orjson.dumps(closing))),
            )
        finally:
            del self._listeners[feed]

    def _list_tools(self, exchange: Exchange, request: Request) -> bytes:
        if request.params.get("cursor") is not None:
            raise RpcError(INVALID_PARAMS, "There is no such cursor; the list has one page.")
        tools = self._service.tools(self._service.view(exchange.origin), stateless=True)
        return b'{"resultType":"complete","ttlMs":0,"cacheScope":"private",' + tools + b"}"


def _discover(exchange: Exchange, request: Request) -> bytes:
    agent = exchange.origin.agent
    return orjson.dumps(
        {
            "resultType": "complete",
            "supportedVersions": list(STATELESS_VERSIONS),
            "capabilities": CAPABILITIES,
            "ttlMs": 0,
            "cacheScope": "private",
            "_meta": {META_SERVER: server_info(agent)},
        }
    )


def _check_doubles(exchange: Exchange) -> None:
    doubled = exchange.doubled & ROUTING_HEADERS
    if doubled:
        raise RpcError(HEADER_MISMATCH, f"The header {min(doubled).decode()} came more than once.")


async def _refuse(exchange: Exchange, message: Request | Reply, error: RpcError) -> None:
    await send_json(exchange.send, error_status(error, stateless=True), error.body(message.id))
