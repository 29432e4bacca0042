"""MCP over stdin and stdout for clients without HTTP, carried to the gateway's HTTP endpoint.

One message per line. Both eras pass through as they are; the bridge adds what HTTP wants beside the body
(session, mirrored headers) and takes what HTTP says beside it (a lost session is opened again, a stream of
notifications is followed). A request that may have reached a tool is never sent twice.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import quote

import anyio
import anyio.abc
import anyio.to_thread
import orjson

from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonObject, JsonValue, find_object
from ploinky.mcp.messages import (
    INTERNAL_ERROR,
    META_VERSION,
    NAMED_METHODS,
    Reply,
    Request,
    RequestId,
    RpcError,
    encode_header,
    notification,
    read_message,
)
from ploinky.router.gateway_client import GatewayAddress
from ploinky.router.http_client import HttpRequest, HttpResponse, open_response

HEAD_TIMEOUT_S = 60.0
RECONNECT_FOR_S = 10.0
LAST_ANSWERS_S = 10.0
_MAX_LINE = 16 * 1024 * 1024
_MOST_AT_ONCE = 64
_PAUSES_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)

Write = Callable[[bytes], Awaitable[None]]


class StdioBridge:
    """One client on one end, one endpoint of the gateway on the other."""

    def __init__(self, address: GatewayAddress, write: Write, *, agent: str | None = None) -> None:
        self._address = address
        self._path = "/mcp" if agent is None else f"/mcps/{quote(agent, safe='')}/mcp"
        self._write_line = write
        self._writing = anyio.Lock()
        self._slots = anyio.CapacityLimiter(_MOST_AT_ONCE)
        self._stateless_calls: dict[RequestId, anyio.CancelScope] = {}
        self._initialize: JsonObject | None = None
        self._session: str | None = None
        self._version: str | None = None
        self._renewing = anyio.Lock()
        self._listening = False

    async def run(self, lines: AsyncIterator[bytes]) -> None:
        """Carry messages until ``lines`` ends; answers under way get ``LAST_ANSWERS_S`` more."""
        async with anyio.create_task_group() as background:
            with anyio.CancelScope() as last:
                async with anyio.create_task_group() as requests:
                    async for line in lines:
                        await self._take(line, requests, background)
                    last.deadline = anyio.current_time() + LAST_ANSWERS_S
            background.cancel_scope.cancel()
        with anyio.move_on_after(2.0, shield=True):
            await self._end_session()

    async def _take(
        self, line: bytes, requests: anyio.abc.TaskGroup, background: anyio.abc.TaskGroup
    ) -> None:
        """What opens a session, or needs no answer, has gone out before the next message is taken."""
        if not line.strip():
            return
        try:
            message = read_message(line)
        except RpcError as error:
            await self._write(error.body(None))
            return
        if isinstance(message, Reply) or message.id is None:
            await self._tell(message, line)
            if isinstance(message, Request) and message.method == "notifications/initialized":
                self._listen_once(background)
        elif message.method == "initialize":
            await self._request(message, line)
        else:
            requests.start_soon(self._request, message, line)

    async def _tell(self, message: Request | Reply, line: bytes) -> None:
        if isinstance(message, Request) and message.method == "notifications/cancelled":
            asked = message.params.get("requestId")
            scope = self._stateless_calls.get(asked) if isinstance(asked, (str, int)) else None
            if scope is not None:
                # In the stateless era a closed response is the cancellation.
                scope.cancel()
                return
        try:
            async with self._open(self._post(line, self._headers(message))) as response:
                await response.read()
        except PloinkyError:
            return  # nobody waits for an answer

    async def _request(self, request: Request, line: bytes) -> None:
        assert request.id is not None
        stateless = _version_of(request) is not None
        try:
            async with self._slots:
                with anyio.CancelScope() as scope:
                    if stateless:
                        self._stateless_calls[request.id] = scope
                    await self._ask(request, line)
        except PloinkyError as error:
            await self._write(RpcError(INTERNAL_ERROR, str(error), {"code": error.code}).body(request.id))
        finally:
            self._stateless_calls.pop(request.id, None)

    async def _ask(self, request: Request, line: bytes, *, again: bool = True) -> None:
        assert request.id is not None
        session = self._session
        async with self._open(self._post(line, self._headers(request))) as response:
            lost = response.status == 404 and session is not None and _version_of(request) is None
            if not (lost and again and request.method != "initialize"):
                await self._pass_on(request, response)
                return
        await self._renew(session)
        await self._ask(request, line, again=False)

    async def _pass_on(self, request: Request, response: HttpResponse) -> None:
        if response.is_stream:
            async for each in response.events():
                await self._write(each.data)
            return
        body = await response.read()
        if response.status == 200 and request.method == "initialize":
            self._opened(request, response, body)
        await self._write(_with_id(body, request.id, response.status))

    def _opened(self, request: Request, response: HttpResponse, body: bytes) -> None:
        result = find_object(_parsed(body), "result")
        if result is None:
            return
        version = result.get("protocolVersion")
        self._initialize = request.params
        self._session = response.headers.get("mcp-session-id")
        self._version = version if isinstance(version, str) else None

    async def _renew(self, lost: str | None) -> None:
        """Open a session in place of the one that the gateway no longer knows, once for all who noticed."""
        async with self._renewing:
            if self._session != lost or self._initialize is None:
                return
            self._session = None
            first: JsonObject = {
                "jsonrpc": "2.0",
                "id": "ploinky-bridge",
                "method": "initialize",
                "params": self._initialize,
            }
            request = Request("ploinky-bridge", "initialize", self._initialize)
            async with self._open(self._post(orjson.dumps(first), self._headers(request))) as response:
                self._opened(request, response, await response.read())
            done = notification("notifications/initialized")
            async with self._open(self._post(done, self._headers(None))) as response:
                await response.read()

    def _listen_once(self, background: anyio.abc.TaskGroup) -> None:
        if not self._listening and self._session is not None:
            self._listening = True
            background.start_soon(self._listen)

    async def _listen(self) -> None:
        """Follow the session's stream for good; after a loss, go on behind the last event."""
        last_id, failures = "", 0
        while True:
            session = self._session
            try:
                headers = {**self._headers(None), "accept": "text/event-stream"}
                if last_id:
                    headers["last-event-id"] = last_id
                async with self._open(HttpRequest("GET", self._path, headers)) as response:
                    if response.status == 200:
                        failures = 0
                        async for each in response.events():
                            last_id = each.id or last_id
                            await self._write(each.data)
                    elif response.status == 405:
                        return
                if response.status == 404:
                    last_id = ""
                    await self._renew(session)
                    await self._write(notification("notifications/tools/list_changed"))
            except PloinkyError:
                failures += 1
            await anyio.sleep(_PAUSES_S[min(failures, len(_PAUSES_S) - 1)])

    async def _end_session(self) -> None:
        if self._session is None:
            return
        try:
            request = HttpRequest("DELETE", self._path, self._headers(None))
            async with open_response(self._address.http, request, head_timeout_s=1.0) as response:
                await response.read()
        except PloinkyError:
            return  # the gateway forgets an idle session by itself

    def _post(self, body: bytes, headers: dict[str, str]) -> HttpRequest:
        return HttpRequest("POST", self._path, headers, body)

    def _headers(self, message: Request | Reply | None) -> dict[str, str]:
        headers = {
            **self._address.authorization,
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
        }
        version = _version_of(message) if isinstance(message, Request) else None
        if isinstance(message, Request) and version is not None:
            headers |= {"mcp-protocol-version": version, "mcp-method": message.method}
            name = message.params.get(NAMED_METHODS.get(message.method, ""))
            if isinstance(name, str):
                headers["mcp-name"] = encode_header(name)
        elif self._session is not None and not (
            isinstance(message, Request) and message.method == "initialize"
        ):
            headers["mcp-session-id"] = self._session
            if self._version is not None:
                headers["mcp-protocol-version"] = self._version
        return headers

    def _open(self, request: HttpRequest) -> _Patient:
        return _Patient(self._address, request)

    async def _write(self, message: bytes) -> None:
        async with self._writing:
            await self._write_line(message.replace(b"\n", b" ") + b"\n")


