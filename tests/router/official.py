"""The official SDK's client against a stand: over HTTP, or over stdio through the bridge."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
from mcp.client.client import Client
from mcp.client.session import MessageHandlerFnT
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, TextContent

from tests.router.stand import OWNER_TOKEN, Stand

MODES = ("legacy", "auto", "2026-07-28")


@contextlib.asynccontextmanager
async def http_client(
    stand: Stand,
    mode: str,
    *,
    agent: str | None = None,
    token: str = OWNER_TOKEN,
    on_message: MessageHandlerFnT | None = None,
) -> AsyncIterator[Client]:
    async with httpx2.AsyncClient(headers={"authorization": f"Bearer {token}"}) as http:
        transport = streamable_http_client(stand.url(agent), http_client=http)
        async with Client(transport, mode=mode, message_handler=on_message) as client:
            yield client


@contextlib.asynccontextmanager
async def stdio_bridge_client(
    stand: Stand, mode: str, *, agent: str | None = None, on_message: MessageHandlerFnT | None = None
) -> AsyncIterator[Client]:
    words = ["-m", "tests.router.bridge_program", str(stand.port), *([agent] if agent else [])]
    parameters = StdioServerParameters(
        command=sys.executable, args=words, env={"BRIDGE_TOKEN": OWNER_TOKEN}, cwd=Path(__file__).parents[2]
    )
    async with Client(stdio_client(parameters), mode=mode, message_handler=on_message) as client:
        yield client


def text_of(result: object) -> str:
    """The text of a tool's answer."""
    assert isinstance(result, CallToolResult)
    block = result.content[0]
    assert isinstance(block, TextContent)
    return block.text
