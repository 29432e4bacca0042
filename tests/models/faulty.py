"""A server that fails as real ones do now and then: it turns away, is slow, breaks off, or talks garbage.

Each connection gets the next reply of a list, the last one again and again. A reply is a function that writes
what it likes and may wait for the client to go away.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

SSE = "text/event-stream"


class Exchange:
    """One request and the way to answer it."""

    def __init__(
        self, head: bytes, body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.head = head.decode("latin-1")
        self.body: dict[str, Any] = json.loads(body) if body else {}
        self.gone = asyncio.Event()
        self.keeps = False  # whether the connection is kept for another request
        self._reader = reader
        self._writer = writer

    async def start(self, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """The head of an answer whose body comes in chunks."""
        lines = [f"HTTP/1.1 {status} Words", "Transfer-Encoding: chunked"]
        lines += [] if self.keeps else ["Connection: close"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        await self.raw("\r\n".join([*lines, "", ""]).encode())

    async def chunk(self, data: bytes) -> None:
        if data:  # an empty chunk would be the end
            await self.raw(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    async def events(self, *events: object) -> None:
        for event in events:
            await self.chunk(f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n".encode())

    async def end(self) -> None:
        await self.raw(b"0\r\n\r\n")

    async def raw(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def cut(self) -> None:
        """Break the connection off with a reset."""
        self._writer.transport.abort()

    async def wait_until_gone(self) -> None:
        """Return when the client has gone away."""
        with suppress(ConnectionError):
            while await self._reader.read(4096):
                pass
        self.gone.set()


Reply = Callable[[Exchange], Awaitable[None]]


@dataclass
class FaultyServer:
    """A running server; ``exchanges`` are the requests so far, ``arrived`` is set at each."""

    url: str
    exchanges: list[Exchange] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def openai_url(self) -> str:
        return f"{self.url}/v1"


@asynccontextmanager
async def running_faulty(*replies: Reply) -> AsyncIterator[FaultyServer]:
    """A server that answers request after request with ``replies``."""
    found: list[FaultyServer] = []
    writers: list[asyncio.StreamWriter] = []
    serving: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        writers.append(writer)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            body = await reader.readexactly(int(length[0].split(b":")[1])) if length else b""
            exchange = Exchange(head, body, reader, writer)
            server = found[0]
            server.exchanges.append(exchange)
            server.arrived.set()
            await replies[min(len(server.exchanges), len(replies)) - 1](exchange)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client went away; tests look at what it saw
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    found.append(FaultyServer(f"http://127.0.0.1:{port}"))
    try:
        yield found[0]
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


def refusal(status: int, body: object, headers: Mapping[str, str] | None = None) -> Reply:
    """An answer with a status and a body: text as it is, anything else as JSON."""

    async def reply(exchange: Exchange) -> None:
        data = body if isinstance(body, str) else json.dumps(body)
        await exchange.start(status, headers)
        await exchange.chunk(data.encode())
        await exchange.end()

    return reply


def events(*told: object, end: bool = True) -> Reply:
    """Server-sent events; without ``end`` the connection breaks off after them."""

    async def reply(exchange: Exchange) -> None:
        await exchange.start(200, {"Content-Type": SSE})
        await exchange.events(*told)
        await (exchange.end() if end else exchange.cut())

    return reply


def lines(*told: object) -> Reply:
    """Lines of JSON; text goes out as it is."""

    async def reply(exchange: Exchange) -> None:
        await exchange.start(200)
        for line in told:
            await exchange.chunk((line if isinstance(line, str) else json.dumps(line)).encode() + b"\n")
        await exchange.end()

    return reply


def piece(**delta: object) -> dict[str, object]:
    """A chunk of OpenAI's wire."""
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


def last_piece(reason: str = "stop") -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}
