"""``router.toolSearch``: three tools in place of many, with the same permissions."""

from __future__ import annotations

import json

import pytest
from mcp.shared.exceptions import MCPError

from ploinky.router.router import RouterSettings
from tests.router.official import http_client, text_of
from tests.router.stand import open_stand

SETTINGS = RouterSettings(tool_search=True)


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
async def test_many_tools_are_found_described_and_called_by_three(mode: str) -> None:
    async with open_stand("alpha", "beta", settings=SETTINGS) as stand:
        alpha, beta = stand.agents["alpha"], stand.agents["beta"]
        alpha.configure(
            {
                "name": "readTextFile",
                "command": "/bin/cat",
                "description": "Gives the text of a document.",
                "inputSchema": {"path": {"type": "string"}},
            },
            alpha.tool("weather", "cat > /dev/null; echo sunny", description="Says whether it rains."),
        )
        beta.configure(beta.tool("weather", "cat > /dev/null; echo rainy", description="Rain in the north."))
        await stand.look()
        async with http_client(stand, mode) as client:
            names = [tool.name for tool in (await client.list_tools()).tools]
            assert names == ["search_tools", "describe_tool", "call_tool"]

            async def found(query: str) -> list[str]:
                answer = await client.call_tool("search_tools", {"query": query})
                return [tool["name"] for tool in json.loads(text_of(answer))["tools"]]

            assert await found("read a file") == ["readTextFile"]
            assert set(await found("rain")) == {"alpha__weather", "beta__weather"}
            assert await found('nothing" OR *') == []
            told = await client.call_tool("describe_tool", {"name": "readTextFile"})
            assert json.loads(text_of(told))["inputSchema"]["required"] == ["path"]
            called = await client.call_tool("call_tool", {"name": "beta__weather", "arguments": {}})
            assert text_of(called) == "rainy"
            with pytest.raises(MCPError, match="Unknown tool"):
                await client.call_tool("call_tool", {"name": "nonsense"})
        async with http_client(stand, mode, agent="beta") as client:
            assert [tool.name for tool in (await client.list_tools()).tools] == ["weather"]


async def test_what_may_not_be_seen_is_not_found_nor_called() -> None:
    async with open_stand("alpha", "beta", settings=SETTINGS) as stand:
        for agent in stand.agents.values():
            agent.configure(agent.tool(f"of_{agent.key}", "cat", description="A thing."))
        stand.agents["alpha"].may_call = frozenset()
        await stand.look()
        async with http_client(stand, "2026-07-28", token="agent:alpha") as client:
            answer = await client.call_tool("search_tools", {"query": "thing"})
            assert json.loads(text_of(answer))["tools"] == []
            with pytest.raises(MCPError, match=r"Unknown tool|does not enable"):
                await client.call_tool("call_tool", {"name": "of_beta"})
