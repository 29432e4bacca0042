"""Websockets passed on to a service inside an agent, message by message, both ways."""

from __future__ import annotations

import contextlib
from collections import deque

import anyio
import wsproto
from anyio.abc import ByteStream
from wsproto import events
from wsproto.utilities import RemoteProtocolError

from ploinky.gateway.rows import Request
from ploinky.gateway.rpc.socket import refuse_websocket
from ploinky.gateway.service_doors import ServiceDoors, ServicePath, read_service_path
from ploinky.gateway.service_proxy import HEAD_TIMEOUT_S, request_headers
from ploinky.router.http import HttpError

_PIECE = 64 * 1024
_LARGEST = 16 * 1024 * 1024
_NOT_ON = (b"sec-websocket-", b"host", b"connection", b"upgrade", b"content-length", b"transfer-encoding")


class ServiceSockets:
    """Answers every websocket below ``/services``."""

    def __init__(self, doors: ServiceDoors) -> None:
        self._doors = doors

    async def handle(self, request: Request) -> None:
        """Join the caller's websocket with one of the service, until either ends."""
        try:
            path = read_service_path(request.scope["path"])
            with self._doors.watched(request.caller, path):
                stream = await self._doors.open(request.caller, path)
                async with stream:
                    await self._join(request, path, stream)
        except HttpError as error:
            await refuse_websocket(request.send, error)

    async def _join(self, request: Request, path: ServicePath, stream: ByteStream) -> None:
        upstream = _Upstream(stream)
        accepted = await upstream.shake_hands(request, path)
        if (await request.receive())["type"] != "websocket.connect":
            return
        await request.send({"type": "websocket.accept", "subprotocol": accepted.subprotocol})
        async with anyio.create_task_group() as tasks:

            async def outward() -> None:
                await _to_caller(request, upstream)
                tasks.cancel_scope.cancel()

            async def inward() -> None:
                await _to_service(request, upstream)
                tasks.cancel_scope.cancel()

            async def end_on_close() -> None:
                await request.closing.wait()
                tasks.cancel_scope.cancel()

            tasks.start_soon(outward)
            tasks.start_soon(inward)
            tasks.start_soon(end_on_close)


class _Upstream:
    """The service's end, as whole messages."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._connection = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        self._waiting: deque[events.Event] = deque()

    async def shake_hands(self, request: Request, path: ServicePath) -> events.AcceptConnection:
        """Raises:
        HttpError: 502 if the service takes no websocket there, 504 if it says nothing.
        """
        query = request.scope.get("query_string", b"")
        target = path.rest + (f"?{query.decode('latin-1')}" if query else "")
        headers = [
            (name, value) for name, value in request_headers(request, path) if not name.startswith(_NOT_ON)
        ]
        asked = events.Request(
            host="localhost",
            target=target,
            subprotocols=list(request.scope.get("subprotocols", [])),
            extra_headers=headers,
        )
        refused = HttpError(502, f"The service of {path.agent!r} takes no websocket there.")
        with anyio.move_on_after(HEAD_TIMEOUT_S):
            try:
                await self.send(asked)
                event = await self.next()
            except (RemoteProtocolError, anyio.EndOfStream, anyio.BrokenResourceError) as error:
                raise refused from error
            if not isinstance(event, events.AcceptConnection):
                raise refused
            return event
        raise HttpError(504, f"The service of {path.agent!r} did not answer.")

    async def send(self, event: events.Event) -> None:
        await self._stream.send(self._connection.send(event))

    async def next(self) -> events.Event:
        """Raises:
        anyio.EndOfStream: the service ended the connection.
        """
        while not self._waiting:
            try:
                data: bytes | None = await self._stream.receive(_PIECE)
            except anyio.EndOfStream:
                data = None
            self._connection.receive_data(data)
            self._waiting.extend(self._connection.events())
            if data is None and not self._waiting:
                raise anyio.EndOfStream
        return self._waiting.popleft()


async def _to_caller(request: Request, upstream: _Upstream) -> None:
    message: list[str | bytes] = []
    size = 0
    while True:
        try:
            event = await upstream.next()
        except (RemoteProtocolError, anyio.EndOfStream, anyio.BrokenResourceError):
            await _close(request, 1011)
            return
        if isinstance(event, (events.TextMessage, events.BytesMessage)):
            message.append(event.data if isinstance(event.data, str) else bytes(event.data))
            size += len(event.data)
            if size > _LARGEST:
                await _close(request, 1009)
                return
            if event.message_finished:
                await _send(request, message)
                message, size = [], 0
        elif isinstance(event, events.Ping):
            await upstream.send(event.response())
        elif isinstance(event, events.CloseConnection):
            with contextlib.suppress(anyio.BrokenResourceError):
                await upstream.send(event.response())
            await _close(
                request, event.code if 1000 <= event.code < 5000 and event.code not in (1005, 1006) else 1000
            )
            return


async def _to_service(request: Request, upstream: _Upstream) -> None:
    with contextlib.suppress(anyio.BrokenResourceError):
        while (message := await request.receive())["type"] == "websocket.receive":
            text = message.get("text")
            if text is not None:
                await upstream.send(events.TextMessage(data=text))
            else:
                await upstream.send(events.BytesMessage(data=message.get("bytes") or b""))
        await upstream.send(events.CloseConnection(code=1000))


async def _send(request: Request, parts: list[str | bytes]) -> None:
    with contextlib.suppress(OSError):  # the caller has gone, which its reader is told as well
        if isinstance(parts[0], str):
            text = "".join(part for part in parts if isinstance(part, str))
            await request.send({"type": "websocket.send", "text": text})
        else:
            data = b"".join(part for part in parts if isinstance(part, bytes))
            await request.send({"type": "websocket.send", "bytes": data})


async def _close(request: Request, code: int) -> None:
    with anyio.move_on_after(1.0, shield=True), contextlib.suppress(OSError, RuntimeError):
        await request.send({"type": "websocket.close", "code": code})
