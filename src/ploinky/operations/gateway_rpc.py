"""Calls of the running gateway's RPC methods, and its events, for commands. Imports no web framework.

An error of a method comes back as the error it was there: code, message, hint and exit code.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, AsyncIterator
from urllib.parse import urlencode

import orjson

from ploinky.base.errors import NeedsApprovalError, NotFoundError, PloinkyError, UsageError
from ploinky.base.jsontypes import JsonObject, JsonValue, find_object, find_text
from ploinky.operations.gateway_link import find_address, require_address
from ploinky.router.gateway_client import GatewayAddress
from ploinky.router.http_client import HttpRequest, open_response
from ploinky.wire.events import Event, Notice, Result
from ploinky.workspace.layout import Layout

_LONG_S = 1200.0
_CLASSES: dict[int, type[PloinkyError]] = {
    -32602: UsageError,
    -32001: NotFoundError,
    -32002: NeedsApprovalError,
    -32003: NeedsApprovalError,
}


class GatewayRpc:
    """One gateway. Every method raises the PloinkyError that the gateway answered with, or
    ``GATEWAY_UNREACHABLE``, ``GATEWAY_LOST``, ``GATEWAY_PROTOCOL``."""

    def __init__(self, address: GatewayAddress) -> None:
        self._address = address
        self._numbers = itertools.count(1)

    async def call(self, method: str, params: JsonObject, *, timeout_s: float = 60.0) -> JsonValue:
        """The result of a method; parameters that are None are left out."""
        given = {name: value for name, value in params.items() if value is not None}
        body = orjson.dumps({"jsonrpc": "2.0", "id": next(self._numbers), "method": method, "params": given})
        headers = {**self._address.authorization, "content-type": "application/json"}
        request = HttpRequest("POST", "/rpc", headers, body)
        async with open_response(self._address.http, request, head_timeout_s=timeout_s) as response:
            answer = _parsed(await response.read())
        error = find_object(answer, "error")
        if error is not None:
            raise _as_error(error)
        if not isinstance(answer, dict) or "result" not in answer:
            raise PloinkyError("GATEWAY_PROTOCOL", f"The gateway's answer to {method} has no result.")
        return answer["result"]

    async def call_object(self, method: str, params: JsonObject, *, timeout_s: float = 60.0) -> JsonObject:
        """Like ``call``, for methods whose result is an object."""
        found = await self.call(method, params, timeout_s=timeout_s)
        if not isinstance(found, dict):
            raise PloinkyError("GATEWAY_PROTOCOL", f"The gateway's answer to {method} is no object.")
        return found

    async def events(
        self, assistant: str, session: str, after: int, run_id: str
    ) -> AsyncGenerator[JsonObject, None]:
        """Events of one run of an assistant after the one with the id ``after``; never misses one."""
        query = urlencode({"sessionId": session, "runId": run_id, "after": str(after)})
        path = f"/events/{assistant}?{query}"
        request = HttpRequest("GET", path, self._address.authorization)
        async with open_response(self._address.http, request, head_timeout_s=30.0) as response:
            if response.status != 200:
                raise _as_error(find_object(_parsed(await response.read()), "error") or {})
            async for each in response.events():
                value = _parsed(each.data)
                if isinstance(value, dict):
                    yield value


def require_rpc(layout: Layout) -> GatewayRpc:
    """The RPC of the running gateway. Raises PloinkyError ``GATEWAY_DOWN``."""
    return GatewayRpc(require_address(layout))


async def ask_gateway(layout: Layout, method: str, params: JsonObject) -> AsyncIterator[Event]:
    """The result of one RPC method of the running gateway.

    Raises:
        PloinkyError: ``GATEWAY_DOWN``, or what the method answered with.
    """
    yield Result(value=await require_rpc(layout).call(method, params, timeout_s=_LONG_S))


async def reload_gateway(layout: Layout) -> AsyncIterator[Event]:
    """Put a changed configuration into force at once where a gateway runs; it would look a second later."""
    address = find_address(layout)
    if address is None:
        return
    try:
        await GatewayRpc(address).call("config.reload", {})
    except PloinkyError as error:
        message = f"The gateway has not taken this up: {error.message}"
        yield Notice(level="warning", message=message, hint=error.hint)


def _as_error(error: JsonObject) -> PloinkyError:
    data = find_object(error, "data") or error
    code = find_text(data, "code") or "GATEWAY_PROTOCOL"
    number = error.get("code")
    kind = _CLASSES.get(number, PloinkyError) if isinstance(number, int) else PloinkyError
    field = find_text(data, "field")
    details = {} if field is None else {"field": field}
    message = find_text(error, "message") or "The call failed."
    return kind(code, message, hint=find_text(data, "hint"), details=details)


def _parsed(body: bytes) -> JsonValue:
    try:
        value: JsonValue = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise PloinkyError("GATEWAY_PROTOCOL", "The gateway's answer is not JSON.") from error
    return value
