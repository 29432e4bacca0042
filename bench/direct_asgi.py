"""An MCP server as one writes it on uvicorn, a plain ASGI application: ``python -m bench.direct_asgi PORT``.

Its tool is that of ``bench.direct_server``: a line to one of eight kept ``/bin/cat`` and its answer. It
serves only ``tools/call`` of the stateless era and what a proxy asks before it, and checks nothing.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import orjson
import uvicorn

from bench.direct_server import Cats, about, called
from bench.workspace import WORKERS


class App:
    def __init__(self) -> None:
        self._cats: Cats | None = None

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            piece = await receive()
            body += piece.get("body", b"")
            if not piece.get("more_body", False):
                break
        message = orjson.loads(body) if body else {}
        if message.get("id") is None:
            await _send(send, 202, b"")
            return
        answer = {"jsonrpc": "2.0", "id": message["id"], "result": await self._result(message)}
        await _send(send, 200, orjson.dumps(answer))

    async def _result(self, message: dict[str, Any]) -> dict[str, object]:
        if message["method"] != "tools/call":
            return about(message["method"])
        if self._cats is None:
            self._cats = Cats(WORKERS)
        params = message["params"]
        answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        line = orjson.dumps({"tool": params["name"], "input": params.get("arguments")})
        self._cats.ask(line, answered.set_result)
        return called(await answered)


async def _send(send: Any, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    uvicorn.run(
        App(), host="127.0.0.1", port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=False,
        log_level="error", lifespan="off", interface="asgi3",
    )  # fmt: skip
