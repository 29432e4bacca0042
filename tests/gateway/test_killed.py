"""The gateway killed under clients of the official SDK: they go on, and no call is made twice."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import anyio
import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.session import IncomingMessage
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import TextContent, ToolListChangedNotification

from ploinky.base.waits import wait_until
from ploinky.operations.endpoint import find_endpoint, owner_token
from tests.cli.stage import Stage

pytestmark = pytest.mark.bubblewrap


@dataclass
class Heard:
    """A connected client and what it was told."""

    client: Client
    changes: list[IncomingMessage] = field(default_factory=list)


@contextlib.asynccontextmanager
async def session_client(stage: Stage) -> AsyncIterator[Heard]:
    """The official client, in the session era."""
    headers = {"authorization": f"Bearer {owner_token(stage.layout)}"}
    told: list[IncomingMessage] = []

    async def on_message(message: IncomingMessage) -> None:
        told.append(message)

    async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
        transport = streamable_http_client(f"{stage.endpoint.url}/mcp", http_client=http)
        async with Client(transport, mode="legacy", message_handler=on_message) as client:
            yield Heard(client, told)


async def kill_gateway(stage: Stage) -> None:
    """Kill it, and wait for the next one on the same port."""
    before = stage.endpoint
    before.process.signal(signal.SIGKILL)

    async def there_again() -> bool:
        now = find_endpoint(stage.layout)
        return now is not None and now.process != before.process

    await wait_until(there_again, what="the next gateway", timeout_s=60)
    assert stage.endpoint.port == before.port


async def said(heard: Heard, text: str) -> str:
    result = await heard.client.call_tool("say", {"text": text})
    block = result.content[0]
    assert isinstance(block, TextContent)
    return block.text


async def test_a_client_goes_on_in_its_session_and_hears_that_lists_may_have_changed(stage: Stage) -> None:
    stage.run("start", "echo")
    async with session_client(stage) as heard:
        assert "one" in await said(heard, "one")

        async def told() -> bool:
            return any(isinstance(each, ToolListChangedNotification) for each in heard.changes)

        for word in ("two", "three"):
            heard.changes.clear()
            await kill_gateway(stage)

            async def works(word: str = word) -> bool:
                try:
                    return word in await said(heard, word)
                except MCPError as error:
                    if error.code != -32010:  # the agent is not looked at yet
                        raise
                    return False

            await wait_until(works, what="the session to go on", timeout_s=30)
            if word == "two":  # the client looks for its stream after the first fault only
                await wait_until(told, what="list_changed", timeout_s=30)
        tools = {tool.name for tool in (await heard.client.list_tools()).tools}
        assert tools == {"say", "fail", "mood", "wait"}


async def test_a_call_under_way_is_a_clear_error_and_the_next_one_works(stage: Stage) -> None:
    stage.run("start", "echo")
    async with session_client(stage) as heard:
        began, errors = anyio.Event(), []

        async def on_progress(progress: float, total: float | None, message: str | None) -> None:
            began.set()

        async def wait() -> None:
            try:
                await heard.client.call_tool("wait", progress_callback=on_progress)
            except MCPError as error:
                errors.append(error)

        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(wait)
                await began.wait()
                await kill_gateway(stage)
        assert [error.code for error in errors] == [-32011]
        assert "not repeated" in str(errors[0])
        assert "after" in await said(heard, "after")
