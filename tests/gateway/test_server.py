"""The server under an application that never reads bodies: what a client may still do to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.abc
import anyio.lowlevel
import pytest

from ploinky.gateway.server import Listen, serve
from ploinky.router.http import (
    Receive,
    Scope,
    Send,
    send_chunk,
    send_text,
    start_event_stream,
    wait_for_disconnect,
)

HEAD = b"POST / HTTP/1.1\r\nhost: localhost\r\n"
GONE = (anyio.BrokenResourceError, anyio.EndOfStream)


class Refusing:
    """Answers every request by its head alone, as the gateway does without a right token."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_text(send, 401, "no")

    def close_streams(self) -> None:
        pass


class Pouring(Refusing):
    """Answers with more than anybody wants, until nobody takes it any more."""

    def __init__(self) -> None:
        self.sent = 0
        self.ended = anyio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._pour, send)
            await wait_for_disconnect(receive)
            tasks.cancel_scope.cancel()
        self.ended.set()

    async def _pour(self, send: Send) -> None:
        await start_event_stream(send)
        while True:
            await send_chunk(send, b"x" * 10_000)
            self.sent += 10_000
            await anyio.lowlevel.checkpoint()


@asynccontextmanager
async def connected(
    patience_s: float = 60, stall_s: float = 60, app: Refusing | None = None
) -> AsyncIterator[anyio.abc.SocketStream]:
    stop = anyio.Event()
    async with anyio.create_task_group() as tasks:

        async def run(*, task_status: anyio.abc.TaskStatus[int]) -> None:
            listen = Listen(port=0, patience_s=patience_s, stall_s=stall_s)
            await serve(app or Refusing(), listen, stop=stop, grace_s=0.1, task_status=task_status)

        port: int = await tasks.start(run)
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            yield stream
        stop.set()


async def answer(stream: anyio.abc.SocketStream) -> bytes:
    with anyio.fail_after(5):
        return await stream.receive()


async def drip(stream: anyio.abc.SocketStream, data: bytes, *, pause_s: float) -> None:
    """Send on and on, at the pace of a hostile client."""
    while True:
        await stream.send(data)
        await anyio.sleep(pause_s)


async def test_an_answer_comes_with_its_head_in_one_piece() -> None:
    async with connected(patience_s=60) as stream:
        for _ in range(3):
            await stream.send(HEAD + b"content-length: 0\r\n\r\n")
            whole = await answer(stream)
            assert whole.startswith(b"HTTP/1.1 401 ")
            assert whole.endswith(b"\r\n\r\nno")


async def test_fields_after_a_body_without_end_are_cut_off() -> None:
    async with connected(patience_s=60) as stream:
        await stream.send(HEAD + b"transfer-encoding: chunked\r\n\r\n0\r\n")
        assert b" 401 " in await answer(stream)
        with anyio.fail_after(10), pytest.raises(GONE):
            await drip(stream, b"x-more: " + b"y" * 4000 + b"\r\n", pause_s=0)


async def test_a_body_that_drips_on_after_its_answer_is_cut_off() -> None:
    async with connected(patience_s=0.3) as stream:
        await stream.send(HEAD + b"content-length: 100000\r\n\r\n")
        assert b" 401 " in await answer(stream)
        with anyio.fail_after(10), pytest.raises(GONE):
            await drip(stream, b"x", pause_s=0.02)


async def test_a_body_that_comes_after_its_answer_costs_the_connection_nothing() -> None:
    async with connected(patience_s=0.5) as stream:
        for _ in range(3):
            await stream.send(HEAD + b"content-length: 5\r\n\r\n12")
            assert b" 401 " in await answer(stream)
            await stream.send(b"345")
        await anyio.sleep(0.7)
        await stream.send(HEAD + b"content-length: 0\r\n\r\n")
        assert b" 401 " in await answer(stream)


async def test_who_takes_nothing_of_an_answer_is_cut_off() -> None:
    app = Pouring()
    async with connected(stall_s=0.3, app=app) as stream:
        await stream.send(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        with anyio.fail_after(20):
            await app.ended.wait()
        assert app.sent < 20_000_000


async def test_who_takes_an_answer_slowly_is_left_alone() -> None:
    app = Pouring()
    async with connected(stall_s=0.3, app=app) as stream:
        await stream.send(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        taken = 0
        with anyio.fail_after(30):
            while taken < 12_000_000:
                taken += len(await stream.receive(200_000))
                await anyio.sleep(0.005)
        assert not app.ended.is_set()
