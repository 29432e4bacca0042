"""An agent that takes connections and requests and never answers, beside nine that do."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import socket
import statistics
import time
from collections.abc import AsyncIterator, Iterator

import anyio

from ploinky.base.jsontypes import JsonObject
from ploinky.router.breaker import FAILURES, REST_S, Breaker
from ploinky.router.router import RouterSettings
from ploinky.router.servers.source import PortSource
from tests.router.stand import Stand, open_stand
from tests.router.wire import Answer, call, open_session, send

GOOD = tuple(f"good{number}" for number in range(9))
MUTE = "mute"
HELLO = "read -r line; echo hello"
KEPT = "while read -r line; do echo hello; done"
SETTINGS = RouterSettings(agent_deadline_s=0.3, timeouts=((MUTE, 1.0),))
ROUNDS = 3
CALLS = 7


@contextlib.asynccontextmanager
async def ten_agents(good: tuple[str, ...] = GOOD) -> AsyncIterator[Stand]:
    """Good agents with a program per call and a kept one each, and the last one, which may fall silent."""
    async with open_stand(*good, MUTE, settings=SETTINGS) as stand:
        for key, agent in stand.agents.items():
            kept = agent.tool(f"kept_{key}", KEPT, mode="persistent")
            agent.configure(agent.tool(f"hello_{key}", HELLO), kept)
        await stand.look()
        yield stand


@contextlib.contextmanager
def silenced(stand: Stand) -> Iterator[None]:
    """The launcher of the tenth agent stands still: its socket still takes what is sent."""
    process = stand.agents[MUTE].process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process.pid, signal.SIGCONT)


async def p99_of_the_good(stand: Stand, session: dict[str, str]) -> float:
    """In ms, over calls of all nine at once, of both kinds of tools, in lists between them."""
    took: list[float] = []

    async def client(key: str) -> None:
        for number in range(CALLS):
            for kind in ("hello", "kept"):
                began = time.perf_counter()
                body = call(f"{kind}_{key}", request_id=hash((key, kind, number)))
                answer = await send(stand, body, session)
                took.append((time.perf_counter() - began) * 1000)
                assert answer.text == "hello"

    async with anyio.create_task_group() as tasks:
        for key in GOOD:
            tasks.start_soon(client, key)
    return statistics.quantiles(took, n=100)[98]


async def test_calls_to_nine_agents_keep_their_p99_beside_a_silent_one() -> None:
    """Ratios only: runs with and without the silent agent take turns, so that a busy machine slows both."""
    async with ten_agents() as stand:
        session = await open_session(stand)
        alone: list[float] = []
        beside: list[float] = []
        for _ in range(ROUNDS):
            alone.append(await p99_of_the_good(stand, session))
            with silenced(stand):
                async with anyio.create_task_group() as tasks:
                    for number in range(8):
                        tasks.start_soon(send, stand, call(f"hello_{MUTE}", request_id=-1 - number), session)
                    await stand.look()
                    beside.append(await p99_of_the_good(stand, session))
                    tasks.cancel_scope.cancel()
            session = await open_session(stand)
        ratio = min(beside) / min(alone)
        print(f"p99 alone {alone}, beside {beside}, ratio {ratio:.2f}")
        assert ratio < 3


async def test_a_silent_agent_is_a_deadline_then_left_alone_then_gated_by_its_health() -> None:
    async with ten_agents(("good1", "good2")) as stand:
        session = await open_session(stand)

        async def ask(number: int) -> Answer:
            return await send(stand, call(f"hello_{MUTE}", request_id=number), session)

        with silenced(stand):
            answers: list[Answer] = []

            async def note(number: int) -> None:
                answers.append(await ask(number))

            async with anyio.create_task_group() as tasks:
                for number in range(FAILURES):
                    tasks.start_soon(note, number)
            resting = await ask(100)
            assert _data(resting)["code"] == "AGENT_RESTING"
            assert math.ceil(REST_S) >= int(str(_data(resting)["retryAfterS"])) >= 1
            for answer in answers:
                assert answer.code == -32011
                assert answer.message == f"Agent '{MUTE}' did not answer in time."
                assert _data(answer)["code"] == "DEADLINE"
            stand.show(**{MUTE: "its liveness probe fails"})
            gated = await ask(101)
            assert _data(gated)["code"] == "AGENT_NOT_READY"
            assert "its liveness probe fails" in gated.message
            listed = (await send(stand, {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, session)).result
            assert isinstance(listed["tools"], list)
            assert len(listed["tools"]) == 4
            assert MUTE in str(listed["_meta"])
            assert (await send(stand, call("hello_good2"), session)).text == "hello"


def _data(answer: Answer) -> JsonObject:
    assert isinstance(answer.body, dict)
    error = answer.body["error"]
    assert isinstance(error, dict)
    data = error["data"]
    assert isinstance(data, dict)
    return data


async def test_an_mcp_server_that_only_accepts_connections_is_left_out_and_delays_nobody() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        async with open_stand("good", MUTE, settings=SETTINGS) as stand:
            good = stand.agents["good"]
            good.configure(good.tool("hello", HELLO))
            stand.agents[MUTE].server = PortSource(listening.getsockname()[1])
            await stand.look()
            session = await open_session(stand)
            assert (await send(stand, call("hello"), session)).text == "hello"
            direct = await open_session(stand, path=f"/mcps/{MUTE}/mcp")
            list_tools: JsonObject = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
            with anyio.fail_after(20):
                answer = await send(stand, list_tools, direct, path=f"/mcps/{MUTE}/mcp")
            assert "did not answer in time" in answer.message


def test_after_its_rest_one_call_tries_and_its_outcome_decides() -> None:
    now = 0.0
    breaker = Breaker(lambda: now)
    for _ in range(FAILURES):
        assert breaker.wait_s() is None
        breaker.failed()
    assert breaker.wait_s() == math.ceil(REST_S)
    now += REST_S
    assert breaker.wait_s() is None, "one may try"
    assert breaker.wait_s() == 1, "others wait for it"
    breaker.failed()
    assert breaker.wait_s() == math.ceil(REST_S)
    now += REST_S
    assert breaker.wait_s() is None
    breaker.succeeded()
    assert [breaker.wait_s() for _ in range(3)] == [None] * 3
