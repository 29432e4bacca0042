"""``mcp stdio``: this process as an MCP server on stdin and stdout, bridged to the router."""

from __future__ import annotations

from ploinky.base.errors import PloinkyError
from ploinky.operations.endpoint import find_endpoint, owner_token
from ploinky.operations.platform import Platform
from ploinky.router.gateway_client import GatewayAddress
from ploinky.router.stdio_bridge import bridge_stdio


async def serve_stdio(platform: Platform) -> None:
    """Carry messages until stdin ends.

    Raises:
        PloinkyError: ``GATEWAY_DOWN``.
    """
    endpoint, token = find_endpoint(platform.layout), owner_token(platform.layout)
    if endpoint is None or token is None:
        raise PloinkyError("GATEWAY_DOWN", "The gateway does not run.", hint="Start it: ploinky start")
    await bridge_stdio(GatewayAddress(endpoint.port, token, endpoint.host))
