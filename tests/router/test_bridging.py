"""Every kind of client to every kind of MCP server: what an era lacks is made up for by the router."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

import anyio
import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.context import ClientRequestContext
from mcp.client.streamable_http import streamable_http_client
from mcp_types import (
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequestParams,
    ElicitResult,
    ListRootsResult,
    LoggingMessageNotificationParams,
    Root,
    TextContent,
)

from ploinky.router.servers.source import PortSource, StdioSource
from tests.router.official import text_of
from tests.router.servers import REFERENCE, look_until_offered, reference_server
from tests.router.stand import OWNER_TOKEN, Stand, open_stand

CLIENTS = pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])


@contextlib.asynccontextmanager
async def stand_over(server: str) -> AsyncIterator[Stand]:
    """A stand whose agent ``ref`` is the reference server, in one era, in both, or over its pipes."""
    async with contextlib.AsyncExitStack() as stack:
        if server != "stdio":
            port = await stack.enter_async_context(reference_server(eras=server))
        stand = await stack.enter_async_context(open_stand("ref"))
        if server == "stdio":
            stand.agents["ref"].server = StdioSource((sys.executable, str(REFERENCE)))
        else:
            stand.agents["ref"].server = PortSource(port)
        await look_until_offered(stand, "ref")
        yield stand


@dataclass(frozen=True)
class Served:
    """A stand over one kind of server."""

    kind: str
    stand: Stand

    def asks_by_result(self, mode: str) -> bool:
        """Whether it says ``input_required`` to such a client, or asks in the middle of the call."""
        return self.kind == "stateless" or (self.kind == "both" and mode != "legacy")


@pytest.fixture(scope="module", params=["session", "stateless", "both", "stdio"])
async def served(request: pytest.FixtureRequest) -> AsyncIterator[Served]:
    async with stand_over(request.param) as stand:
        yield Served(request.param, stand)


@contextlib.asynccontextmanager
async def full_client(
    stand: Stand, mode: str, *, agent: str | None = None, name: str = "Ada"
) -> AsyncIterator[Client]:
    """A client that can be asked for everything and answers as ``name``."""

    async def on_elicit(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        return ElicitResult(action="accept", content={"name": name, "username": name, "email": "a@b.c"})

    async def on_sampling(
        context: ClientRequestContext, params: CreateMessageRequestParams
    ) -> CreateMessageResult:
        content = TextContent(type="text", text=f"{name} sampled")
        return CreateMessageResult(role="assistant", content=content, model="test")

    async def on_roots(context: ClientRequestContext) -> ListRootsResult:
        return ListRootsResult(roots=[Root(uri=f"file:///{name}")])

    headers = {"authorization": f"Bearer {OWNER_TOKEN}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(
            streamable_http_client(stand.url(agent), http_client=http),
            mode=mode,
            elicitation_callback=on_elicit,
            sampling_callback=on_sampling,
            list_roots_callback=on_roots,
        ) as client,
    ):
        yield client


@CLIENTS
async def test_lists_calls_resources_prompts_and_completions(served: Served, mode: str) -> None:
    for agent in ("ref", None):
        async with full_client(served.stand, mode, agent=agent) as client:
            tools = [tool.name for tool in (await client.list_tools()).tools]
            assert "test_simple_text" in tools
            called = await client.call_tool("test_simple_text")
            assert text_of(called) == "This is a simple text response for testing."
            failed = await client.call_tool("test_error_handling")
            assert failed.is_error
            uris = [str(resource.uri) for resource in (await client.list_resources()).resources]
            assert "test://static-text" in uris
            read = await client.read_resource("test://template/7/data")
            assert "Data for ID: 7" in str(read.contents[0])
            got = await client.get_prompt("test_prompt_with_arguments", {"arg1": "x", "arg2": "y"})
            assert "arg1='x'" in str(got.messages[0].content)


@CLIENTS
async def test_a_server_that_needs_input_gets_it_from_the_client_that_asked(
    served: Served, mode: str
) -> None:
    """The stateless server says ``input_required``; the session server asks in the middle of the call."""
    for agent in ("ref", None):
        async with full_client(served.stand, mode, agent=agent) as client:
            if served.asks_by_result(mode):
                answer = await client.call_tool("test_input_required_result_elicitation")
                assert text_of(answer) == "Hello, Ada!"
                both = await client.call_tool("test_input_required_result_multi_round")
                assert text_of(both) == "Both rounds are done"
                roots = await client.call_tool("test_input_required_result_list_roots")
                assert "file:///Ada" in text_of(roots)
            else:
                answer = await client.call_tool("test_elicitation", {"message": "who?"})
                assert '"username":"Ada"' in text_of(answer)
                sampled = await client.call_tool("test_sampling", {"prompt": "hi"})
                assert text_of(sampled) == "LLM response: Ada sampled"


@CLIENTS
async def test_progress_reaches_the_client(served: Served, mode: str) -> None:
    async with full_client(served.stand, mode) as client:
        seen: list[float] = []

        async def on_progress(progress: float, total: float | None, message: str | None) -> None:
            seen.append(progress)

        await client.call_tool("test_tool_with_progress", progress_callback=on_progress)
        assert seen == [0, 50, 100]


@CLIENTS
async def test_two_clients_at_once_are_asked_each_for_its_own_answer(served: Served, mode: str) -> None:
    tool = "test_input_required_result_elicitation" if served.asks_by_result(mode) else "test_elicitation"
    answers: dict[str, str] = {}
    by_result = served.asks_by_result(mode)

    async def one(name: str) -> None:
        async with full_client(served.stand, mode, name=name) as client:
            for _ in range(3):
                arguments = {} if by_result else {"message": f"who are you, {name}?"}
                answers[name] = text_of(await client.call_tool(tool, arguments))
                assert name in answers[name]

    async with anyio.create_task_group() as tasks:
        for name in ("Ada", "Grace", "Edsger"):
            tasks.start_soon(one, name)
    assert set(answers) == {"Ada", "Grace", "Edsger"}


async def test_log_messages_of_a_session_server_reach_a_session_client(served: Served) -> None:
    if served.kind == "stateless":
        return  # a server of that era logs only where a request asks for it
    lines: list[object] = []

    async def on_log(params: LoggingMessageNotificationParams) -> None:
        lines.append(params.data)

    headers = {"authorization": f"Bearer {OWNER_TOKEN}"}
    async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
        transport = streamable_http_client(served.stand.url(), http_client=http)
        async with Client(transport, mode="legacy", logging_callback=on_log) as client:
            await client.call_tool("test_tool_with_logging")
            assert lines == ["Tool execution started", "Tool processing data", "Tool execution completed"]
