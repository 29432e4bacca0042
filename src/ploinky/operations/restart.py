"""``restart``: an agent, all agents, or the router alone; ``reinstall`` makes an agent's sandbox anew."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio.to_thread

from ploinky.lifecycle.backwards import remove_agents, stop_agents
from ploinky.lifecycle.options import StartOptions
from ploinky.lifecycle.planner import resolve_agent
from ploinky.lifecycle.waves import start_agents
from ploinky.manifest import AgentRef
from ploinky.operations.endpoint import find_endpoint
from ploinky.operations.gateway_control import (
    await_gateway,
    choose_listening,
    launch_gateway,
    stop_gateway,
)
from ploinky.operations.gateway_poke import poke_gateway
from ploinky.operations.platform import Platform
from ploinky.operations.references import require_enabled
from ploinky.operations.remembered_engine import remember_engine
from ploinky.wire.events import Event, Notice, Result


async def restart_router(platform: Platform) -> AsyncIterator[Event]:
    """End the gateway and launch it again on the same port; agents go on running."""
    listening = choose_listening(platform, None)
    await stop_gateway(platform.layout)
    await launch_gateway(platform, listening)
    endpoint = await await_gateway(platform.layout)
    yield Notice(message=f"Router: {endpoint.url} (MCP at {endpoint.url}/mcp)")
    yield Result(value={"agents": [], "router": {"url": endpoint.url, "pid": endpoint.process.pid}})


async def restart(platform: Platform, agent: AgentRef | None) -> AsyncIterator[Event]:
    """Stop and start ``agent``, or all; a FAILED agent gets a new try. The router goes on running.

    Raises:
        PloinkyError: as ``resolve_agent``, before ``agent`` is stopped; whatever ``start_agents`` raises.
    """
    keys = _keys(platform, agent)
    async with platform.open_lifecycle() as ctx:
        remember_engine(platform.layout, ctx.runtime.kind)
        if agent is not None:
            entry = platform.registry.read()[keys[0]]
            await anyio.to_thread.run_sync(resolve_agent, ctx, entry)
        async for event in stop_agents(ctx, keys):
            yield event
        async for event in start_agents(ctx, keys, StartOptions(trust=platform.trust)):
            yield event
    await refresh_gateway(platform)
    yield Result(value={"agents": [*keys]})


async def reinstall(platform: Platform, agent: AgentRef) -> AsyncIterator[Event]:
    """Remove the agent's sandbox, make it anew and run its installs again; its data stays."""
    keys = _keys(platform, agent)
    async with platform.open_lifecycle() as ctx:
        remember_engine(platform.layout, ctx.runtime.kind)
        async for event in remove_agents(ctx, keys):
            yield event
        async for event in start_agents(ctx, keys, StartOptions(trust=platform.trust, recreate=True)):
            yield event
    await refresh_gateway(platform)
    yield Result(value={"agents": [*keys]})


async def refresh_gateway(platform: Platform) -> None:
    """Let a running gateway see what changed; one that stands on old settings is launched anew."""
    if find_endpoint(platform.layout) is None:
        return
    if await launch_gateway(platform, choose_listening(platform, None)):
        await await_gateway(platform.layout)
    await poke_gateway(platform.layout)


def _keys(platform: Platform, agent: AgentRef | None) -> list[str]:
    if agent is None:
        return list(platform.registry.read())
    return [require_enabled(platform.registry, agent).key]
