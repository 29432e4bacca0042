"""Sessions that were opened and left: what each costs, when it ends, and who is turned away."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path

import anyio
import anyio.abc

from ploinky.base.jsontypes import JsonObject
from ploinky.base.waits import wait_until
from ploinky.router.router import RouterSettings
from tests.router.stand import OWNER_TOKEN, Stand, open_stand
from tests.router.wire import SESSION_VERSION, call, open_session, opened, send

MANY = 10_000
CONNECTIONS = 8
ROW = 25
MOST_BYTES_EACH = 8 * 1024
PING: JsonObject = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


def resident() -> int:
    """Bytes of memory of this process, in which the gateway runs."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


def initialize() -> bytes:
    params: JsonObject = {
        "protocolVersion": SESSION_VERSION,
        "capabilities": {"elicitation": {}, "sampling": {}, "roots": {"listChanged": True}},
        "clientInfo": {"name": "a-client-of-usual-size", "version": "1.2.3"},
    }
    body = json.dumps({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}).encode()
    head = (
        f"POST /mcp HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {OWNER_TOKEN}\r\n"
        "content-type: application/json\r\naccept: application/json, text/event-stream\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def open_many(port: int, count: int) -> None:
    """Open sessions in rows over one connection, and forget them."""
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        for _ in range(count // ROW):
            await stream.send(initialize() * ROW)
            heard = b""
            while heard.count(b"mcp-session-id: ") < ROW or not heard.endswith(b"}"):
                heard += await stream.receive()


async def test_ten_thousand_idle_sessions_cost_little_and_the_next_caller_is_served() -> None:
    async with open_stand("alpha", settings=RouterSettings(max_sessions=MANY)) as stand:
        alpha = stand.agents["alpha"]
        alpha.configure(alpha.tool("hello", "read -r line; echo hello"))
        await stand.look()
        first = await open_session(stand)
        assert (await send(stand, call("hello"), first)).text == "hello"
        before, began = resident(), time.perf_counter()
        async with anyio.create_task_group() as tasks:
            for _ in range(CONNECTIONS):
                tasks.start_soon(open_many, stand.port, MANY // CONNECTIONS)
        each = (resident() - before) / MANY
        print(f"{each / 1024:.2f} KiB each, {MANY} in {time.perf_counter() - began:.1f} s")
        assert each < MOST_BYTES_EACH
        assert stand.router is not None
        assert stand.router.sessions() == MANY
        assert (await send(stand, PING, first)).status == 404, "the longest idle went first"
        newest = await open_session(stand)
        assert (await send(stand, call("hello"), newest)).text == "hello"
        alpha.configure(alpha.tool("hello", "read -r line; echo hello"), alpha.tool("more", "echo more"))
        await stand.look()
        assert (await send(stand, call("more"), newest)).text == "more", "ten thousand were told in between"
        assert stand.router.sessions() == MANY


async def test_idle_sessions_expire_together_and_one_in_use_stays() -> None:
    async with open_stand("alpha", settings=RouterSettings(session_idle_s=1.0)) as stand:
        session = await open_session(stand)
        await open_many(stand.port, 200)
        router = stand.router
        assert router is not None
        assert router.sessions() > 200

        async def only_a_few() -> bool:
            assert (await send(stand, PING, session)).status == 200
            await _open(stand)
            return router.sessions() < 100

        await wait_until(only_a_few, what="the idle sessions to expire", timeout_s=20)
        assert (await send(stand, PING, session)).status == 200


async def test_when_every_session_is_in_use_the_next_client_is_told_when_to_come_again() -> None:
    async with open_stand("alpha", settings=RouterSettings(max_sessions=2)) as stand:
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(2):
                get = {**await open_session(stand), "accept": "text/event-stream"}
                assert (await stack.enter_async_context(opened(stand, "GET", get))).status == 200
            status, headers, message = await _open(stand)
            assert (status, headers["retry-after"], message) == (503, "5", "Too many sessions are open.")

        async def free() -> bool:
            return (await _open(stand))[0] == 200

        await wait_until(free, what="room for a session", timeout_s=10)


async def _open(stand: Stand) -> tuple[int, dict[str, str], str]:
    params: JsonObject = {"protocolVersion": SESSION_VERSION, "capabilities": {}, "clientInfo": {}}
    first: JsonObject = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}
    answer = await send(stand, first)
    return answer.status, dict(answer.headers), answer.message
