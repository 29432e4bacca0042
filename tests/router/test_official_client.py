"""The official SDK's client, in both eras, over HTTP and through the stdio bridge."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import anyio
import pytest
from mcp.client.client import Client
from mcp.client.session import IncomingMessage, MessageHandlerFnT
from mcp.shared.exceptions import MCPError
from mcp_types import ToolListChangedNotification

from tests.router.official import MODES, http_client, stdio_bridge_client, text_of
from tests.router.stand import Stand, open_stand

Door = Callable[[Stand, str], AbstractAsyncContextManager[Client]]


class ListeningDoor(Protocol):
    def __call__(
        self, stand: Stand, mode: str, *, on_message: MessageHandlerFnT | None = None
    ) -> AbstractAsyncContextManager[Client]: ...


DOORS = pytest.mark.parametrize("door", [http_client, stdio_bridge_client], ids=["http", "stdio"])
ERAS = pytest.mark.parametrize("mode", MODES)


@DOORS
@ERAS
async def test_tools_of_all_agents_are_listed_and_called(door: Door, mode: str) -> None:
    async with open_stand("alpha", "beta") as stand:
        alpha, beta = stand.agents["alpha"], stand.agents["beta"]
        schema = {"message": {"type": "string"}, "loud": {"type": "boolean", "optional": True}}
        alpha.configure(
            {"name": "echo", "command": "/bin/cat", "title": "Echo", "inputSchema": schema},
            alpha.tool("only", "cat > /dev/null; echo from alpha"),
        )
        beta.configure({"name": "echo", "command": "/bin/cat"})
        await stand.look()
        async with door(stand, mode) as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            assert list(tools) == ["alpha__echo", "only", "beta__echo"]
            assert tools["alpha__echo"].title == "Echo"
            assert tools["alpha__echo"].input_schema["required"] == ["message"]
            assert text_of(await client.call_tool("only")) == "from alpha"
            line = json.loads(text_of(await client.call_tool("alpha__echo", {"message": "hi"})))
            assert (line["tool"], line["input"]) == ("echo", {"message": "hi"})
            assert (line["metadata"]["agent"], line["metadata"]["caller"]) == ("alpha", "owner")
            assert (line["metadata"]["sessionId"] is not None) is (mode == "legacy")


@DOORS
@ERAS
async def test_progress_errors_and_structured_content_arrive(door: Door, mode: str) -> None:
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        output = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}
        alpha.configure(
            alpha.tool("steps", 'echo \'{"progress": 0.5, "message": "half"}\' >&2; sleep 0.1; echo done'),
            alpha.tool("fails", "echo why it failed >&2; exit 3"),
            alpha.tool("adds", "echo '{\"sum\": 5}'", outputSchema=output),
        )
        await stand.look()
        seen: list[tuple[float, float | None, str | None]] = []

        async def on_progress(progress: float, total: float | None, message: str | None) -> None:
            seen.append((progress, total, message))

        async with door(stand, mode) as client:
            assert text_of(await client.call_tool("steps", progress_callback=on_progress)) == "done"
            assert seen == [(0.5, None, "half")]
            failed = await client.call_tool("fails")
            assert failed.is_error
            assert text_of(failed) == "why it failed"
            assert (await client.call_tool("adds")).structured_content == {"sum": 5}
            with pytest.raises(MCPError, match="Unknown tool: nothing"):
                await client.call_tool("nothing")


@pytest.mark.parametrize("door", [http_client, stdio_bridge_client], ids=["http", "stdio"])
async def test_a_session_client_hears_that_tools_changed(door: ListeningDoor) -> None:
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        alpha.configure(alpha.tool("one", "cat"))
        await stand.look()
        changed = anyio.Event()

        async def on_message(message: IncomingMessage) -> None:
            if isinstance(message, ToolListChangedNotification):
                changed.set()

        async with door(stand, "legacy", on_message=on_message) as client:
            # The stream opens beside the first request, so change until it was heard.
            with anyio.fail_after(10):
                for number in range(1000):
                    alpha.configure(alpha.tool(f"tool{number}", "cat"))
                    with anyio.move_on_after(0.2):
                        await changed.wait()
                        break
            names = [tool.name for tool in (await client.list_tools()).tools]
            assert names == [f"tool{number}"]


@pytest.mark.parametrize("mode", ["2026-07-28"])
async def test_a_stateless_client_listens_for_changes(mode: str) -> None:
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        async with http_client(stand, mode) as client, client.listen(tools_list_changed=True) as heard:
            alpha.configure(alpha.tool("new", "cat"))
            with anyio.fail_after(10):
                event = await anext(aiter(heard))
            assert type(event).__name__ == "ToolsListChanged"


@ERAS
async def test_one_agents_own_endpoint_has_its_own_names(mode: str) -> None:
    async with open_stand("alpha", "beta") as stand:
        for agent in stand.agents.values():
            agent.configure(agent.tool("same", f"cat > /dev/null; echo from {agent.key}"))
        await stand.look()
        async with http_client(stand, mode, agent="beta") as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == ["same"]
            assert text_of(await client.call_tool("same")) == "from beta"


@ERAS
async def test_an_agent_reaches_what_its_manifest_enables_and_nothing_else(mode: str) -> None:
    async with open_stand("alpha", "beta", "gamma") as stand:
        for agent in stand.agents.values():
            agent.configure(agent.tool(f"of_{agent.key}", f"cat > /dev/null; echo from {agent.key}"))
        stand.agents["alpha"].may_call = frozenset({"beta"})
        await stand.look()
        async with http_client(stand, mode, token="agent:alpha") as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == ["of_beta"]
            assert text_of(await client.call_tool("of_beta")) == "from beta"
            for hidden in ("of_gamma", "of_alpha"):
                with pytest.raises(MCPError, match="does not enable"):
                    await client.call_tool(hidden)


async def test_a_lost_session_is_told_over_http_and_a_client_begins_another() -> None:
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        alpha.configure(alpha.tool("one", "cat > /dev/null; echo here"))
        await stand.look()
        async with http_client(stand, "legacy") as client:
            assert text_of(await client.call_tool("one")) == "here"
            await forget_sessions(stand)
            with pytest.raises(MCPError, match="no such session; start with initialize"):
                await client.call_tool("one")
        async with http_client(stand, "legacy") as client:
            assert text_of(await client.call_tool("one")) == "here"


async def test_a_lost_session_is_opened_anew_by_the_bridge_and_its_client_notices_nothing() -> None:
    async with open_stand("alpha") as stand:
        alpha = stand.agents["alpha"]
        runs = alpha.folder / "runs"
        alpha.configure(alpha.tool("one", f"cat > /dev/null; echo ran >> {runs}; echo here"))
        await stand.look()
        async with stdio_bridge_client(stand, "legacy") as client:
            assert text_of(await client.call_tool("one")) == "here"
            await forget_sessions(stand)
            assert text_of(await client.call_tool("one")) == "here"
            assert [tool.name for tool in (await client.list_tools()).tools] == ["one"]
        assert runs.read_text("utf-8").split() == ["ran", "ran"], "no call was made twice"


async def forget_sessions(stand: Stand) -> None:
    """Another gateway on the same port that knows none of the sessions of the former one."""
    (stand.root / "sessions.sqlite").unlink()
    await stand.restart()
