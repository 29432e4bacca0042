"""``/services/<agent>/...``: HTTP passed on to a service inside an agent, and its answer passed back.

What is between this gateway and its caller stays there: its token, its cookies. The service learns who
calls by ``X-Ploinky-Caller``, and where it is seen by ``X-Forwarded-*``. A page of a service gets an origin
of its own in a browser, so that no script of it acts as the person who looks on; it can set no cookies.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable

import anyio
import h11
from anyio.abc import ByteStream

from ploinky.gateway.connection import LOCAL
from ploinky.gateway.rows import Request
from ploinky.gateway.service_doors import ServiceDoors, ServicePath, read_service_path
from ploinky.router.http import HeaderPair, HttpError, body_parts, wait_for_disconnect

HEAD_TIMEOUT_S = 120.0
IDLE_S = 600.0
_PIECE = 64 * 1024
_MOST_HEAD = 64 * 1024
_PRIVATE = frozenset({b"authorization", b"proxy-authorization", b"cookie"})
_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"expect",
    }
)
_NOT_BACK = frozenset(
    {b"set-cookie", b"clear-site-data", b"strict-transport-security", b"service-worker-allowed"}
)
_SANDBOX: HeaderPair = (
    b"content-security-policy",
    b"sandbox allow-scripts allow-forms allow-popups allow-downloads",
)


class ServiceProxy:
    """``most_bytes`` bounds a request's body; answers may be as long as they are."""

    def __init__(self, doors: ServiceDoors, *, most_bytes: int) -> None:
        self._doors = doors
        self._most_bytes = most_bytes

    async def handle(self, request: Request) -> None:
        """Pass one request on.

        Raises:
            HttpError: it cannot be passed on; nothing was answered yet.
        """
        path = read_service_path(request.scope["path"])
        with self._doors.watched(request.caller, path):
            stream = await self._doors.open(request.caller, path)
            async with stream:
                await _Exchange(request, path, stream, self._most_bytes).run()


class _Exchange:
    """One request on one connection to the service."""

    def __init__(self, request: Request, path: ServicePath, stream: ByteStream, most_bytes: int) -> None:
        self._request = request
        self._path = path
        self._stream = stream
        self._most_bytes = most_bytes
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MOST_HEAD)
        self._begun = False
        self._failure: HttpError | None = None

    async def run(self) -> None:
        """Until the answer has been passed on, the client goes away or the gateway ends.

        Raises:
            HttpError: nothing was answered yet.
            RuntimeError: an answer that had begun cannot be finished.
        """
        async with anyio.create_task_group() as tasks:

            async def until(work: Callable[[], Awaitable[object]]) -> None:
                try:
                    await work()
                except HttpError as error:
                    self._failure = self._failure or error
                tasks.cancel_scope.cancel()

            tasks.start_soon(until, self._send_request)
            tasks.start_soon(until, self._request.closing.wait)
            tasks.start_soon(until, self._answer)
        if self._failure is not None and self._begun:
            raise RuntimeError("an answer that had begun broke off") from self._failure
        if self._failure is not None:
            raise self._failure

    async def _send_request(self) -> None:
        request = self._request.scope
        target = self._path.rest.encode("utf-8")
        raw = request.get("raw_path")
        if raw:  # as the client wrote it, escapes and all
            target = b"/" + raw.split(b"?")[0].split(b"/", 3)[3] if raw.count(b"/") > 2 else b"/"
        query = request.get("query_string", b"")
        target += b"?" + query if query else b""
        head = h11.Request(
            method=request["method"].encode(),
            target=target,
            headers=request_headers(self._request, self._path),
        )
        parts = body_parts(
            request, self._request.receive, limit=self._most_bytes, timeout_s=3600, idle_s=IDLE_S
        )
        with contextlib.suppress(anyio.BrokenResourceError, OSError):  # an early answer tells more
            await self._emit(head)
            async for part in parts:
                await self._emit(h11.Data(data=part))
            await self._emit(h11.EndOfMessage())
        await wait_for_disconnect(self._request.receive)

    async def _emit(self, event: h11.Event) -> None:
        data = self._http.send(event)
        if data:
            await self._stream.send(data)

    async def _answer(self) -> None:
        try:
            await self._pass_on()
        except (h11.RemoteProtocolError, anyio.BrokenResourceError) as error:
            raise HttpError(502, f"The service of {self._path.agent!r} gave no proper answer.") from error

    async def _pass_on(self) -> None:
        send = self._request.send
        while True:
            event = await self._next(HEAD_TIMEOUT_S if not self._begun else IDLE_S)
            if isinstance(event, h11.Response):
                headers = response_headers(event.headers, self._path)
                await send({"type": "http.response.start", "status": event.status_code, "headers": headers})
                self._begun = True
            elif isinstance(event, h11.Data):
                await send({"type": "http.response.body", "body": bytes(event.data), "more_body": True})
            elif isinstance(event, h11.EndOfMessage):
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return
            elif not isinstance(event, h11.InformationalResponse):
                raise h11.RemoteProtocolError("the connection ended")

    async def _next(self, timeout_s: float) -> object:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event
            data: bytes | None = None
            with anyio.move_on_after(timeout_s):
                try:
                    data = await self._stream.receive(_PIECE)
                except anyio.EndOfStream:
                    data = b""
            if data is None:
                raise HttpError(
                    504, f"The service of {self._path.agent!r} did not answer in {timeout_s:g} s."
                )
            self._http.receive_data(data)


