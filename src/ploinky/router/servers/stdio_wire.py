"""MCP over the pipes of a process in a sandbox: a line per message; each conversation has its own process."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from typing import Protocol

import anyio
import orjson

from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.channel.model import ProgramChunk
from ploinky.mcp.messages import RequestId
from ploinky.router.servers.source import PROTOCOL, lost
from ploinky.router.servers.wire import Take

logger = logging.getLogger(__name__)
MAX_LINE = 64 * 1024 * 1024
_KEPT_ERRORS = 2000


class Process(Protocol):
    """A started program (``channel.program.Program``)."""

    def __aiter__(self) -> AsyncIterator[ProgramChunk]: ...

    async def send(self, data: bytes) -> None: ...

    async def aclose(self) -> None: ...


class _Waiting:
    """A request under way."""

    def __init__(self, take: Take) -> None:
        self.take = take
        self.arrived = anyio.Event()
        self.response: JsonObject | None = None


class StdioWire:
    """See ``Wire``. ``listen`` reads the process's output and must run for anything to arrive."""

    hears_at_once = True

    def __init__(self, process: Process, name: str) -> None:
        self._process = process
        self._name = name
        self._waiting: dict[RequestId, _Waiting] = {}
        self._writing = anyio.Lock()
        self._failure: PloinkyError | None = None
        self._stderr = b""
        self._closed = False

    async def request(self, message: JsonObject, headers: Mapping[str, str], take: Take) -> JsonObject:
        request_id = message["id"]
        assert isinstance(request_id, (str, int))
        waiting = self._waiting[request_id] = _Waiting(take)
        try:
            await self.send(message)
            await waiting.arrived.wait()
        finally:
            self._waiting.pop(request_id, None)
        if waiting.response is None:
            assert self._failure is not None
            raise PloinkyError(self._failure.code, self._failure.message)
        return waiting.response

    async def send(self, message: JsonObject) -> None:
        if self._failure is not None:
            raise PloinkyError(self._failure.code, self._failure.message)
        async with self._writing:
            await self._process.send(orjson.dumps(message) + b"\n")

    async def listen(self, take: Take, listening: anyio.Event) -> None:
        listening.set()
        try:
            await self._read(take)
            self._fail(lost(self._last_words()))
        except PloinkyError as error:
            self._fail(error)
        finally:
            self._fail(lost("the conversation ended"))

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            await self._process.aclose()
            self._fail(lost("the conversation ended"))

    async def _read(self, take: Take) -> None:
        open_line = bytearray()
        async for chunk in self._process:
            if chunk.stream != "stdout":
                self._stderr = (self._stderr + chunk.data)[-_KEPT_ERRORS:]
                continue
            open_line += chunk.data
            if len(open_line) > MAX_LINE:
                raise PloinkyError(PROTOCOL, f"The MCP server wrote a line of more than {MAX_LINE} bytes.")
            if b"\n" in chunk.data:
                *lines, rest = bytes(open_line).split(b"\n")
                open_line = bytearray(rest)
                for line in lines:
                    self._arrived(line, take)

    def _arrived(self, line: bytes, take: Take) -> None:
        message = _parsed(line)
        if not isinstance(message, dict):
            if line.strip():
                logger.info("%s wrote a line that is no message", self._name)
            return
        message_id = message.get("id")
        if "method" in message:
            take(message)
        elif isinstance(message_id, (str, int)) and (waiting := self._waiting.get(message_id)) is not None:
            waiting.response = message
            waiting.arrived.set()

    def _fail(self, failure: PloinkyError) -> None:
        if self._failure is None:
            self._failure = failure
        for waiting in self._waiting.values():
            waiting.arrived.set()

    def _last_words(self) -> str:
        lines = self._stderr.decode("utf-8", "replace").strip().splitlines()
        return lines[-1][:300] if lines else "it said nothing"


def _parsed(line: bytes) -> JsonValue:
    try:
        value: JsonValue = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return value
