"""The fastest MCP server that Python can be: one tool, answered in the protocol callback itself.

``python -m bench.direct_server PORT``. It checks nothing and serves only ``tools/call`` of the stateless era,
and what a proxy asks before it.
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import httptools
import orjson
import uvloop

SERVER = {"name": "direct", "version": "1"}
TOOL = {"name": "cat", "description": "Gives back the line it gets.", "inputSchema": {"type": "object"}}
META = {"io.modelcontextprotocol/serverInfo": SERVER}


class Protocol(asyncio.Protocol):
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
        result = _result(message)
        if result is None:
            self._transport.write(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")
            return
        answer = orjson.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result})
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        self._transport.write(head % len(answer) + answer)


def _result(message: dict[str, object]) -> dict[str, object] | None:
    method = message.get("method")
    if message.get("id") is None:
        return None
    if method == "tools/call":
        params = message["params"]
        assert isinstance(params, dict)
        text = orjson.dumps({"tool": params["name"], "input": params.get("arguments")}).decode()
        content = [{"type": "text", "text": text}]
        return {"resultType": "complete", "content": content, "isError": False, "_meta": META}
    if method == "initialize":
        return {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": SERVER}
    if method == "tools/list":
        return {
            "resultType": "complete",
            "tools": [TOOL],
            "ttlMs": 60000,
            "cacheScope": "private",
            "_meta": META,
        }
    return {
        "resultType": "complete",
        "supportedVersions": ["2026-07-28"],
        "capabilities": {"tools": {}},
        "ttlMs": 60000,
        "cacheScope": "private",
        "_meta": META,
    }


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Protocol, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
