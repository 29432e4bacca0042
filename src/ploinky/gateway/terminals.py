"""Websockets into agents: ``/ws/terminal`` (a shell inside one, never on the host) and ``/ws/logs``.

A terminal's messages: the client sends input as bytes, and ``{"resize": [rows, cols]}`` as text; it gets
output as bytes and, last, ``{"exit": code}`` as text. A log's messages are text. An error comes as
``{"error": {"code", "message", "hint"}}`` before the end. Both need the query ``agent``.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

import anyio
import orjson

from ploinky.base.errors import PloinkyError, UsageError
from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.channel.program import Program
from ploinky.gateway.audit import AuditLog, AuditRecord
from ploinky.gateway.event_stream import read_query
from ploinky.gateway.rows import Request
from ploinky.gateway.rpc.method import Scope
from ploinky.gateway.rpc.scopes import allows, scopes_of
from ploinky.gateway.rpc.socket import refuse_websocket
from ploinky.manifest.refs import parse_agent_ref
from ploinky.operations.gateway_news import gateway_log
from ploinky.operations.inside import open_program, shell_args
from ploinky.operations.logs import logs
from ploinky.operations.platform import Platform
from ploinky.router.http import HttpError
from ploinky.wire.events import Event, Output

MOST_TERMINALS = 16
_LARGEST = 1000
_ROUTER = "router"
_TAIL = 300


class Terminals:
    """Serves both kinds; ``platform`` makes one of this moment."""

    def __init__(self, platform: Callable[[], Platform], audit: AuditLog) -> None:
        self._platform = platform
        self._audit = audit
        self._open = 0

    async def terminal(self, request: Request) -> None:
        """A shell inside an agent, until it or the client ends."""
        if not await _accepted(request, Scope.AGENTS_MANAGE):
            return
        query = read_query(request.scope)
        outcome = "ok"
        self._open += 1
        try:
            self._require_room()
            size = (_number(query, "rows", 24), _number(query, "cols", 80))
            ref = parse_agent_ref(query.get("agent", ""))
            async with open_program(self._platform(), ref, shell_args(), pty=size) as program:
                await _join(request, program)
        except PloinkyError as error:
            outcome = error.code
            await _say(request, _error(error))
        finally:
            self._open -= 1
            target = query.get("agent", "")[:80]
            self._audit.record(AuditRecord("terminal", str(request.caller), "shell", outcome, target=target))
            await _close(request)

    def _require_room(self) -> None:
        if self._open > MOST_TERMINALS:
            raise PloinkyError("TOO_MANY_TERMINALS", f"{MOST_TERMINALS} terminals are open already.")

    async def log(self, request: Request) -> None:
        """What an agent (or ``router``) printed, and all that it prints."""
        if not await _accepted(request, Scope.AGENTS_READ):
            return
        query = read_query(request.scope)
        try:
            platform, agent = self._platform(), query.get("agent", "")
            if agent == _ROUTER:
                events = gateway_log(platform.layout, follow=True, tail=_TAIL, since=None)
            else:
                events = logs(platform, parse_agent_ref(agent), follow=True, tail=_TAIL, since=None)
            await _follow(request, events)
        except PloinkyError as error:
            await _say(request, _error(error))
        finally:
            await _close(request)


async def _accepted(request: Request, scope: Scope) -> bool:
    if not allows(scopes_of(request.caller), scope):
        await refuse_websocket(request.send, HttpError(403, "This needs a scope that the caller has not."))
        return False
    if (await request.receive())["type"] != "websocket.connect":
        return False
    await request.send({"type": "websocket.accept"})
    return True


async def _join(request: Request, program: Program) -> None:
    async with anyio.create_task_group() as tasks:

        async def take_input() -> None:
            while (message := await request.receive())["type"] == "websocket.receive":
                data, text = message.get("bytes"), message.get("text")
                if data:
                    await program.send(data)
                elif text is not None and (size := _size(text)) is not None:
                    await program.resize(*size)
            tasks.cancel_scope.cancel()

        async def end_on_close() -> None:
            await request.closing.wait()
            tasks.cancel_scope.cancel()

        tasks.start_soon(take_input)
        tasks.start_soon(end_on_close)
        async for chunk in program:
            await _send(request, {"bytes": chunk.data})
        ended = await program.wait()
        await _say(request, {"exit": ended.code if ended.code is not None else 128 + (ended.signal or 0)})
        tasks.cancel_scope.cancel()


async def _follow(request: Request, events: AsyncIterator[Event]) -> None:
    async with anyio.create_task_group() as tasks:

        async def end_with_client() -> None:
            while (await request.receive())["type"] == "websocket.receive":
                pass
            tasks.cancel_scope.cancel()

        async def end_on_close() -> None:
            await request.closing.wait()
            tasks.cancel_scope.cancel()

        tasks.start_soon(end_with_client)
        tasks.start_soon(end_on_close)
        async with aclosing(events):  # type: ignore[type-var]
            async for event in events:
                if isinstance(event, Output):
                    await _send(request, {"text": event.text})
        tasks.cancel_scope.cancel()


async def _send(request: Request, fields: dict[str, object]) -> None:
    with contextlib.suppress(OSError):  # the client has gone, which its reader is told as well
        await request.send({"type": "websocket.send", **fields})


async def _say(request: Request, value: JsonObject) -> None:
    await _send(request, {"text": orjson.dumps(value).decode()})


async def _close(request: Request) -> None:
    with anyio.move_on_after(1.0, shield=True), contextlib.suppress(OSError, RuntimeError):
        await request.send({"type": "websocket.close", "code": 1000})


def _error(error: PloinkyError) -> JsonObject:
    return {"error": {"code": error.code, "message": error.message, "hint": error.hint}}


def _number(query: dict[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= _LARGEST:
        raise UsageError("BAD_QUERY", f"{name} is a number from 1 to {_LARGEST}.", details={"field": name})
    return int(text)


def _size(text: str) -> tuple[int, int] | None:
    """Rows and columns that a message asks for, or None if it is none."""
    try:
        value: JsonValue = json.loads(text)
    except ValueError:
        return None
    asked = value.get("resize") if isinstance(value, dict) else None
    if not isinstance(asked, list) or len(asked) != 2:
        return None
    rows, cols = asked
    if not isinstance(rows, int) or not isinstance(cols, int):
        return None
    return (rows, cols) if 1 <= rows <= _LARGEST and 1 <= cols <= _LARGEST else None
