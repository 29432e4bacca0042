"""``stop``: one agent, or all and the gateway. Containers stay for a quick start."""

from __future__ import annotations

from collections.abc import AsyncIterator

from ploinky.lifecycle.backwards import stop_agents
from ploinky.manifest import AgentRef
from ploinky.operations.gateway_control import stop_gateway
from ploinky.operations.gateway_poke import poke_gateway
from ploinky.operations.platform import Platform
from ploinky.operations.references import require_enabled
from ploinky.wire.events import Event, Notice, Result


async def stop(platform: Platform, agent: AgentRef | None) -> AsyncIterator[Event]:
    """Stop ``agent`` alone, or every agent and then the gateway; what does not run is left as it is.

    The gateway goes first when all are stopped, so that it does not see them as having died.
    """
    if agent is not None:
        key = require_enabled(platform.registry, agent).key
        async with platform.open_lifecycle(plans=False) as ctx:
            async for event in stop_agents(ctx, [key]):
                yield event
        await poke_gateway(platform.layout)
        yield Result(value={"agents": [key], "router": "left"})
        return
    ended = await stop_gateway(platform.layout)
    if ended:
        yield Notice(message="Router stopped.")
    keys = list(platform.registry.read())
    if keys:
        async with platform.open_lifecycle(plans=False) as ctx:
            async for event in stop_agents(ctx, keys):
                yield event
    yield Result(value={"agents": [*keys], "router": "stopped" if ended else "was not running"})
