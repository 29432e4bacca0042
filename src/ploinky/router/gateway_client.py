"""A client of the gateway for the command line: tools, calls with progress, control.

Speaks the stateless revision, one request per connection, without a general HTTP client.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import NoReturn
from urllib.parse import quote

import anyio
import orjson

from ploinky import __version__
from ploinky.base.errors import DeadlineError, NeedsApprovalError, PloinkyError
from ploinky.base.jsontypes import JsonObject, JsonValue, find_object, find_text
from ploinky.mcp.messages import (
    META,
    META_CAPABILITIES,
    META_VERSION,
    STATELESS_VERSIONS,
    TASKS_EXTENSION,
    encode_header,
)
from ploinky.router.callers import ACT_AS_HEADER
from ploinky.router.http_client import HttpAddress, HttpRequest, HttpResponse, open_response

_AGENT_META = "ploinky/agent"
_FIRST_PAUSE_S = 0.05
_ABLE: JsonObject = {"extensions": {TASKS_EXTENSION: {}}}
_CLIENT: JsonObject = {"name": "ploinky-cli", "version": __version__}


@dataclass(frozen=True)
class GatewayAddress:
    """Where the gateway listens, and the token to show it; ``act_as``: for whom the owner calls."""

    port: int
    token: str
    host: str = "127.0.0.1"
    act_as: str | None = None

    def __repr__(self) -> str:
        return f"GatewayAddress({self.host}:{self.port})"

    @property
    def http(self) -> HttpAddress:
        return HttpAddress(self.host, self.port)

    @property
    def authorization(self) -> Mapping[str, str]:
        named = {} if self.act_as is None else {ACT_AS_HEADER.decode(): self.act_as}
        return {"authorization": f"Bearer {self.token}", **named}


@dataclass(frozen=True)
class ToolInfo:
    """One tool as the gateway lists it; ``input_schema`` is JSON Schema. Calls of async ones are tasks."""

    name: str
    title: str
    description: str
    input_schema: JsonObject
    agent: str | None = None
    is_async: bool = False


@dataclass(frozen=True)
class ToolAnswer:
    """What a tool answered: its text, its structured content if it has any, whether it failed."""

    text: str
    structured: JsonValue
    is_error: bool


@dataclass(frozen=True)
class ToolProgress:
    """One progress notification; ``total`` is None while unknown."""

    progress: float
    total: float | None
    message: str


OnProgress = Callable[[ToolProgress], Awaitable[None]]


class GatewayClient:
    """Requests to one gateway.

    Every method raises PloinkyError: ``GATEWAY_UNREACHABLE`` (nothing listens), ``GATEWAY_LOST`` (it went
    away), ``GATEWAY_REFUSED`` (token or permission), ``GATEWAY_PROTOCOL`` (no sensible answer),
    ``TOOL_CALL_FAILED`` (the MCP error, its code in ``details``), an error of the gateway's own by its code,
    or DeadlineError.
    """

    def __init__(self, address: GatewayAddress, *, timeout_s: float = 10.0) -> None:
        self._address = address
        self._timeout_s = timeout_s

    async def list_tools(self, agent: str | None = None) -> list[ToolInfo]:
        """All tools, or those of one agent by their own names."""
        result = await self._rpc(_Call("tools/list", {}, agent), self._timeout_s)
        tools = result.get("tools")
        return (
            [_tool_info(tool) for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
        )

    async def call_tool(
        self,
        name: str,
        arguments: JsonObject,
        *,
        agent: str | None = None,
        on_progress: OnProgress | None = None,
        timeout_s: float = 600.0,
    ) -> ToolAnswer:
        """Call a tool by its name on ``/mcp``, or by its own name on one agent; a task is followed to its
        end. Cancelling, and running out of time, ends it.

        Raises:
            PloinkyError: ``TASK_CANCELLED`` if somebody else ended the task.
        """
        params: JsonObject = {"name": name, "arguments": arguments}
        began = anyio.current_time()
        result = await self._rpc(_Call("tools/call", params, agent, name, on_progress), timeout_s)
        if result.get("resultType") != "task":
            return _tool_answer(result)
        left_s = max(0.0, began + timeout_s - anyio.current_time())
        try:
            with anyio.fail_after(left_s):
                return _tool_answer(_task_result(await self._ended(result, agent, on_progress)))
        except BaseException as error:
            with anyio.move_on_after(self._timeout_s, shield=True), contextlib.suppress(PloinkyError):
                await self._about("tasks/cancel", result, agent)
            if isinstance(error, TimeoutError):
                raise DeadlineError("the end of the task", timeout_s) from error
            raise

    async def begin_task(self, name: str, arguments: JsonObject, *, agent: str | None = None) -> str:
        """Call an async tool without waiting for its end; the id of its task as the gateway keeps it.

        Raises:
            PloinkyError: ``TOOL_CALL_FAILED`` too if the call was refused or made no task.
        """
        call = _Call("tools/call", {"name": name, "arguments": arguments}, agent, name)
        result = await self._rpc(call, self._timeout_s)
        task_id = find_text(result, "taskId")
        if task_id is None:
            raise PloinkyError("TOOL_CALL_FAILED", _tool_answer(result).text or "The call made no task.")
        return task_id.rpartition(":")[2]

    async def _ended(self, task: JsonObject, agent: str | None, on_progress: OnProgress | None) -> JsonObject:
        """A task when it has ended."""
        pause_s, told = _FIRST_PAUSE_S, ""
        while find_text(task, "status") in ("working", "input_required"):
            await anyio.sleep(pause_s)
            longest_ms = task.get("pollIntervalMs")
            pause_s = min(2 * pause_s, (longest_ms if isinstance(longest_ms, int) else 1000) / 1000)
            task = await self._about("tasks/get", task, agent)
            message = find_text(task, "statusMessage") or ""
            if on_progress is not None and message != told:
                told = message
                await on_progress(_task_progress(task, message))
        return task

    async def _about(self, method: str, task: JsonObject, agent: str | None) -> JsonObject:
        task_id = find_text(task, "taskId") or ""
        return await self._rpc(_Call(method, {"taskId": task_id}, agent, task_id), self._timeout_s)

    async def status(self) -> JsonValue:
        """What ``/control/status`` tells."""
        return await self._control("GET", "/control/status")

    async def reconcile(self) -> JsonValue:
        """Ask the gateway to look at the registry now; returns when it has."""
        return await self._control("POST", "/control/reconcile")

    async def rpc(self, method: str, params: JsonObject) -> JsonValue:
        """The result of one method of ``/rpc``."""
        body = orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        headers = {**self._address.authorization, "content-type": "application/json"}
        request = HttpRequest("POST", "/rpc", headers, body)
        async with open_response(self._address.http, request, head_timeout_s=self._timeout_s) as response:
            value = _parsed(await response.read())
            error = find_object(value, "error")
            if error is not None or response.status != 200 or not isinstance(value, dict):
                _refused(response.status, {"error": _rpc_error(error)} if error else value)
            return value.get("result")

    async def shutdown(self) -> None:
        """Ask the gateway process to end; agents live on."""
        await self._control("POST", "/control/shutdown")

    async def login_code(self) -> str:
        """A code that logs a browser in, once, within a minute."""
        value = await self._control("POST", "/control/login-code")
        code = find_text(value, "code")
        if code is None:
            raise PloinkyError("GATEWAY_PROTOCOL", "The gateway gave no code to log in with.")
        return code

    async def events(self) -> AsyncIterator[JsonObject]:
        """Events of the gateway until it ends or the iterator is closed."""
        request = HttpRequest("GET", "/control/events", self._address.authorization)
        async with open_response(self._address.http, request, head_timeout_s=self._timeout_s) as response:
            if response.status != 200:
                _refused(response.status, _parsed(await response.read()))
            async for each in response.events():
                value = _parsed(each.data)
                if isinstance(value, dict):
                    yield value

    async def healthy(self) -> bool:
        """Whether a gateway answers ``/healthz`` there; never raises for one that does not."""
        try:
            request = HttpRequest("GET", "/healthz", {})
            async with open_response(self._address.http, request, head_timeout_s=self._timeout_s) as response:
                return response.status == 200
        except PloinkyError:
            return False

    async def _control(self, method: str, path: str) -> JsonValue:
        request = HttpRequest(method, path, self._address.authorization)
        async with open_response(self._address.http, request, head_timeout_s=self._timeout_s) as response:
            value = _parsed(await response.read())
            if response.status != 200:
                _refused(response.status, value)
            return value

    async def _rpc(self, call: _Call, timeout_s: float) -> JsonObject:
        request = call.request(self._address)
        try:
            with anyio.fail_after(timeout_s):
                http = self._address.http
                async with open_response(http, request, head_timeout_s=timeout_s) as response:
                    answer = await _answer(response, call.on_progress)
                    status = response.status
        except TimeoutError as error:
            raise DeadlineError(f"the answer to {call.method}", timeout_s) from error
        if status in (401, 403, 429):
            _refused(status, answer)
        error_value = find_object(answer, "error")
        if error_value is not None:
            raise _tool_error(error_value)
        result = find_object(answer, "result")
        if result is None:
            raise PloinkyError("GATEWAY_PROTOCOL", f"The gateway's answer to {call.method} has no result.")
        return result


@dataclass(frozen=True)
class _Call:
    """One request of the stateless revision."""

    method: str
    params: JsonObject
    agent: str | None = None
    name: str | None = None
    on_progress: OnProgress | None = None

    def request(self, address: GatewayAddress) -> HttpRequest:
        version = STATELESS_VERSIONS[-1]
        meta: JsonObject = {META_VERSION: version, META_CAPABILITIES: _ABLE, f"{META}clientInfo": _CLIENT}
        if self.on_progress is not None:
            meta["progressToken"] = 1
        body = orjson.dumps(
            {"jsonrpc": "2.0", "id": 1, "method": self.method, "params": {**self.params, "_meta": meta}}
        )
        headers = {
            **address.authorization,
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": version,
            "mcp-method": self.method,
        }
        if self.name is not None:
            headers["mcp-name"] = encode_header(self.name)
        path = "/mcp" if self.agent is None else f"/mcps/{quote(self.agent, safe='')}/mcp"
        return HttpRequest("POST", path, headers, body)


async def _answer(response: HttpResponse, on_progress: OnProgress | None) -> JsonValue:
    if not response.is_stream:
        return _parsed(await response.read())
    async for each in response.events():
        message = _parsed(each.data)
        if isinstance(message, dict) and "id" in message:
            return message
        params = find_object(message, "params")
        if on_progress is not None and params is not None:
            await on_progress(_tool_progress(params))
    raise PloinkyError("GATEWAY_LOST", "The gateway ended the stream before its answer.")


def _tool_progress(params: JsonObject) -> ToolProgress:
    progress, total = params.get("progress"), params.get("total")
    return ToolProgress(
        progress if isinstance(progress, (int, float)) else 0.0,
        total if isinstance(total, (int, float)) else None,
        find_text(params, "message") or "",
    )


def _task_progress(task: JsonObject, message: str) -> ToolProgress:
    shown = find_object(find_object(task, "_meta"), "ploinky/progress") or {}
    return replace(_tool_progress(shown), message=message)


def _task_result(task: JsonObject) -> JsonObject:
    error, result = find_object(task, "error"), find_object(task, "result")
    if error is not None:
        raise _tool_error(error)
    if result is None:
        raise PloinkyError("TASK_CANCELLED", find_text(task, "statusMessage") or "The task was cancelled.")
    return result


def _tool_info(tool: JsonObject) -> ToolInfo:
    name = find_text(tool, "name") or ""
    return ToolInfo(
        name=name,
        title=find_text(tool, "title") or name,
        description=find_text(tool, "description") or "",
        input_schema=find_object(tool, "inputSchema") or {},
        agent=find_text(find_object(tool, "_meta"), _AGENT_META),
        is_async=find_text(find_object(tool, "execution"), "taskSupport") in ("optional", "required"),
    )


def _tool_answer(result: JsonObject) -> ToolAnswer:
    content = result.get("content")
    blocks = content if isinstance(content, list) else []
    texts = [find_text(block, "text") for block in blocks]
    text = "\n".join(each for each in texts if each is not None)
    return ToolAnswer(text, result.get("structuredContent"), result.get("isError") is True)


def _tool_error(error: JsonObject) -> PloinkyError:
    details = {"mcp_code": str(error.get("code"))}
    data = find_object(error, "data") or {}
    details.update({key: value for key, value in data.items() if isinstance(value, str)})
    return PloinkyError(
        "TOOL_CALL_FAILED", find_text(error, "message") or "The call failed.", details=details
    )


def _rpc_error(error: JsonObject) -> JsonObject:
    """An error of ``/rpc`` in the form of the control paths."""
    data = find_object(error, "data") or {}
    return {"code": data.get("code"), "message": error.get("message"), "hint": data.get("hint")}


def _refused(status: int, value: JsonValue) -> NoReturn:
    error = find_object(value, "error")
    message = find_text(error, "message") or f"The gateway answered with HTTP {status}."
    if status in (401, 403, 429):
        raise NeedsApprovalError("GATEWAY_REFUSED", message, details={"status": str(status)})
    code = find_text(error, "code") or "GATEWAY_PROTOCOL"
    raise PloinkyError(code, message, hint=find_text(error, "hint"), details={"status": str(status)})


def _parsed(body: bytes) -> JsonValue:
    try:
        value: JsonValue = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise PloinkyError("GATEWAY_PROTOCOL", "The gateway's answer is not JSON.") from error
    return value
