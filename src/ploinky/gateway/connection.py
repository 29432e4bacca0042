"""One connection of a client: uvicorn's HTTP within bounds that it does not set itself, and a quick way.

Nobody may keep a head open, send requests faster than it reads answers, or leave an answer unread, without
end; no answer is written out of its turn. A plain call of a tool is handed to ``express``, which answers in a
callback; what it does not take goes the way of all requests, as if nothing had happened.
"""

from __future__ import annotations

import asyncio
import urllib.parse
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from ploinky.gateway.joining import JoiningTransport
from ploinky.router.http import Scope

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application, HTTPScope

MAX_HEADER_BYTES = 64 * 1024
MAX_CONNECTIONS = 20_000
MAX_EXPRESS_BYTES = 64 * 1024
FEW_PIPELINED = 16
_PIECE = 64 * 1024
HEADER_TIMEOUT_S = 20.0
STALL_S = 60.0
LOCAL = "local"
"""Where a client is that came by a UNIX socket; its port is another for each connection."""

_HEAD = (
    b"HTTP/1.1 %d OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
    b"x-content-type-options: nosniff\r\n%s\r\n"
)
Express = Callable[
    [Scope, bytes, Callable[[int, bytes], None], Callable[[], None]], Callable[[], None] | None
]
"""Takes a POST, if it is one that can be answered in a callback: scope, body, what writes the answer, what
sends it the way of all others after all. What cancels it, or None if it was not taken."""


