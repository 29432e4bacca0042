"""``shutdown``: stop everything and remove the containers; agents stay enabled, their data stays."""

from __future__ import annotations

from collections.abc import AsyncIterator

from ploinky.lifecycle.backwards import remove_agents
from ploinky.operations.gateway_control import stop_gateway
from ploinky.operations.platform import Platform
from ploinky.operations.remembered_engine import forget_engine
from ploinky.wire.events import Event, Notice, Result


async def shutdown(platform: Platform) -> AsyncIterator[Event]:
    """End the gateway, then every sandbox of the workspace, also those that the registry does not know, and
    what commands left that were killed before a sandbox was there."""
    ended = await stop_gateway(platform.layout)
    if ended:
        yield Notice(message="Router stopped.")
    keys = list(platform.registry.read())
    async with platform.open_lifecycle(plans=False) as ctx:
        async for event in remove_agents(ctx, keys):
            yield event
        for sandbox in await ctx.runtime.list(platform.layout.id):
            await ctx.runtime.remove(sandbox.name)
            yield Notice(message=f"Removed the sandbox {sandbox.name}, which no agent owned.")
        await ctx.runtime.forget(platform.layout.id)
    forget_engine(platform.layout)
    yield Result(value={"agents": [*keys], "router": "stopped" if ended else "was not running"})