class _Patient:
    """Opens a response; while nothing listens, because the gateway starts anew, it tries for some seconds."""

    def __init__(self, address: GatewayAddress, request: HttpRequest) -> None:
        self._address = address
        self._request = request
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> HttpResponse:
        give_up = anyio.current_time() + RECONNECT_FOR_S
        for pause_s in (*_PAUSES_S, *_PAUSES_S):
            try:
                return await self._stack.enter_async_context(self._try())
            except PloinkyError as error:
                if error.code != "GATEWAY_UNREACHABLE" or anyio.current_time() > give_up:
                    raise
            await anyio.sleep(pause_s)
        return await self._stack.enter_async_context(self._try())

    async def __aexit__(self, *details: object) -> None:
        await self._stack.aclose()

    def _try(self) -> contextlib.AbstractAsyncContextManager[HttpResponse]:
        return open_response(self._address.http, self._request, head_timeout_s=HEAD_TIMEOUT_S)


async def bridge_stdio(address: GatewayAddress, *, agent: str | None = None) -> None:
    """Serve this process's stdin and stdout until stdin ends."""
    await StdioBridge(address, _write_stdout, agent=agent).run(_stdin_lines())


async def _stdin_lines() -> AsyncIterator[bytes]:
    """Lines of stdin without their ends; no thread is left waiting in a read."""
    open_line = b""
    while True:
        with contextlib.suppress(PermissionError):  # a plain file is always readable
            await anyio.wait_readable(0)
        data = os.read(0, 64 * 1024)
        if not data:
            break
        *lines, open_line = (open_line + data).split(b"\n")
        for line in lines:
            yield line
        if len(open_line) > _MAX_LINE:
            raise PloinkyError("STDIO_LINE_TOO_LONG", f"A message has more than {_MAX_LINE} bytes.")
    if open_line:
        yield open_line


async def _write_stdout(data: bytes) -> None:
    def write() -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(1, rest) :]

    await anyio.to_thread.run_sync(write, abandon_on_cancel=True)


def _version_of(message: Request) -> str | None:
    """The version in a stateless request's envelope; None for the session era."""
    version = (find_object(message.params, "_meta") or {}).get(META_VERSION)
    return version if isinstance(version, str) else None


def _parsed(body: bytes) -> JsonValue:
    try:
        value: JsonValue = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return value


def _with_id(body: bytes, request_id: RequestId | None, status: int) -> bytes:
    """The answer as it came, or an error of HTTP as the error of this request."""
    value = _parsed(body)
    if isinstance(value, dict) and value.get("id") is not None:
        return body
    error = find_object(value, "error")
    message = str(error["message"]) if error and "message" in error else f"The gateway said HTTP {status}."
    return RpcError(INTERNAL_ERROR, message, {"httpStatus": status}).body(request_id)
