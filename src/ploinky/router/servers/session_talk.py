"""A conversation with a server of the session era (to 2025-11-25): one session, or one process, of its own.

Begun by the first request. A server that forgot the session is initialised again and the request sent anew,
for it was not begun; a process that ended is started again by the next request.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import anyio
import anyio.abc

from ploinky import __version__
from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonObject, find_object, find_text
from ploinky.mcp.messages import SESSION_VERSIONS, RequestId, RpcError, read_error
from ploinky.mcp.upstream import Ask, Back, ClientFacts
from ploinky.router.servers.background import Background
from ploinky.router.servers.source import SessionGoneError, violated
from ploinky.router.servers.wire import OpenWire, Wire, WireState

GATEWAY_INFO: JsonObject = {"name": "ploinky", "version": __version__}
_TELL_S = 2.0
_LISTENING_S = 1.0
_NOTHING: Mapping[str, str] = {}


@dataclass(slots=True, eq=False)
class _Live:
    """A session that was initialised; ``lost`` when its wire carries nothing any more."""

    wire: Wire
    background: Background
    introduction: JsonObject = field(default_factory=dict)
    lost: anyio.Event = field(default_factory=anyio.Event)


class SessionTalk:
    """See ``Conversation``."""

    def __init__(
        self, open_wire: OpenWire, client: ClientFacts, back: Back, tasks: anyio.abc.TaskGroup, name: str
    ) -> None:
        self._open_wire = open_wire
        self._client = client
        self._back = back
        self._tasks = tasks
        self._name = name
        self._live: _Live | None = None
        self._opening = anyio.Lock()
        self._asking: dict[RequestId, Ask] = {}
        self._listeners: list[Back] = []
        self._count = 0

    async def introduction(self) -> JsonObject:
        """The server's answer to ``initialize``."""
        return (await self._ready()).introduction

    @property
    def is_lost(self) -> bool:
        return self._live is None or self._live.lost.is_set()

    async def request(self, ask: Ask) -> JsonObject:
        if ask.method == "subscriptions/listen":
            return await self._listen(ask)
        live = await self._ready()
        try:
            return await self._exchange(live, ask)
        except SessionGoneError:
            await self._drop(live)
        live = await self._ready()
        try:
            return await self._exchange(live, ask)
        except SessionGoneError as error:
            raise violated("HTTP 404 to a new session") from error

    async def notify(self, method: str, params: JsonObject) -> None:
        if self._live is not None:
            await _tell(self._live.wire, {"jsonrpc": "2.0", "method": method, "params": params})

    async def aclose(self) -> None:
        if self._live is not None:
            await self._drop(self._live)

    def abandon(self) -> None:
        """End it without waiting."""
        if self._live is not None:
            self._live.lost.set()
            self._live.background.end()
            self._live = None

    async def _ready(self) -> _Live:
        async with self._opening:
            if self._live is not None and self._live.lost.is_set():
                await self._drop(self._live)
            if self._live is None:
                self._live = await self._begin()
            return self._live

    async def _begin(self) -> _Live:
        state = WireState(caller=self._client.caller)
        wire = await self._open_wire(state)
        live = _Live(wire, Background(self._tasks, self._name))
        try:
            if wire.hears_at_once:
                live.background.start(lambda: self._hear(live, anyio.Event()))
            live.introduction = await self._initialize(wire)
            state.version = find_text(live.introduction, "protocolVersion")
            await wire.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        except BaseException:
            live.background.end()
            with anyio.CancelScope(shield=True):
                await wire.aclose()
            raise
        if not wire.hears_at_once:
            # a server drops what it asks outside of any request while nobody listens
            listening = anyio.Event()
            live.background.start(lambda: self._hear(live, listening))
            with anyio.move_on_after(_LISTENING_S):
                await listening.wait()
        return live

    async def _initialize(self, wire: Wire) -> JsonObject:
        client = self._client
        params: JsonObject = {
            "protocolVersion": SESSION_VERSIONS[-1] if client.stateless else client.version,
            "capabilities": client.capabilities,
            "clientInfo": client.info or GATEWAY_INFO,
        }
        message: JsonObject = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}
        return _result(await wire.request(message, _NOTHING, lambda message: None))

    async def _hear(self, live: _Live, listening: anyio.Event) -> None:
        """Take what the server says unasked; a process that says nothing more has ended."""
        try:
            await live.wire.listen(lambda message: self._unasked(live, message), listening)
        finally:
            listening.set()
            if live.wire.hears_at_once:
                live.lost.set()

    async def _exchange(self, live: _Live, ask: Ask) -> JsonObject:
        self._count += 1
        request_id = self._count
        message: JsonObject = {
            "jsonrpc": "2.0",
            "id": request_id,
            "method": ask.method,
            "params": ask.params,
        }
        self._asking[request_id] = ask
        done = False
        try:
            response = await live.wire.request(
                message, _NOTHING, lambda message: self._take(live, message, ask.back)
            )
            done = True
            return _result(response)
        except (PloinkyError, SessionGoneError):
            done = True
            raise
        finally:
            del self._asking[request_id]
            if not done:
                await _tell(
                    live.wire,
                    {
                        "jsonrpc": "2.0",
                        "method": "notifications/cancelled",
                        "params": {"requestId": request_id},
                    },
                )

    def _unasked(self, live: _Live, message: JsonObject) -> None:
        """What came beside every request: of the one request under way, if there is just one."""
        token = (find_object(message, "params") or {}).get("progressToken")
        if token is not None:
            for ask in self._asking.values():
                if (find_object(ask.params, "_meta") or {}).get("progressToken") == token:
                    self._take(live, message, ask.back)
            return
        of_request = "id" in message or message.get("method") == "notifications/message"
        only = next(iter(self._asking.values())) if of_request and len(self._asking) == 1 else None
        self._take(live, message, only.back if only is not None else self._back)
        if "id" not in message:
            for listener in self._listeners:
                listener.notify(str(message["method"]), find_object(message, "params") or {})

    def _take(self, live: _Live, message: JsonObject, back: Back) -> None:
        method, params = str(message.get("method")), find_object(message, "params") or {}
        message_id = message.get("id")
        if message_id is None:
            back.notify(method, params)
        elif isinstance(message_id, (str, int)):
            live.background.start(lambda: self._ask_client(live.wire, message_id, method, params, back))

    async def _ask_client(
        self, wire: Wire, message_id: RequestId, method: str, params: JsonObject, back: Back
    ) -> None:
        answer: JsonObject = {"jsonrpc": "2.0", "id": message_id}
        try:
            answer["result"] = {} if method == "ping" else await back.ask(method, params)
        except RpcError as error:
            answer["error"] = error.value()
        await wire.send(answer)

    async def _listen(self, ask: Ask) -> JsonObject:
        """Serve a listener of the other era by subscribing for as long as it listens."""
        wanted = (find_object(ask.params, "notifications") or {}).get("resourceSubscriptions")
        uris = [uri for uri in wanted if isinstance(uri, str)] if isinstance(wanted, list) else []
        self._listeners.append(ask.back)
        try:
            for uri in uris:
                await self.request(Ask(ask.id, "resources/subscribe", {"uri": uri}, ask.client, ask.back))
            await (await self._ready()).lost.wait()
            return {}
        finally:
            self._listeners.remove(ask.back)

    async def _drop(self, live: _Live) -> None:
        if self._live is live:
            self._live = None
        live.lost.set()
        live.background.end()
        await live.wire.aclose()


async def _tell(wire: Wire, message: JsonObject) -> None:
    """Send without caring whether it arrives."""
    with anyio.move_on_after(_TELL_S, shield=True), contextlib.suppress(PloinkyError, SessionGoneError):
        await wire.send(message)


def _result(response: JsonObject) -> JsonObject:
    error = find_object(response, "error")
    if error is not None:
        raise read_error(error)
    result = find_object(response, "result")
    if result is None:
        raise violated("a response without a result")
    return result
