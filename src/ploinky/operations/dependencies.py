"""``deps``: what agents depend on, whether it is installed, installing it beforehand, removing it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio.to_thread

from ploinky.base.jsontypes import JsonValue
from ploinky.lifecycle.context import LifecycleContext
from ploinky.lifecycle.dependencies import Dependencies, remove_installed
from ploinky.lifecycle.failures import agent_runs
from ploinky.lifecycle.journal import agent_lock
from ploinky.lifecycle.options import StartOptions
from ploinky.lifecycle.planner import plan_dependencies
from ploinky.lifecycle.starting import prepare_agent
from ploinky.lifecycle.stopping import LOCK_TIMEOUT_S
from ploinky.manifest import AgentRef
from ploinky.operations.platform import Platform
from ploinky.operations.references import require_enabled
from ploinky.operations.remembered_engine import remember_engine
from ploinky.runtimes.protocol import SandboxState
from ploinky.wire.events import Event, Notice, Result


async def show_dependencies(platform: Platform, agent: AgentRef | None) -> AsyncIterator[Event]:
    """What each agent asks for, from which files, and its state: none, installed, changed, missing."""
    rows: list[JsonValue] = []
    async with platform.open_lifecycle() as ctx:
        for key in _keys(platform, agent):
            found = await _dependencies(ctx, key)
            rows.append(await anyio.to_thread.run_sync(_row, found))
    yield Result(value=rows)


async def prepare_dependencies(platform: Platform, agent: AgentRef | None) -> AsyncIterator[Event]:
    """Install what agents depend on without starting them, so that their next start needs no network.

    Raises:
        PloinkyError: ``AGENT_RUNS``; as a start does.
    """
    keys = _keys(platform, agent)
    async with platform.open_lifecycle() as ctx:
        remember_engine(platform.layout, ctx.runtime.kind)
        for key in keys:
            async for event in prepare_agent(ctx, key, StartOptions(trust=platform.trust)):
                yield event
    yield Result(value={"agents": [*keys]})


async def clean_dependencies(platform: Platform, agent: AgentRef | None) -> AsyncIterator[Event]:
    """Remove what was installed for agents; their data stays, and their next start installs again.

    Raises:
        PloinkyError: ``AGENT_RUNS``, ``FOLDER_IS_LINK``. DeadlineError: ``AGENT_BUSY``.
    """
    removed: list[JsonValue] = []
    async with platform.open_lifecycle() as ctx:
        for key in _keys(platform, agent):
            async with agent_lock(ctx.layout, key, timeout_s=LOCK_TIMEOUT_S):
                name = ctx.registry.require(key).container_name
                sandbox = await ctx.runtime.inspect(name) if name else None
                if sandbox is not None and sandbox.state is SandboxState.RUNNING:
                    raise agent_runs(key)
                if await anyio.to_thread.run_sync(remove_installed, ctx.layout, key):
                    removed.append(key)
    yield Notice(message=f"Removed what was installed for: {', '.join(map(str, removed)) or 'no agent'}.")
    yield Result(value={"agents": removed})


def _keys(platform: Platform, agent: AgentRef | None) -> list[str]:
    if agent is None:
        return sorted(platform.registry.read())
    return [require_enabled(platform.registry, agent).key]


async def _dependencies(ctx: LifecycleContext, key: str) -> Dependencies:
    entry = ctx.registry.require(key)
    image, found = await anyio.to_thread.run_sync(plan_dependencies, ctx, entry)
    image_id = await ctx.runtime.image_id(image)
    return found if image_id is None else found.in_image(image_id)


def _row(found: Dependencies) -> JsonValue:
    node, python = found.node, found.python
    core: list[JsonValue] = [*sorted(node.core)] if node else []
    locks: list[JsonValue] = []
    if node is not None and node.lock is not None:
        locks.append(node.lock[0])
    if python is not None and python.constraints:
        locks.append("uv.lock")
    return {
        "agent": found.agent,
        "node": node.source.name if node else None,
        "core": core,
        "python": python.source.name if python else None,
        "locks": locks,
        "state": _state(found),
    }


def _state(found: Dependencies) -> str:
    if not found.wanted:
        return "none"
    if found.satisfied:
        return "installed"
    return "changed" if found.recorded else "missing"
