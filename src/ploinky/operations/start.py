"""``start``: agents with what they need, in waves, and the gateway.

The gateway is launched as soon as the plans are known to be good (the first sandbox is being made), so that
its own start costs no time of its own; if nothing came to run, one launched here is ended again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio

from ploinky.base.errors import PloinkyError
from ploinky.lifecycle.config_servers import settle_servers
from ploinky.lifecycle.context import LifecycleContext
from ploinky.lifecycle.options import StartOptions
from ploinky.lifecycle.waves import start_agents
from ploinky.manifest import AgentRef
from ploinky.operations.gateway_control import (
    await_gateway,
    choose_listening,
    launch_gateway,
    stop_gateway,
)
from ploinky.operations.gateway_poke import poke_gateway
from ploinky.operations.platform import Platform
from ploinky.operations.references import find_enabled
from ploinky.operations.remembered_engine import forget_engine, remember_engine
from ploinky.operations.routing import Listening
from ploinky.operations.start_agent import remember_start_agent
from ploinky.wire.events import Event, Notice, Progress, Result, StateChanged, StepStarted
from ploinky.workspace.states import AgentState, Desired

_FIRST_STEP_THAT_MAKES = 3
_IMAGES_ARE_HINTS = "images are hints only; agents use the programs of this machine"


async def start(platform: Platform, agent: AgentRef | None, port: int | None) -> AsyncIterator[Event]:
    """Start ``agent`` (enabled if it was not) and its dependencies, or every enabled agent.

    Raises:
        PloinkyError: ``PORT_TAKEN``; whatever ``start_agents`` raises; ``GATEWAY_FAILED``.
    """
    listening = choose_listening(platform, port)
    async with platform.open_lifecycle() as ctx:
        remember_engine(platform.layout, ctx.runtime.kind)
        keys = await _keys(ctx, platform, agent)
        starter = _Starter(platform, listening)
        told = ctx.runtime.uses_images
        try:
            async for event in start_agents(ctx, keys, StartOptions(trust=platform.trust)):
                await starter.look_at(event)
                if not told and isinstance(event, StateChanged) and event.state == AgentState.CREATING:
                    told = True
                    yield Notice(message=f"{ctx.runtime.kind}: {_IMAGES_ARE_HINTS}")
                yield event
            await starter.launch()
        except PloinkyError:
            if _anything_runs(platform):
                await starter.launch()
                await await_gateway(platform.layout)
                await poke_gateway(platform.layout)
            else:
                await starter.take_back(ctx)
            raise
        except BaseException:
            if not _anything_runs(platform):
                with anyio.CancelScope(shield=True):
                    await starter.take_back(ctx)
            raise
        yield Progress(label="Waiting for the gateway")
        endpoint = await await_gateway(platform.layout)
        await poke_gateway(platform.layout)
    if not keys:
        yield Notice(message="No agent is enabled.", hint="See: ploinky list agents")
    yield Notice(message=f"Router: {endpoint.url} (MCP at {endpoint.url}/mcp)")
    yield Result(value={"agents": [*keys], "router": {"url": endpoint.url, "pid": endpoint.process.pid}})


class _Starter:
    """Launches the gateway once, when the first event shows that something is being made.

    When a start fails, what runs keeps its router; a gateway that would serve nothing is ended again.
    """

    def __init__(self, platform: Platform, listening: Listening) -> None:
        self._platform = platform
        self._listening = listening
        self._asked = False
        self._launched = False

    async def look_at(self, event: Event) -> None:
        made = isinstance(event, StepStarted) and event.step >= _FIRST_STEP_THAT_MAKES
        if made or (isinstance(event, StateChanged) and event.state == AgentState.RUNNING):
            await self.launch()

    async def launch(self) -> None:
        if not self._asked:
            self._asked = True
            self._launched = await launch_gateway(self._platform, self._listening)

    async def take_back(self, ctx: LifecycleContext) -> None:
        """End the gateway if it was launched here; where no sandbox was made another engine may be chosen."""
        layout = self._platform.layout
        if self._launched:
            await stop_gateway(layout)
        if not await ctx.runtime.list(layout.id):
            await ctx.runtime.forget(layout.id)
            forget_engine(layout)


async def _keys(ctx: LifecycleContext, platform: Platform, agent: AgentRef | None) -> list[str]:
    await settle_servers(ctx, platform.settings.mcp_servers)
    if agent is None:
        return list(platform.registry.read())
    entry = find_enabled(platform.registry, agent)
    if entry is None:
        from ploinky.lifecycle.enabling import enable_agent  # most starts are of enabled agents

        entry = (await enable_agent(ctx, agent))[-1]
    remember_start_agent(platform.layout, entry.key)
    return [entry.key]


def _anything_runs(platform: Platform) -> bool:
    return any(
        entry.state is AgentState.RUNNING and entry.desired is Desired.RUNNING
        for entry in platform.registry.read().values()
    )
