"""Serving an ASGI application with bounds that the HTTP parser does not set itself."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import anyio
import anyio.abc
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from ploinky.base.errors import PloinkyError
from ploinky.router.http import Receive, Scope, Send

if TYPE_CHECKING:
    from uvicorn._types import HTTPScope

MAX_HEADER_BYTES = 64 * 1024
HEADER_TIMEOUT_S = 20.0
MAX_CONNECTIONS = 20_000
MAX_EXPRESS_BYTES = 64 * 1024
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
_BACKLOG = 512
_IP_FREEBIND = 15  # Linux; the socket module has no name for it


_HEAD = (
    b"HTTP/1.1 %d OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
    b"x-content-type-options: nosniff\r\n\r\n"
)
Express = Callable[
    [Scope, bytes, Callable[[int, bytes], None], Callable[[], None]], Callable[[], None] | None
]
"""Takes a POST, if it is one that can be answered in a callback: scope, body, what writes the answer, what
sends it the way of all others after all. What cancels it, or None if it was not taken."""


class ClosableApp(Protocol):
    """An ASGI application whose streams can be ended."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...

    def close_streams(self) -> None: ...


@dataclass(frozen=True)
class Listen:
    """Where to listen: a TCP address (port 0 takes a free one) or, if ``uds`` is given, a UNIX socket.

    ``before_interface``: the address may belong to an interface that is not there yet. ``patience_s``
    bounds the wait for a request's head, and for the rest of a body whose answer was sent already.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    uds: str | None = None
    before_interface: bool = False
    patience_s: float = HEADER_TIMEOUT_S

    def __str__(self) -> str:
        return self.uds or f"{self.host}:{self.port}"


async def serve(
    app: ClosableApp,
    listen: Listen,
    *,
    stop: anyio.Event,
    grace_s: float = 3.0,
    task_status: anyio.abc.TaskStatus[int] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until ``stop`` is set, then end streams, finish calls within ``grace_s`` and return.

    Reports the port (0 for a UNIX socket) by ``task_status`` once it listens; installs no signal handlers.

    Raises:
        PloinkyError: ``PORT_TAKEN`` or ``LISTEN_FAILED``, naming the address.
    """
    with _listening(listen) as bound:
        server = _Server(_config(app, grace_s, listen.patience_s))
        async with anyio.create_task_group() as tasks:

            async def end() -> None:
                await stop.wait()
                app.close_streams()
                server.should_exit = True

            tasks.start_soon(end)
            task_status.started(0 if listen.uds else bound.getsockname()[1])
            await server.serve([bound])
            tasks.cancel_scope.cancel()


