"""An MCP server written by hand, with nothing before it: ``python -m bench.direct_server kept|inside PORT``.

``kept`` does what the router's agent does: eight ``/bin/cat`` that stay, one line in and one line out on
their pipes, a call waits for one that is free. ``inside`` answers in the protocol's callback without any
program, which is the most that Python can do. Both check nothing, and serve only ``tools/call`` of the
stateless era and what a proxy asks before it.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from typing import cast

import httptools
import orjson
import uvloop

from bench.workspace import WORKERS

SERVER = {"name": "direct", "version": "1"}
TOOL = {"name": "cat", "description": "Gives back the line it gets.", "inputSchema": {"type": "object"}}
META = {"io.modelcontextprotocol/serverInfo": SERVER}
ABOUT = {"resultType": "complete", "ttlMs": 60000, "cacheScope": "private", "_meta": META}
Told = Callable[[str], None]
Tool = Callable[[bytes, Told], None]
"""Takes a line and tells its answer, at once or later."""


def inside(line: bytes, told: Told) -> None:
    told(line.decode())


class Cat:
    """One kept process."""

    def __init__(self, cats: Cats) -> None:
        self._cats = cats
        self._process = subprocess.Popen(
            ["/bin/cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin.fileno(), self._process.stdout.fileno()
        self._read = b""
        self._told: Told | None = None
        asyncio.get_running_loop().add_reader(self._stdout, self._take)

    def ask(self, line: bytes, told: Told) -> None:
        self._told = told
        os.write(self._stdin, line + b"\n")

    def end(self) -> None:
        self._process.terminate()
        self._process.wait(5)

    def _take(self) -> None:
        self._read += os.read(self._stdout, 65536)
        if self._read.endswith(b"\n") and self._told is not None:
            line, self._read = self._read[:-1], b""
            told, self._told = self._told, None
            self._cats.free(self)
            told(line.decode())


class Cats:
    """All of them, and the calls that wait for one."""

    def __init__(self, number: int) -> None:
        self._all = [Cat(self) for _ in range(number)]
        self._free = list(self._all)
        self._waiting: deque[tuple[bytes, Told]] = deque()

    def ask(self, line: bytes, told: Told) -> None:
        if self._free:
            self._free.pop().ask(line, told)
        else:
            self._waiting.append((line, told))

    def free(self, cat: Cat) -> None:
        if self._waiting:
            cat.ask(*self._waiting.popleft())
        else:
            self._free.append(cat)

    def end(self) -> None:
        for cat in self._all:
            cat.end()


class Protocol(asyncio.Protocol):
    """One connection, whose requests come one after another."""

    def __init__(self, tool: Tool) -> None:
        self._tool = tool

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self._parser = httptools.HttpRequestParser(self)
        self._body = b""

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._body = b""

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        message = orjson.loads(self._body) if self._body else {}
        if message.get("id") is None:
            self._transport.write(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")
        elif message["method"] == "tools/call":
            params = message["params"]
            line = orjson.dumps({"tool": params["name"], "input": params.get("arguments")})
            self._tool(line, lambda text: self._answer(message["id"], called(text)))
        else:
            self._answer(message["id"], about(message["method"]))

    def _answer(self, request_id: object, result: dict[str, object]) -> None:
        answer = orjson.dumps({"jsonrpc": "2.0", "id": request_id, "result": result})
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        self._transport.write(head % len(answer) + answer)


def called(text: str) -> dict[str, object]:
    content = [{"type": "text", "text": text}]
    return {"resultType": "complete", "content": content, "isError": False, "_meta": META}


def about(method: str) -> dict[str, object]:
    if method == "initialize":
        return {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": SERVER}
    if method == "tools/list":
        return {**ABOUT, "tools": [TOOL]}
    return {**ABOUT, "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}


async def serve(kind: str, port: int) -> None:
    cats = Cats(WORKERS if kind == "kept" else 0)
    tool = cats.ask if kind == "kept" else inside
    loop = asyncio.get_running_loop()
    try:
        server = await loop.create_server(lambda: Protocol(tool), "127.0.0.1", port)
        async with server:
            await server.serve_forever()
    finally:
        cats.end()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], int(sys.argv[2])))
