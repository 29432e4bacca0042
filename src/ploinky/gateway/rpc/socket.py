"""``GET /ws``: JSON-RPC over a websocket, and the hub's events as notifications.

Two methods exist only here: ``events.subscribe`` (the parameters of ``GET /events``; one subscription per
connection, a new one replaces it) and ``events.unsubscribe``. Events arrive as ``{"jsonrpc": "2.0", "method":
"event", "params": {"id", ...}}``, keep-alives as the notification ``ping``. A client that does not read is
cut off; calls of one connection run side by side, at most ``MOST_CALLS``.
"""

from __future__ import annotations

import contextlib

import anyio
import anyio.abc
import orjson

from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.gateway.event_stream import require_permitted, watch_of
from ploinky.gateway.hub import EventHub, Watch
from ploinky.gateway.rpc.dispatch import Dispatcher, new_audit_id
from ploinky.gateway.rpc.envelope import Request, error_value, read_message, result_value
from ploinky.router.callers import Caller
from ploinky.router.http import PING_EVERY_S, HttpError, Receive, Send

MOST_CALLS = 16
SEND_TIMEOUT_S = 30.0
_PING = '{"jsonrpc":"2.0","method":"ping"}'
_TRY_AGAIN, _POLICY = 1013, 1008


class RpcSocket:
    """One connection."""

    def __init__(self, dispatcher: Dispatcher, hub: EventHub, caller: Caller, send: Send) -> None:
        self._dispatcher = dispatcher
        self._hub = hub
        self._caller = caller
        self._asgi_send = send
        self._turn = anyio.Lock()
        self._subscription: anyio.CancelScope | None = None

    async def run(self, receive: Receive, closing: anyio.Event) -> None:
        """Serve until the client goes, the gateway closes, or the client does not read what it is sent."""
        if (await receive())["type"] != "websocket.connect":
            return
        await self._asgi_send({"type": "websocket.accept"})
        free = anyio.Semaphore(MOST_CALLS)
        async with anyio.create_task_group() as tasks:

            async def end_on_close() -> None:
                await closing.wait()
                await self._close(_TRY_AGAIN)
                tasks.cancel_scope.cancel()

            async def answer(body: bytes) -> None:
                try:
                    await self._answer(tasks, body)
                finally:
                    free.release()

            tasks.start_soon(end_on_close)
            tasks.start_soon(self._keep_alive)
            while (message := await receive())["type"] == "websocket.receive":
                text, data = message.get("text"), message.get("bytes")
                await free.acquire()
                tasks.start_soon(answer, text.encode() if text is not None else data or b"")
            tasks.cancel_scope.cancel()

    async def _answer(self, tasks: anyio.abc.TaskGroup, body: bytes) -> None:
        own = _own_method(body)
        if own is not None:
            await self._say(orjson.dumps(self._subscribe(tasks, own)))
            return
        reply = await self._dispatcher.answer(self._caller, body)
        if reply.body is not None:
            await self._say(reply.body)

    def _subscribe(self, tasks: anyio.abc.TaskGroup, request: Request) -> JsonObject:
        audit_id = new_audit_id()
        if self._subscription is not None:
            self._subscription.cancel()
            self._subscription = None
        if request.method == "events.unsubscribe":
            return result_value(request, {"watching": False}, audit_id)
        given = {name: value for name, value in request.params.items() if isinstance(value, str)}
        try:
            watch = require_permitted(self._caller, watch_of(given))
        except PloinkyError as error:
            return error_value(request, error, audit_id)
        self._subscription = anyio.CancelScope()
        tasks.start_soon(self._push, self._subscription, watch, given.get("after"))
        return result_value(request, {"watching": True}, audit_id)

    async def _push(self, scope: anyio.CancelScope, watch: Watch, after: str | None) -> None:
        with scope:
            async for event in self._hub.listen(watch, after=after):
                value: JsonValue = orjson.loads(event.data)
                assert isinstance(value, dict)
                params = {"id": self._hub.id_of(event), **value}
                await self._say(orjson.dumps({"jsonrpc": "2.0", "method": "event", "params": params}))

    async def _keep_alive(self) -> None:
        while True:
            await anyio.sleep(PING_EVERY_S)
            await self._say(_PING.encode())

    async def _say(self, body: bytes) -> None:
        with anyio.move_on_after(SEND_TIMEOUT_S) as waited, contextlib.suppress(OSError):
            async with self._turn:  # OSError: the client has gone, which ``run`` is told as well
                await self._asgi_send({"type": "websocket.send", "text": body.decode()})
        if waited.cancelled_caught:
            await self._close(_POLICY)

    async def _close(self, code: int) -> None:
        with anyio.move_on_after(1.0, shield=True), contextlib.suppress(OSError):
            await self._asgi_send({"type": "websocket.close", "code": code})


async def refuse_websocket(send: Send, error: HttpError) -> None:
    """Answer the handshake with an HTTP error."""
    headers = [(b"content-length", b"0"), *error.headers]
    await send({"type": "websocket.http.response.start", "status": error.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": b""})


def _own_method(body: bytes) -> Request | None:
    """The request if it is one of the two methods that belong to the connection."""
    if b"events." not in body:
        return None
    incoming = read_message(body)
    first = incoming.requests[0]
    if incoming.is_batch or not isinstance(first, Request):
        return None
    return first if first.method in ("events.subscribe", "events.unsubscribe") else None
