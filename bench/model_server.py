"""A server that streams like a hosted model: a first word at once, then one every ``PAUSE_S``. Run as a
program."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys

WORDS = 40
PAUSE_S = 0.025


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):  # a client may leave early
        await _stream(reader, writer)


async def _stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        (
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length")
        ),
        0,
    )
    await reader.readexactly(length)
    if b"POST" not in head:
        body = b'{"data": []}'
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
    else:
        kind = b"content-type: text/event-stream\r\nconnection: close\r\n\r\n"
        writer.write(b"HTTP/1.1 200 OK\r\n" + kind)
        for number in range(WORDS):
            writer.write(_event({"content": f"word{number} "}))
            await writer.drain()
            await asyncio.sleep(PAUSE_S)
        writer.write(_event({}, "stop") + b"data: [DONE]\n\n")
    await writer.drain()
    writer.close()


def _event(delta: dict[str, str], reason: str | None = None) -> bytes:
    chunk = {
        "id": "c1",
        "object": "chat.completion.chunk",
        "model": "bench",
        "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
    }
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


async def _main() -> None:
    server = await asyncio.start_server(_answer, "127.0.0.1", 0, backlog=512)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main())
