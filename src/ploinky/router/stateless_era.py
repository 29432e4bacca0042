"""MCP 2026-07-28: every request stands alone; notifications come only on a stream that was asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import anyio.abc
import orjson

from ploinky.base.jsontypes import JsonObject, find_object
from ploinky.mcp.messages import (
    ENVELOPE_KEYS,
    HEADER_MISMATCH,
    INVALID_PARAMS,
    INVALID_REQUEST,
    META_CAPABILITIES,
    META_CLIENT,
    META_SERVER,
    META_VERSION,
    METHOD_NOT_FOUND,
    NOT_FOUND,
    ROUTING_HEADERS,
    SESSION_ONLY,
    STATELESS_VERSIONS,
    TASK_METHODS,
    VERSION_HEADER,
    Reply,
    Request,
    RpcError,
    check_envelope,
    check_facts,
    check_version,
    clipped,
    knows_tasks,
    needs_tasks,
    notification,
    result_body,
)
from ploinky.mcp.upstream import Back, ClientFacts
from ploinky.router.catalogue import KINDS
from ploinky.router.directory import server_info
from ploinky.router.dressing import for_stateless, stateless_capabilities
from ploinky.router.exchange import Exchange, carry, error_status, without_ours
from ploinky.router.http import HttpError, send_empty, send_json
from ploinky.router.listeners import Listeners
from ploinky.router.param_headers import check_param_headers
from ploinky.router.parking import ParkedCall, ParkingLot, Produce
from ploinky.router.service import Service
from ploinky.router.stateless_talks import StatelessTalks
from ploinky.router.streams import CallReply
from ploinky.router.talks import SILENT, Talks

Answer = Callable[[Exchange, Request], bytes]


class StatelessEra:
    """Requests of all clients of the stateless era. To answer one more method here: a row in ``_answers``.

    ``tasks`` carries the requests that may outlive their exchange.
    """

    def __init__(self, service: Service, tasks: anyio.abc.TaskGroup) -> None:
        self._service = service
        self._directory = service.directory
        self._tasks = tasks
        self._answers: dict[str, Answer] = {"server/discover": self._discover}
        self._answers.update(dict.fromkeys(KINDS, self._list))
        self.talks = StatelessTalks(service.upstreams)
        self.listeners = Listeners(service, self.talks)
        self.parked = ParkingLot()

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

    async def _dispatch(self, exchange: Exchange, request: Request) -> None:
        assert request.id is not None
        method = request.method
        if method == "subscriptions/listen":
            if not exchange.accepts(b"text/event-stream"):
                raise HttpError(406, "subscriptions/listen takes text/event-stream.")
            await self.listeners.serve(exchange, request, client_of(exchange, request))
        elif method in TASK_METHODS and not knows_tasks(client_of(exchange, request).capabilities):
            raise needs_tasks()
        elif method in SESSION_ONLY:
            raise RpcError(METHOD_NOT_FOUND, f"Method not found: {clipped(method)}")
        elif method in self._answers and not self._directory.asks_agent(exchange.origin, method):
            await send_json(
                exchange.send, 200, result_body(request.id, self._answers[method](exchange, request))
            )
        else:
            await self._forward(exchange, request)

    async def _forward(self, exchange: Exchange, request: Request) -> None:
        assert request.id is not None
        if request.method == "tools/call":
            mirrored = self._directory.mirrored(exchange.origin, request)
            check_param_headers(
                mirrored, exchange.headers, exchange.doubled, request.params.get("arguments", {})
            )
        call = self.parked.fetch(exchange.origin, request)
        if call is None and not self._service.may_ask(exchange.origin, request):
            client = client_of(exchange, request)
            produce = self._producer(exchange, request, client, None)
            await carry(exchange, request.id, lambda reply: produce(_ReplyBack(reply)), ends_with_client=True)
            return
        if call is None:
            client = client_of(exchange, request)
            call = ParkedCall(exchange.origin, request, client)
            place = f"{exchange.origin.agent} {exchange.connection}"
            self._tasks.start_soon(call.run, self._producer(exchange, request, client, place))
        await self._take_turn(exchange, request, call)

    async def _take_turn(self, exchange: Exchange, request: Request, call: ParkedCall) -> None:
        """Wait beside the call until it is done or asks; a client that goes away ends it."""
        assert request.id is not None
        parked = False

        async def work(reply: CallReply) -> bytes:
            nonlocal parked
            call.reply = reply
            result = await call.turn()
            if result is not None:
                return result
            parked = True
            required = call.input_required(self.parked.park(call))
            return orjson.dumps(for_stateless(request.method, required, server_info(exchange.origin.agent)))

        try:
            await carry(exchange, request.id, work, ends_with_client=True)
        finally:
            call.reply = None
            if not parked:
                call.scope.cancel()

    def _producer(
        self, exchange: Exchange, request: Request, client: ClientFacts, place: str | None
    ) -> Produce:
        """What makes the result; ``place`` tells which conversations to use, None for none that are kept."""
        origin = exchange.origin
        inward = Request(request.id, request.method, without_ours(request.params, ENVELOPE_KEYS))

        async def ask(talks: Talks, back: Back) -> bytes:
            try:
                result = await self._service.request(origin, inward, talks, back)
            except RpcError as error:
                if error.code == NOT_FOUND and request.method == "resources/read":
                    raise RpcError(INVALID_PARAMS, error.message, error.data) from error
                raise
            return orjson.dumps(for_stateless(request.method, result, server_info(origin.agent)))

        async def produce(back: Back) -> bytes:
            def back_for(agent: str) -> Back:
                return SILENT

            if place is None:
                return await ask(self.talks.fresh(client, back_for), back)
            async with self.talks.lease(client, place, back_for) as talks:
                return await ask(talks, back)

        return produce

    def _list(self, exchange: Exchange, request: Request) -> bytes:
        if request.params.get("cursor") is not None:
            raise RpcError(INVALID_PARAMS, "There is no such cursor; the list has one page.")
        view = self._directory.view(exchange.origin)
        listed = self._directory.rendered(request.method, view, stateless=True)
        return b'{"resultType":"complete","ttlMs":0,"cacheScope":"private",' + listed + b"}"

    def _discover(self, exchange: Exchange, request: Request) -> bytes:
        agent = exchange.origin.agent
        introduction = self._directory.introduction(exchange.origin)
        server = introduction.pop("serverInfo", server_info(agent))
        introduction["capabilities"] = stateless_capabilities(introduction["capabilities"])
        return orjson.dumps(
            {
                "resultType": "complete",
                "supportedVersions": list(STATELESS_VERSIONS),
                "ttlMs": 0,
                "cacheScope": "private",
                **introduction,
                "_meta": {META_SERVER: server},
            }
        )


@dataclass(frozen=True)
class _ReplyBack:
    """The way back for one request to an agent that asks nothing in the middle of its work."""

    reply: CallReply

    def notify(self, method: str, params: JsonObject) -> None:
        self.reply.notify(notification(method, params))

    async def ask(self, method: str, params: JsonObject) -> JsonObject:
        raise RpcError(METHOD_NOT_FOUND, f"The client cannot be asked {method} now.")


def client_of(exchange: Exchange, request: Request) -> ClientFacts:
    """What a checked envelope says of its client.

    Raises:
        RpcError: too much.
    """
    meta = find_object(request.params, "_meta") or {}
    capabilities = find_object(meta, META_CAPABILITIES) or {}
    info = find_object(meta, META_CLIENT) or {}
    check_facts(capabilities, info)
    return ClientFacts(
        caller=str(exchange.origin.caller),
        version=str(meta.get(META_VERSION)),
        stateless=True,
        capabilities=capabilities,
        info=info,
    )


def _check_doubles(exchange: Exchange) -> None:
    doubled = exchange.doubled & ROUTING_HEADERS
    if doubled:
        raise RpcError(HEADER_MISMATCH, f"The header {min(doubled).decode()} came more than once.")


async def _refuse(exchange: Exchange, message: Request | Reply, error: RpcError) -> None:
    await send_json(exchange.send, error_status(error, stateless=True), error.body(message.id))
