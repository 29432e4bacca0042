"""The stdio bridge, line by line: what an official client cannot show."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.base.waits import wait_until
from ploinky.router.stdio_bridge import StdioBridge
from tests.router.stand import Stand, gone, holds, open_stand
from tests.router.wire import call, stateless

INITIALIZE: JsonObject = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}},
}
INITIALIZED: JsonObject = {"jsonrpc": "2.0", "method": "notifications/initialized"}


class Line:
    """A client's end: messages in, messages out."""

    def __init__(self, stand: Stand, token: str | None = None) -> None:
        self._lines, self._taken = anyio.create_memory_object_stream[bytes](100)
        self._written, self._answers = anyio.create_memory_object_stream[bytes](100)
        address = stand.address() if token is None else stand.address(token)
        self.bridge = StdioBridge(address, self._written.send)

    async def run(self) -> None:
        async with self._lines, self._taken, self._written, self._answers:
            await self.bridge.run(_lines(self._taken))

    async def say(self, message: JsonValue | bytes) -> None:
        await self._lines.send(message if isinstance(message, bytes) else json.dumps(message).encode())

    async def hear(self) -> JsonObject:
        with anyio.fail_after(15):
            line = await self._answers.receive()
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
        message = json.loads(line)
        assert isinstance(message, dict)
        return message

    async def hear_answer(self, request_id: int) -> JsonObject:
        """The answer to one request; notifications on the way are passed over."""
        while True:
            message = await self.hear()
            if message.get("id") == request_id:
                return message

    def hang_up(self) -> None:
        self._lines.close()


async def _lines(stream: MemoryObjectReceiveStream[bytes]) -> AsyncIterator[bytes]:
    async for line in stream:
        yield line


@contextlib.asynccontextmanager
async def bridged(stand: Stand, token: str | None = None) -> AsyncIterator[Line]:
    line = Line(stand, token)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(line.run)
        yield line
        line.hang_up()


async def test_a_cancelled_request_of_the_stateless_era_ends_its_program() -> None:
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        pid_file = alpha.folder / "pid"
        alpha.configure(alpha.tool("stay", f"echo $$ > {pid_file}; exec sleep 60"))
        await stand.look()
        async with bridged(stand) as line:
            body, _ = stateless("tools/call", {"name": "stay"})
            await line.say(body)
            await wait_until(holds(pid_file), what="the program", timeout_s=10)
            await line.say(
                {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
            )
            await wait_until(gone(pid_file), what="the program's end", timeout_s=10)


async def test_a_cancelled_request_of_the_session_era_is_answered_as_such() -> None:
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        pid_file = alpha.folder / "pid"
        alpha.configure(alpha.tool("stay", f"echo $$ > {pid_file}; exec sleep 60"))
        await stand.look()
        async with bridged(stand) as line:
            for message in (INITIALIZE, INITIALIZED, call("stay", request_id=7)):
                await line.say(message)
            await wait_until(holds(pid_file), what="the program", timeout_s=10)
            await line.say(
                {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}
            )
            assert "cancelled" in str((await line.hear_answer(7))["error"])
            await wait_until(gone(pid_file), what="the program's end", timeout_s=10)


async def test_a_request_waits_for_a_gateway_that_is_just_starting_anew() -> None:
    async with open_stand("alpha") as stand, bridged(stand) as line:
        await line.say(INITIALIZE)
        await line.hear_answer(0)
        await line.say(INITIALIZED)
        stand.stop.set()
        await stand.stopped.wait()
        await line.say({"jsonrpc": "2.0", "id": 5, "method": "ping"})
        await stand.restart()
        assert (await line.hear_answer(5))["result"] == {}


async def test_refusals_of_http_are_errors_of_the_request() -> None:
    async with open_stand("alpha") as stand, bridged(stand, "wrong") as line:
        await line.say(INITIALIZE)
        answer = await line.hear_answer(0)
        assert "bearer token" in str(answer["error"])


async def test_what_is_no_message_is_refused_and_the_next_one_works() -> None:
    async with open_stand("alpha") as stand, bridged(stand) as line:
        await line.say(b"not json")
        assert (await line.hear())["id"] is None
        await line.say(b"")
        await line.say(INITIALIZE)
        assert "result" in await line.hear_answer(0)


async def test_answers_under_way_still_come_when_input_ends() -> None:
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        alpha.configure(alpha.tool("slow", "cat > /dev/null; sleep 0.2; echo late"))
        await stand.look()
        async with bridged(stand) as line:
            body, _ = stateless("tools/call", {"name": "slow"})
            await line.say(body)
            line.hang_up()
            assert "late" in str((await line.hear_answer(1))["result"])
