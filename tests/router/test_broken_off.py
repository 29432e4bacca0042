"""Agents that die while they stream, and sessions side by side at agents that keep state."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from subprocess import DEVNULL

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError
from mcp_types import ResourceUpdatedNotification

from ploinky.base.jsontypes import JsonObject
from ploinky.base.process_id import ProcessId
from ploinky.base.waits import wait_until
from ploinky.router.servers.source import PortSource, StdioSource
from tests.router.official import http_client, text_of
from tests.router.servers import PEERS, free_port, look_until_offered, wait_for_port
from tests.router.stand import Agent, Stand, open_stand
from tests.router.test_bridging import full_client
from tests.router.wire import Answer, call, open_session, opened, send

RESTLESS = PEERS / "restless_server.py"
STREAMING = PEERS / "streaming_server.py"
STEPS = """read -r line
n=0
while true; do n=$((n+1)); echo "{\\"progress\\": $n}" >&2; sleep 0.02; done"""


async def broken_off(stand: Stand, session: dict[str, str], kill: Callable[[], object]) -> Answer:
    """A call that streams progress; after some of it the agent is killed. What comes last."""
    body = json.dumps(call("steps", request_id=77, progressToken="t")).encode()
    with anyio.fail_after(20):
        async with opened(stand, "POST", session, body) as response:
            seen = 0
            last: JsonObject = {}
            async for each in response.events():
                last = json.loads(each.data)
                seen += 1
                if seen == 5:
                    killed = kill()
                    if hasattr(killed, "__await__"):
                        await killed
    assert seen > 5
    return Answer(200, {}, last)


async def test_a_program_killed_in_a_stream_ends_it_with_a_clear_error_and_works_again() -> None:
    async with open_stand("alpha", "beta") as stand:
        alpha, beta = stand.agents["alpha"], stand.agents["beta"]
        alpha.configure(alpha.tool("steps", STEPS))
        beta.configure(beta.tool("hello", "read -r line; echo hello"))
        await stand.look()
        session = await open_session(stand)
        ended = await broken_off(stand, session, alpha.kill)
        assert ended.code == -32011
        assert ended.message == "Agent 'alpha' stopped while it worked; the request was not repeated."
        assert (await send(stand, call("hello"), session)).text == "hello"
        await alpha.start()
        await stand.look()
        await broken_off(stand, session, alpha.kill)


@pytest.fixture(scope="module")
async def restless() -> AsyncIterator[Stand]:
    async with open_stand("restless", "other") as stand:
        for key in ("restless", "other"):
            agent = stand.agents[key]
            agent.server = StdioSource((sys.executable, str(RESTLESS), str(agent.folder)))
        await look_until_offered(stand, "restless", "other")
        yield stand


def pids(agent: Agent) -> set[int]:
    """The server's processes that live."""
    named = (int(file.stem) for file in agent.folder.glob("*.pid"))
    return {pid for pid in named if ProcessId.find(pid) is not None}


async def test_a_server_on_pipes_killed_in_a_stream_ends_it_and_the_next_call_starts_another(
    restless: Stand,
) -> None:
    agent = restless.agents["restless"]
    before = pids(agent)
    path = "/mcps/restless/mcp"
    session = await open_session(restless, path=path)
    body = json.dumps(call("steps", request_id=7, progressToken="t")).encode()
    with anyio.fail_after(20):
        async with opened(restless, "POST", session, body, path=path) as response:
            messages = []
            async for each in response.events():
                messages.append(json.loads(each.data))
                if len(messages) == 5:
                    (own,) = pids(agent) - before
                    os.kill(own, signal.SIGKILL)
    assert messages[-1]["error"]["code"] == -32011
    assert "the request was not repeated" in messages[-1]["error"]["message"]
    assert (await send(restless, call("recall"), session, path=path)).text == "[]"
    assert (await send(restless, b"", session, path=path, method="DELETE")).status == 204

    async def as_before() -> bool:
        return pids(agent) == before

    await wait_until(as_before, what="the session's process to end", timeout_s=15)


