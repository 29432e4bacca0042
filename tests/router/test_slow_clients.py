"""Clients that do not read, or send slowly: they cost bounded memory, and nobody else anything."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import anyio
import anyio.abc
import pytest

from ploinky.base.jsontypes import JsonObject
from ploinky.base.waits import wait_until
from ploinky.router.router import RouterSettings
from ploinky.router.servers.source import StdioSource
from tests.router.servers import PEERS, look_until_offered
from tests.router.stand import Stand, open_stand
from tests.router.wire import call, open_session, opened, send

RESTLESS = PEERS / "restless_server.py"
MEGABYTE = 1024 * 1024
SETTINGS = RouterSettings(body_timeout_s=1.0)


@pytest.fixture(scope="module")
async def stand() -> AsyncIterator[Stand]:
    """An agent that floods, and one that works."""
    async with open_stand("restless", "good", settings=SETTINGS) as stand:
        good, restless = stand.agents["good"], stand.agents["restless"]
        big = good.tool("big", "read -r line; head -c 300000 /dev/zero | tr '\\0' x")
        good.configure(good.tool("hello", "read -r line; echo hello"), big)
        restless.server = StdioSource((sys.executable, str(RESTLESS), str(restless.folder)))
        await look_until_offered(stand, "restless", "good")
        yield stand


def resident() -> int:
    """Bytes of memory of this process, in which the gateway runs."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


async def others_are_served(stand: Stand) -> None:
    with anyio.fail_after(20):
        for _ in range(5):
            assert (await stand.client().call_tool("hello", {})).text == "hello"


def request(
    headers: Mapping[str, str], body: bytes, *, method: str = "POST", length: int | None = None
) -> bytes:
    own = {"host": "localhost", "content-type": "application/json", **headers}
    own["content-length"] = str(len(body) if length is None else length)
    lines = [f"{name}: {value}" for name, value in own.items()]
    return "\r\n".join([f"{method} /mcp HTTP/1.1", *lines, "", ""]).encode() + body


@contextlib.asynccontextmanager
async def unread(stand: Stand, data: bytes) -> AsyncIterator[anyio.abc.SocketStream]:
    """A connection on which something was asked and of whose answer only the first bytes are taken."""
    async with await anyio.connect_tcp("127.0.0.1", stand.port) as stream:
        await stream.send(data)
        with anyio.fail_after(20):
            assert (await stream.receive(12)).endswith(b"200")
        yield stream


async def test_a_listener_that_never_reads_while_its_agent_floods_costs_little(stand: Stand) -> None:
    session = await open_session(stand)
    get = request({**session, "accept": "text/event-stream"}, b"", method="GET")
    arguments: JsonObject = {"count": 600, "size": 100_000}
    async with unread(stand, get):
        before = resident()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(others_are_served, stand)
            answer = await send(stand, call("scatter", arguments), {**session, "accept": "application/json"})
        assert answer.text == "scattered"
        grown = resident() - before
        print(f"{grown / MEGABYTE:.1f} MB for 60 MB of news that nobody reads")
        assert grown < 25 * MEGABYTE
    await others_are_served(stand)


async def test_a_caller_that_never_reads_its_stream_while_its_agent_floods_costs_little(stand: Stand) -> None:
    session = await open_session(stand)
    arguments: JsonObject = {"count": 600, "size": 100_000}
    body = json.dumps(call("flood", arguments, request_id=5)).encode()
    before = resident()
    async with unread(stand, request({**session, "accept": "application/json, text/event-stream"}, body)):
        await others_are_served(stand)

        async def flooded() -> bool:
            kept = await send(stand, call("recall"), {**session, "accept": "application/json"})
            return kept.text == '["flooded"]'

        await wait_until(flooded, what="the end of the flood", timeout_s=20)
        grown = resident() - before
        print(f"{grown / MEGABYTE:.1f} MB for 60 MB of messages that nobody reads")
        assert grown < 25 * MEGABYTE


async def test_news_of_a_session_that_listens_to_nothing_are_not_kept_without_bound(stand: Stand) -> None:
    before = resident()
    for _ in range(3):
        session = await open_session(stand)
        arguments: JsonObject = {"count": 60, "size": 500_000}
        answer = await send(stand, call("scatter", arguments), {**session, "accept": "application/json"})
        assert answer.text == "scattered"
    assert resident() - before < 40 * MEGABYTE, "of 90"


async def test_an_answer_read_byte_by_byte_is_the_whole_answer_and_delays_nobody(stand: Stand) -> None:
    session = await open_session(stand)
    body = json.dumps(call("big")).encode()
    async with unread(stand, request({**session, "connection": "close"}, body)) as stream:
        heard = b""
        for _ in range(2000):
            heard += await stream.receive(1)
        await others_are_served(stand)
        with contextlib.suppress(anyio.EndOfStream):
            while True:
                heard += await stream.receive()
        assert json.loads(heard.partition(b"\r\n\r\n")[2])["result"]["content"][0]["text"] == "x" * 300_000


async def test_many_bodies_and_heads_that_come_slowly_are_given_up_and_cost_little(stand: Stand) -> None:
    session = await open_session(stand)
    before = resident()
    async with contextlib.AsyncExitStack() as stack:
        streams = []
        for number in range(150):
            stream = await stack.enter_async_context(await anyio.connect_tcp("127.0.0.1", stand.port))
            whole = request(session, b"{", length=10_000)
            await stream.send(whole if number % 3 else whole[:-40])
            streams.append(stream)
        await others_are_served(stand)
        assert resident() - before < 15 * MEGABYTE
        with anyio.fail_after(20):
            for number, stream in enumerate(streams):
                if number % 3:
                    assert b" 408 " in await stream.receive()


async def test_a_client_may_not_say_more_of_itself_than_is_worth_keeping(stand: Stand) -> None:
    params: JsonObject = {
        "protocolVersion": "2025-11-25",
        "capabilities": {"experimental": {"x": {"y": "z" * 100_000}}},
        "clientInfo": {"name": "big", "version": "1"},
    }
    first: JsonObject = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}
    answer = await send(stand, first)
    assert (answer.status, answer.code) == (400, -32602)
    assert "65536 bytes" in answer.message


async def test_what_a_dropped_connection_misses_comes_after_the_last_event_it_had(stand: Stand) -> None:
    """The stream of a call: cut in the middle of progress, and taken up by ``Last-Event-ID``."""
    session = await open_session(stand)
    body = json.dumps(call("steps", request_id=9, progressToken="t")).encode()
    seen: list[int] = []
    async with opened(stand, "POST", session, body) as response:
        async for each in response.events():
            seen.append(json.loads(each.data)["params"]["progress"])
            last = each.id
            if len(seen) == 5:
                break
    resumed = {**session, "accept": "text/event-stream", "last-event-id": last}
    async with opened(stand, "GET", resumed) as response:
        async for each in response.events():
            seen.append(json.loads(each.data)["params"]["progress"])
            if len(seen) == 12:
                break
    assert seen == list(range(1, 13))
    cancel: JsonObject = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 9}}
    assert (await send(stand, cancel, session)).status == 202