class _Server(uvicorn.Server):
    """Leaves signals to the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _BoundedProtocol(HttpToolsProtocol):
    """Closes a connection whose request head is too long or comes too slowly.

    After an answer that needed no body the rest of the body is dropped, but not waited for without end;
    fields that follow a chunked body are of no use here and would be kept without bound.
    """

    patience_s = HEADER_TIMEOUT_S
    express: Express | None = None
    _express_body: list[bytes] | None = None
    _express_size = 0
    _express_call: _ExpressCycle | None = None
    _head_open = True
    _message_open = False
    _head_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        if self._express_call is not None:
            self._express_call.give_up()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._express_body is not None and self.parser is not None:
            self._leave_express()  # only what comes in one piece is taken: nothing is waited for
        if self._head_open:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEADER_BYTES:
                self.transport.abort()
            elif self._head_timer is None:
                self._arm()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_open = self._message_open = True
        self._head_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head_open:
            super().on_header(name, value)
        else:
            self.transport.abort()

    def on_headers_complete(self) -> None:
        self._head_open = False
        self._disarm()
        if self._goes_express():
            self._express_body, self._express_size = [], 0
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self._express_body is None:
            super().on_body(body)
            return
        self._express_body.append(body)
        self._express_size += len(body)
        if self._express_size > MAX_EXPRESS_BYTES:
            self._leave_express()

    def on_message_complete(self) -> None:
        self._message_open = False
        self._disarm()
        if self._express_body is not None and self._took_express(b"".join(self._express_body)):
            self._express_body = None
            return
        self._leave_express()
        super().on_message_complete()

    def _goes_express(self) -> bool:
        """Whether this may be a plain call of a tool, alone on its connection."""
        idle = self.cycle is None or self.cycle.response_complete
        return (
            self.express is not None
            and idle
            and self.parser.get_method() == b"POST"
            and self.url.startswith(b"/mcp")
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
            and not self.parser.should_upgrade()
            and not self.expect_100_continue
            and len(self.connections) < MAX_CONNECTIONS
        )

    def _took_express(self, body: bytes) -> bool:
        assert self.express is not None
        cycle = _ExpressCycle(self, body)
        self.cycle = cast("RequestResponseCycle", cycle)
        self._express_call = cycle
        self.scope["method"], self.scope["path"] = "POST", self.url.decode("latin-1")
        cancel = self.express(cast("Scope", self.scope), body, cycle.answered, cycle.fall_back)
        if cancel is None:
            cycle.response_complete = True
            self._express_call = None
            return False
        cycle.cancel = cancel
        return True

    def _leave_express(self) -> None:
        """Let the request go the way of all others after all."""
        body, self._express_body = self._express_body, None
        if body is not None:
            super().on_headers_complete()
            for part in body:
                super().on_body(part)

    def take_back(self, scope: HTTPScope, body: bytes) -> None:
        """Send a request that was taken the way of all others; its answer has not begun."""
        self._express_call = None
        if self.transport.is_closing() or self.parser is None:
            return
        cycle = RequestResponseCycle(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=True,
            on_response=self.on_response_complete,
        )
        cycle.body, cycle.more_body = bytearray(body), False
        cycle.message_event.set()
        scope["path"] = urllib.parse.unquote(scope["path"])
        scope["raw_path"], scope["query_string"] = scope["path"].encode(), b""
        self.cycle = cycle
        self._start_asgi_task(cycle, self.app)

    def express_done(self) -> None:
        """The answer of a request that was taken has been written."""
        self._express_call = None
        self.on_response_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._message_open and self._head_timer is None:
            self._arm()

    def _arm(self) -> None:
        self._head_timer = self.loop.call_later(self.patience_s, self.transport.abort)

    def _disarm(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class _ExpressCycle:
    """Stands in uvicorn's place for one request that was taken; pipelined ones wait behind it."""

    def __init__(self, protocol: _BoundedProtocol, body: bytes) -> None:
        self.response_complete = False
        self.disconnected = False
        self.message_event = asyncio.Event()
        self.more_body = False
        self.cancel: Callable[[], None] | None = None
        self._protocol = protocol
        self._scope = protocol.scope
        self._body = body

    def answered(self, status: int, body: bytes) -> None:
        """Write the answer."""
        self.response_complete = True
        if not self.disconnected:
            self._protocol.transport.write(_HEAD % (status, len(body)) + body)
            self._protocol.express_done()

    def fall_back(self) -> None:
        """Go the other way: nothing was begun."""
        self.response_complete = True
        if not self.disconnected:
            self._protocol.take_back(self._scope, self._body)

    def give_up(self) -> None:
        """The client has gone."""
        self.disconnected = True
        if self.cancel is not None and not self.response_complete:
            self.cancel()


def _staticly(app: ClosableApp) -> object:
    """What the application takes quickly, as a class's attribute that does not bind."""
    express = getattr(app, "express", None)
    return None if express is None else staticmethod(express)


def _config(app: ClosableApp, grace_s: float, patience_s: float) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=type("_Patient", (_BoundedProtocol,), {"patience_s": patience_s, "express": _staticly(app)}),
        ws="wsproto",
        ws_max_size=MAX_MESSAGE_BYTES,
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=max(1, round(grace_s)),
    )


@contextlib.contextmanager
def _listening(listen: Listen) -> Iterator[socket.socket]:
    family = socket.AF_UNIX if listen.uds else socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        if listen.uds:
            Path(listen.uds).unlink(missing_ok=True)
            bound.bind(listen.uds)
            Path(listen.uds).chmod(0o600)
        else:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if listen.before_interface:
                bound.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
            bound.bind((listen.host, listen.port))
        bound.listen(_BACKLOG)
        bound.setblocking(False)
    except OSError as error:
        bound.close()
        raise _listen_error(listen, error) from error
    try:
        yield bound
    finally:
        bound.close()
        if listen.uds:
            Path(listen.uds).unlink(missing_ok=True)


def _listen_error(listen: Listen, error: OSError) -> PloinkyError:
    if error.errno == errno.EADDRINUSE:
        return PloinkyError(
            "PORT_TAKEN", f"{listen} is in use.", hint="Choose another port, or stop what listens there."
        )
    return PloinkyError("LISTEN_FAILED", f"Cannot listen on {listen}: {error.strerror}.")
