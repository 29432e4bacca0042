"""``streaming_server.py PORT``: the official SDK over HTTP with one tool, whose progress never ends."""

from __future__ import annotations

import sys

import anyio
from mcp.server.mcpserver import Context, MCPServer

server = MCPServer("streaming")


@server.tool(structured_output=False)
async def steps(ctx: Context) -> str:
    """Reports progress until it is ended."""
    number = 0
    while True:
        number += 1
        await ctx.report_progress(number)
        await anyio.sleep(0.02)


if __name__ == "__main__":
    server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