def request_headers(request: Request, path: ServicePath) -> list[HeaderPair]:
    """What the service gets of the caller's headers, and what the gateway says of the caller."""
    pairs: list[HeaderPair] = request.scope["headers"]
    dropped = _PRIVATE | _HOP | _named_by_connection(pairs)
    ours = {b"host", b"x-ploinky-caller", b"x-ploinky-act-as"}
    kept = [
        (name, value)
        for name, value in pairs
        if name not in dropped and name not in ours and not name.startswith(b"x-forwarded-")
    ]
    host = next((value for name, value in pairs if name == b"host"), b"localhost")
    client = request.scope.get("client")
    has_length = any(name == b"content-length" for name, _ in kept)
    chunked = not has_length and any(name == b"transfer-encoding" for name, _ in pairs)
    return [
        (b"host", b"localhost" + (b":%d" % path.port if path.port is not None else b"")),
        (b"connection", b"close"),
        (b"x-ploinky-caller", str(request.caller).encode()),
        (b"x-forwarded-host", host),
        (b"x-forwarded-proto", request.scope.get("scheme", "http").replace("ws", "http").encode()),
        (b"x-forwarded-prefix", path.prefix.encode()),
        (b"x-forwarded-for", str(client[0]).encode() if client and client[0] != LOCAL else b"127.0.0.1"),
        *([(b"transfer-encoding", b"chunked")] if chunked else []),
        *kept,
    ]


def response_headers(pairs: Iterable[tuple[bytes, bytes]], path: ServicePath) -> list[HeaderPair]:
    """What the caller gets of the service's headers."""
    listed = [(bytes(name).lower(), bytes(value)) for name, value in pairs]
    dropped = _HOP | _NOT_BACK | _named_by_connection(listed)
    kept = [
        (name, _below(value, path) if name == b"location" else value)
        for name, value in listed
        if name not in dropped
    ]
    return [*kept, _SANDBOX, (b"x-content-type-options", b"nosniff")]


def _named_by_connection(pairs: Iterable[HeaderPair]) -> frozenset[bytes]:
    return frozenset(
        word.strip().lower() for name, value in pairs if name == b"connection" for word in value.split(b",")
    )


def _below(location: bytes, path: ServicePath) -> bytes:
    """A redirect to a path of the service, as the caller sees that path."""
    if location.startswith(b"/") and not location.startswith(b"//"):
        return path.prefix.encode() + location
    return location
