"""Proxies of others before the direct server: ``python -m bench.proxies aiohttp|fastmcp PORT UPSTREAM``."""

from __future__ import annotations

import sys
from typing import Any


def aiohttp_proxy(port: int, upstream: str) -> None:
    """A plain reverse proxy, byte for byte."""
    from aiohttp import ClientSession, TCPConnector, web

    async def forward(request: web.Request) -> web.Response:
        client: ClientSession = request.app["client"]
        body = await request.read()
        headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
        async with client.request(request.method, upstream, data=body, headers=headers) as answer:
            return web.Response(
                status=answer.status, body=await answer.read(), content_type=answer.content_type
            )

    async def client(app: web.Application) -> Any:
        app["client"] = ClientSession(connector=TCPConnector(limit=0))
        yield
        await app["client"].close()

    app = web.Application()
    app.cleanup_ctx.append(client)
    app.router.add_route("*", "/{path:.*}", forward)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


def fastmcp_proxy(port: int, upstream: str) -> None:
    """FastMCP's proxy as its documentation makes one, in an environment of ``requirements/bench.txt``."""
    import importlib

    fastmcp: Any = importlib.import_module("fastmcp.server")
    proxy = fastmcp.create_proxy(upstream)
    proxy.run(
        transport="http", host="127.0.0.1", port=port, path="/mcp", show_banner=False, log_level="error"
    )


if __name__ == "__main__":
    {"aiohttp": aiohttp_proxy, "fastmcp": fastmcp_proxy}[sys.argv[1]](int(sys.argv[2]), sys.argv[3])
