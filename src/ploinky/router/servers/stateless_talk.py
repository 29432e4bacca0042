"""A conversation with a server of the stateless era (2026-07-28): every request carries all that it needs.

A client of the session era is given what it knows: the server's wish for more input becomes questions to the
client and another request, subscriptions become one listening request, a log level goes with each request.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping

import anyio
import anyio.abc

from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonObject, find_object, find_text
from ploinky.mcp.messages import (
    META_CAPABILITIES,
    META_CLIENT,
    META_LOG_LEVEL,
    META_SUBSCRIPTION,
    META_VERSION,
    NAMED_METHODS,
    STATELESS_VERSIONS,
    encode_header,
    read_error,
)
from ploinky.mcp.upstream import Ask, Back, ClientFacts
from ploinky.router.param_headers import ParamHeader, mirrored_headers
from ploinky.router.servers.background import Background
from ploinky.router.servers.session_talk import GATEWAY_INFO
from ploinky.router.servers.source import SessionGoneError, violated
from ploinky.router.servers.wire import OpenWire, Wire, WireState

VERSION = STATELESS_VERSIONS[-1]
_MOST_ROUNDS = 32
_RELISTEN_S = 1.0
Mirrored = Callable[[str], tuple[ParamHeader, ...]]


class StatelessTalk:
    """See ``Conversation``. ``mirrored`` tells which arguments of a tool headers must mirror."""

    def __init__(
        self,
        open_wire: OpenWire,
        client: ClientFacts,
        back: Back,
        background: Background,
        mirrored: Mirrored,
    ) -> None:
        self._open_wire = open_wire
        self._client = client
        self._back = back
        self._background = background
        self._mirrored = mirrored
        self._wire: Wire | None = None
        self._subscribed: set[str] = set()
        self._subscriptions: anyio.CancelScope | None = None
        self._level: str | None = None
        self._count = 0

    async def request(self, ask: Ask) -> JsonObject:
        local = {
            "resources/subscribe": self._subscribe,
            "resources/unsubscribe": self._unsubscribe,
            "logging/setLevel": self._set_level,
        }.get(ask.method)
        if local is not None and not ask.client.stateless:
            local(ask.params)
            return {}
        result = await self._exchange(ask, ask.params)
        for _ in range(_MOST_ROUNDS):
            if ask.client.stateless or result.get("resultType") != "input_required":
                return result
            responses = await _ask_client(ask.back, find_object(result, "inputRequests") or {})
            params: JsonObject = {**ask.params, "inputResponses": responses}
            state = result.get("requestState")
            if state is not None:
                params["requestState"] = state
            result = await self._exchange(ask, params)
        raise violated(f"more than {_MOST_ROUNDS} requests for input")

    async def notify(self, method: str, params: JsonObject) -> None:
        """A server of this era hears nothing between requests."""

    async def aclose(self) -> None:
        self.abandon()
        if self._wire is not None:
            await self._wire.aclose()

    def abandon(self) -> None:
        """End it without waiting."""
        if self._subscriptions is not None:
            self._subscriptions.cancel()

    async def _exchange(self, ask: Ask, params: JsonObject) -> JsonObject:
        if self._wire is None:
            self._wire = await self._open_wire(WireState(self._client.caller, None, VERSION))
        self._count += 1
        message: JsonObject = {
            "jsonrpc": "2.0",
            "id": self._count,
            "method": ask.method,
            "params": {**params, "_meta": self._envelope(params)},
        }

        def take(message: JsonObject) -> None:
            told = find_object(message, "params") or {}
            if "id" not in message and message.get("method") != "notifications/subscriptions/acknowledged":
                ask.back.notify(str(message["method"]), _untagged(told))

        try:
            response = await self._wire.request(message, self._headers(ask.method, params), take)
        except SessionGoneError as error:
            raise violated("HTTP 404") from error
        error_value = find_object(response, "error")
        if error_value is not None:
            raise read_error(error_value)
        result = find_object(response, "result")
        if result is None:
            raise violated("a response without a result")
        return result

    def _envelope(self, params: JsonObject) -> JsonObject:
        own: JsonObject = {
            META_VERSION: VERSION,
            META_CAPABILITIES: self._client.capabilities,
            META_CLIENT: self._client.info or GATEWAY_INFO,
        }
        if self._level is not None:
            own[META_LOG_LEVEL] = self._level
        return {**(find_object(params, "_meta") or {}), **own}

    def _headers(self, method: str, params: JsonObject) -> Mapping[str, str]:
        headers = {"mcp-method": method}
        name = params.get(NAMED_METHODS.get(method, ""))
        if isinstance(name, str):
            headers["mcp-name"] = encode_header(name)
            if method == "tools/call":
                headers.update(mirrored_headers(self._mirrored(name), params.get("arguments")))
        return headers

    def _subscribe(self, params: JsonObject) -> None:
        self._subscribed.add(find_text(params, "uri") or "")
        self._listen_anew()

    def _unsubscribe(self, params: JsonObject) -> None:
        self._subscribed.discard(find_text(params, "uri") or "")
        self._listen_anew()

    def _set_level(self, params: JsonObject) -> None:
        self._level = find_text(params, "level")

    def _listen_anew(self) -> None:
        """Replace the listening request by one for what is subscribed now."""
        if self._subscriptions is not None:
            self._subscriptions.cancel()
        scope = self._subscriptions = anyio.CancelScope()
        self._background.start(lambda: self._listen(scope, sorted(self._subscribed)))

    async def _listen(self, scope: anyio.CancelScope, uris: list[str]) -> None:
        params: JsonObject = {"notifications": {"resourceSubscriptions": [*uris]}}
        with scope:
            while uris:
                with contextlib.suppress(PloinkyError):  # it is away; perhaps it comes back
                    await self._exchange(
                        Ask(0, "subscriptions/listen", params, self._client, self._back), params
                    )
                await anyio.sleep(_RELISTEN_S)


async def _ask_client(back: Back, requests: JsonObject) -> JsonObject:
    responses: JsonObject = {}
    for key, request in requests.items():
        method = find_text(request, "method")
        if method is None:
            raise violated("a request for input without a method")
        responses[key] = await back.ask(method, find_object(request, "params") or {})
    return responses


def _untagged(params: JsonObject) -> JsonObject:
    meta = find_object(params, "_meta")
    if meta is None or META_SUBSCRIPTION not in meta:
        return params
    kept = {key: value for key, value in meta.items() if key != META_SUBSCRIPTION}
    rest = {key: value for key, value in params.items() if key != "_meta"}
    return {**rest, "_meta": kept} if kept else rest
