"""``mcp stdio``: this process as an MCP server on stdin and stdout, bridged to the router."""

from __future__ import annotations

from ploinky.operations.gateway_link import require_address
from ploinky.router.stdio_bridge import bridge_stdio
from ploinky.workspace.layout import Layout


async def serve_stdio(layout: Layout) -> None:
    """Carry messages until stdin ends.

    Raises:
        PloinkyError: ``GATEWAY_DOWN``.
    """
    await bridge_stdio(require_address(layout))
