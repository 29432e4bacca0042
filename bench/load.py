"""A load generator for one HTTP endpoint: ``python -m bench.load HOST PORT CLIENTS SECONDS < REQUEST``.

Reads one whole request from stdin and sends it again and again on each of ``CLIENTS`` kept connections, one
at a time. Prints JSON: how many answers came, latencies in microseconds (an even sample of some thousands),
how many were no success.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import cast

import uvloop

MOST_SHOWN = 5000


class Client(asyncio.Protocol):
    """One connection; a request as soon as the last one was answered."""

    def __init__(self, request: bytes, stop_at: float) -> None:
        self.taken: list[int] = []
        self.failed = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request = request
        self._stop_at = stop_at
        self._buffer = b""
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.failed += 1
            self.done.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not _is_whole(self._buffer):
            return
        now = time.perf_counter()
        self.taken.append(int((now - self._began) * 1e6))
        if not self._buffer.startswith(b"HTTP/1.1 200") or b'"isError":true' in self._buffer:
            self.failed += 1
        self._buffer = b""
        if now < self._stop_at:
            self._send()
        elif not self.done.done():
            self.done.set_result(None)

    def _send(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(self._request)


def _is_whole(answer: bytes) -> bool:
    head, found, body = answer.partition(b"\r\n\r\n")
    if not found:
        return False
    lower = head.lower()
    at = lower.find(b"content-length:")
    if at >= 0:
        return len(body) >= int(lower[at + 15 :].split(b"\r\n", 1)[0])
    return body.endswith(b"0\r\n\r\n")


async def run(host: str, port: int, clients: int, seconds: float, request: bytes) -> dict[str, object]:
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    made = [
        (await loop.create_connection(lambda: Client(request, began + seconds), host, port))[1]
        for _ in range(clients)
    ]
    await asyncio.wait([each.done for each in made], timeout=seconds + 60)
    elapsed = time.perf_counter() - began
    taken = sorted(one for each in made for one in each.taken)
    failed = sum(each.failed for each in made)
    shown = taken[:: max(1, len(taken) // MOST_SHOWN)]
    return {"seconds": elapsed, "count": len(taken), "taken": shown, "failed": failed}


def main() -> None:
    host, port, clients, seconds = sys.argv[1:]
    request = sys.stdin.buffer.read()
    seen = uvloop.run(run(host, int(port), int(clients), float(seconds), request))
    os.set_blocking(1, True)
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