async def test_a_server_on_a_port_killed_in_a_stream_is_told_and_served_again_when_it_is_back() -> None:
    port = free_port()
    words = [sys.executable, str(STREAMING), str(port)]
    async with contextlib.AsyncExitStack() as stack:
        stand = await stack.enter_async_context(open_stand("ref"))
        stand.agents["ref"].server = PortSource(port)
        for _ in range(2):
            async with await anyio.open_process(words, stdin=None, stdout=DEVNULL, stderr=DEVNULL) as process:
                try:
                    await wait_for_port(port)
                    await look_until_offered(stand, "ref")
                    session = await open_session(stand)
                    ended = await broken_off(stand, session, process.kill)
                finally:
                    with contextlib.suppress(ProcessLookupError):
                        process.kill()
            assert ended.code == -32011, ended.body
            assert "'ref'" in ended.message


@dataclass
class Person:
    """Somebody with a client, and what their session should hold."""

    name: str
    client: Client
    kept: list[str] = field(default_factory=list)


STEPS_OF_TWO = st.lists(
    st.tuples(st.sampled_from(["Ada", "Grace"]), st.sampled_from(["remember", "recall", "who"])),
    min_size=4,
    max_size=12,
)


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
@settings(max_examples=6, suppress_health_check=list(HealthCheck))
@given(steps=STEPS_OF_TWO)
async def test_two_sessions_never_see_each_others_state_or_questions(
    restless: Stand, mode: str, steps: list[tuple[str, str]]
) -> None:
    """In whatever order they speak, in both eras, alone and at the endpoint of all agents."""
    async with (
        full_client(restless, mode, agent="restless", name="Ada") as ada,
        full_client(restless, mode, agent="restless", name="Grace") as grace,
    ):
        people = {"Ada": Person("Ada", ada), "Grace": Person("Grace", grace)}

        async def step(person: Person, what: str) -> None:
            if what == "remember":
                person.kept.append(f"{person.name}{len(person.kept)}")
                said = await person.client.call_tool("remember", {"what": person.kept[-1]})
                assert json.loads(text_of(said)) == person.kept
            elif what == "recall":
                assert json.loads(text_of(await person.client.call_tool("recall"))) == person.kept
            else:
                said = await person.client.call_tool("who")
                assert text_of(said) == f"{person.name} {person.name} sampled"

        for name, what in steps:
            await step(people[name], what)
        async with anyio.create_task_group() as tasks:
            for person in people.values():
                tasks.start_soon(step, person, "who")
        for person in people.values():
            await step(person, "recall")


@pytest.mark.filterwarnings("ignore:resources/subscribe")
async def test_news_of_a_resource_reach_the_session_whose_agent_told_them_under_its_public_uri(
    restless: Stand,
) -> None:
    """Two agents have the same URI, so that both are renamed; each is read, and told of, as its own."""
    heard: dict[str, list[str]] = {"one": [], "two": []}

    def listener(name: str) -> Callable[[object], object]:
        async def on_message(message: object) -> None:
            if isinstance(message, ResourceUpdatedNotification):
                heard[name].append(str(message.params.uri))

        return on_message

    async with (
        http_client(restless, "legacy", on_message=listener("one")) as one,  # type: ignore[arg-type]
        http_client(restless, "legacy", on_message=listener("two")) as two,  # type: ignore[arg-type]
    ):
        uris = sorted(str(each.uri) for each in (await one.list_resources()).resources)
        assert len(uris) == 2
        texts = [str((await one.read_resource(uri)).contents[0]) for uri in uris]
        assert texts[0] != texts[1], "each by a process of its own agent"
        for uri in uris:
            await one.subscribe_resource(uri)
        tools = [tool.name for tool in (await one.list_tools()).tools if tool.name.endswith("touch")]
        assert sorted(tools) == ["other__touch", "restless__touch"]
        for tool in tools:
            await one.call_tool(tool)

        async def all_heard() -> bool:
            return len(heard["one"]) == 2

        await wait_until(all_heard, what="both news", timeout_s=10)
        assert sorted(heard["one"]) == uris
        with pytest.raises(MCPError):
            await two.read_resource("restless://own")  # nobody's alone
        assert heard["two"] == []