class BoundedProtocol(HttpToolsProtocol):
    """Closes a connection whose request head is too long or comes too slowly, or whose answers nobody reads.

    After an answer that needed no body the rest of the body is dropped, but not waited for without end;
    fields that follow a chunked body are of no use here and would be kept without bound. Requests that come
    before earlier ones are answered wait for their turn; behind a few nothing more is read, though only
    reading shows that the other side has gone.
    """

    patience_s = HEADER_TIMEOUT_S
    stall_s = STALL_S
    express: Express | None = None
    _express_body: list[bytes] | None = None
    _express_size = 0
    _express_call: _ExpressCycle | None = None
    _running: RequestResponseCycle | None = None
    _unparsed = b""
    _holds_back = False
    _head_open = True
    _head_began = False
    _message_open = False
    _head_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None
    _stall_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast("asyncio.Transport", JoiningTransport(transport, self.loop)))
        if self.client is None:
            self.client = (LOCAL, id(transport))
        self.flow = _Flow(transport, lambda: bool(self._unparsed) or self._has_enough())
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self.resume_writing()
        if self._express_call is not None:
            self._express_call.give_up()
        if self._running is not None and not self._running.response_complete:
            # uvicorn tells only the request that came last, which may be another one
            self._running.disconnected = True
            self._running.message_event.set()
        self.pipeline.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unparsed += data
        self._parse_more()

    def _parse_more(self) -> None:
        while self._unparsed and not self.transport.is_closing():
            if self._has_enough():
                self._holds_back = True
                self.flow.pause_reading()
                return
            piece, self._unparsed = self._unparsed[:_PIECE], self._unparsed[_PIECE:]
            self._parse(piece)
        if self._holds_back and not self.transport.is_closing():
            self._holds_back = False
            self.flow.resume_reading()

    def _has_enough(self) -> bool:
        return len(self.pipeline) >= FEW_PIPELINED

    def _parse(self, data: bytes) -> None:
        self._head_began = False
        super().data_received(data)
        if self._express_body is not None and self.parser is not None:
            self._leave_express()  # only what comes in one piece is taken: nothing is waited for
        if self._head_open:
            # of the piece in which a head begins, an unknown part belongs to the request before
            self._head_bytes += 0 if self._head_began else len(data)
            if self._head_bytes > MAX_HEADER_BYTES:
                self.transport.abort()
            elif self._head_timer is None:
                self._arm()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_open = self._head_began = self._message_open = True
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
            self.flow.resume_reading()

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

    def send_400_response(self, msg: str) -> None:
        self._express_body = None
        if self._owes_an_answer():
            self.transport.abort()  # a refusal now would be taken for that answer
        else:
            super().send_400_response(msg)

    def handle_websocket_upgrade(self) -> None:
        if self._owes_an_answer():
            self.transport.abort()
        else:
            super().handle_websocket_upgrade()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stall_timer is None:
            self._watch_stall()

    def resume_writing(self) -> None:
        if self._stall_timer is not None:
            self._stall_timer.cancel()
            self._stall_timer = None
        super().resume_writing()

    def _watch_stall(self) -> None:
        """Cut the connection off if its client has taken nothing by then; a slow one is left alone."""
        unsent = self.transport.get_write_buffer_size()

        def look() -> None:
            if self.transport.get_write_buffer_size() < unsent:
                self._watch_stall()
            else:
                self.transport.abort()

        self._stall_timer = self.loop.call_later(self.stall_s, look)

    def _owes_an_answer(self) -> bool:
        """Whether a request that came whole, or whose answer has begun, is not answered yet."""
        running = self._running
        return self._express_call is not None or (
            running is not None
            and not running.response_complete
            and (running.response_started or not running.more_body)
        )

    def _goes_express(self) -> bool:
        """Whether this may be a plain call of a tool, alone on its connection."""
        idle = self.cycle is None or self.cycle.response_complete
        return (
            self.express is not None
            and idle
            and not self.flow.write_paused
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

    def take_back(self, taken: _ExpressCycle, scope: HTTPScope, body: bytes) -> None:
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
            keep_alive=taken.keep_alive,
            on_response=self.on_response_complete,
        )
        cycle.body, cycle.more_body = bytearray(body), False
        cycle.message_event.set()
        scope["path"] = urllib.parse.unquote(scope["path"])
        scope["raw_path"], scope["query_string"] = scope["path"].encode(), b""
        if cast("object", self.cycle) is taken:  # else a request behind it is being read
            self.cycle = cycle
        self._start_asgi_task(cycle, self.app)

    def express_done(self) -> None:
        """The answer of a request that was taken has been written."""
        self._express_call = None
        self.on_response_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._unparsed:
            self.loop.call_soon(self._parse_more)
        elif not self.transport.is_closing():
            self.flow.resume_reading()
        if self._message_open and self._head_timer is None:
            self._arm()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _arm(self) -> None:
        self._head_timer = self.loop.call_later(self.patience_s, self.transport.abort)

    def _disarm(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class _Flow(FlowControl):
    """Reads nothing while ``is_full``."""

    def __init__(self, transport: asyncio.Transport, is_full: Callable[[], bool]) -> None:
        super().__init__(transport)
        self._is_full = is_full

    def resume_reading(self) -> None:
        if not self._is_full():
            super().resume_reading()


class _NoEvent:
    """Stands for an event that uvicorn sets and nobody waits for."""

    def set(self) -> None:
        return


_NOBODY_WAITS = _NoEvent()


class _ExpressCycle:
    """Stands in uvicorn's place for one request that was taken; pipelined ones wait behind it."""

    __slots__ = (
        "_body",
        "_protocol",
        "_scope",
        "cancel",
        "disconnected",
        "keep_alive",
        "message_event",
        "more_body",
        "response_complete",
    )

    def __init__(self, protocol: BoundedProtocol, body: bytes) -> None:
        self.response_complete = False
        self.disconnected = False
        self.keep_alive = True
        self.message_event = _NOBODY_WAITS
        self.more_body = False
        self.cancel: Callable[[], None] | None = None
        self._protocol = protocol
        self._scope = protocol.scope
        self._body = body

    def answered(self, status: int, body: bytes) -> None:
        """Write the answer."""
        self.response_complete = True
        if self.disconnected:
            return
        transport = cast("JoiningTransport", self._protocol.transport)
        closing = b"" if self.keep_alive else b"connection: close\r\n"
        transport.write_whole(_HEAD % (status, len(body), closing) + body)
        if closing:
            transport.close()
        self._protocol.express_done()

    def fall_back(self) -> None:
        """Go the other way: nothing was begun."""
        self.response_complete = True
        if not self.disconnected:
            self._protocol.take_back(self, self._scope, self._body)

    def give_up(self) -> None:
        """The client has gone."""
        self.disconnected = True
        if self.cancel is not None and not self.response_complete:
            self.cancel()
