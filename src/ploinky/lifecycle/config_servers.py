"""MCP servers of the settings that are commands: each becomes an agent of a repository that is made for them.

Their manifests are written from the settings; what leaves the settings is disabled, its data stays.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio.to_thread

from ploinky.base.files import read_text, write_atomic
from ploinky.base.jsontypes import JsonObject
from ploinky.lifecycle.context import LifecycleContext
from ploinky.manifest.refs import AgentRef

if TYPE_CHECKING:
    from ploinky.workspace.settings import McpServer

REPO = "mcp-servers"
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_IMAGES = {"npx": "node:22", "node": "node:22", "uvx": "python:3.12", "python": "python:3.12"}
_ANY_IMAGE = "debian:stable"


@dataclass(frozen=True)
class Settled:
    """What settling did: agents that are new or changed, and those that are gone."""

    fresh: tuple[str, ...]
    gone: tuple[str, ...]


async def settle_servers(ctx: LifecycleContext, servers: Mapping[str, McpServer]) -> Settled:
    """Enable an agent for each command of ``servers``, and disable those that are no longer among them.

    Raises:
        UsageError: ALREADY_ENABLED if another agent has the name.
        PloinkyError: as ``enable_agent`` and ``disable_agent``.
    """
    wanted = {key: each for key, each in servers.items() if each.command is not None and not each.disabled}
    known = {key for key, entry in ctx.registry.read().items() if entry.repo_name == REPO}
    gone = sorted(known - wanted.keys())
    for key in gone:
        await _remove(ctx, key)
    fresh = []
    for key, server in wanted.items():
        changed = await anyio.to_thread.run_sync(_write, ctx, key, server)
        if changed or key not in known:
            await _enable(ctx, key)
            fresh.append(key)
    return Settled(tuple(fresh), tuple(gone))


async def _enable(ctx: LifecycleContext, key: str) -> None:
    from ploinky.lifecycle.enabling import enable_agent  # most workspaces have no such servers

    await enable_agent(ctx, AgentRef(agent=key, repo=REPO))


async def _remove(ctx: LifecycleContext, key: str) -> None:
    from ploinky.lifecycle.disabling import disable_agent

    await disable_agent(ctx, key)
    await anyio.to_thread.run_sync(_forget, ctx, key)


def manifest_of(server: McpServer) -> JsonObject:
    """The manifest of an agent that is this server."""
    assert server.command is not None
    variables = sorted({name for value in server.env.values() for name in _VARIABLE.findall(value)})
    return {
        "about": "An MCP server of the settings.",
        "container": server.image or _IMAGES.get(server.command.rpartition("/")[2], _ANY_IMAGE),
        "env": [*variables],
        "mcp": {"command": [server.command], "args": [*server.args], "env": {**server.env}},
    }


def _write(ctx: LifecycleContext, key: str, server: McpServer) -> bool:
    file = ctx.layout.agent_source(REPO, key) / "manifest.json"
    text = json.dumps(manifest_of(server), indent=2, ensure_ascii=False) + "\n"
    if read_text(file) == text:
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(file, text.encode())
    return True


def _forget(ctx: LifecycleContext, key: str) -> None:
    shutil.rmtree(ctx.layout.agent_source(REPO, key), ignore_errors=True)
