"""``enable|disable agent``, ``list agents``, ``list routes``."""

from __future__ import annotations

from collections.abc import AsyncIterator

from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonValue
from ploinky.lifecycle.enabling import enable, has_sandbox
from ploinky.manifest.refs import AgentRef
from ploinky.operations.endpoint import find_endpoint
from ploinky.operations.gateway_poke import poke_gateway
from ploinky.operations.platform import Platform
from ploinky.operations.references import require_enabled
from ploinky.repos.find import AgentLocation
from ploinky.wire.events import Event, Notice, Result
from ploinky.workspace.registry import RegistryEntry


async def enable_agent(platform: Platform, ref: AgentRef) -> AsyncIterator[Event]:
    """Enable an agent and what its manifest enables; nothing is started."""
    before = set(platform.registry.read())

    async def looked_for(entry: RegistryEntry) -> bool:
        async with platform.open_lifecycle() as ctx:
            return await has_sandbox(ctx, entry)

    entries = await enable(platform, ref, looked_for)
    for entry in entries:
        if entry.key not in before:
            by = f", needed by {entry.enabled_by}" if entry.enabled_by else ""
            source = f"{entry.repo_name}/{entry.agent_name}"
            yield Notice(agent=entry.key, message=f"enabled ({source}, {entry.run_mode.value}{by})")
    if entries[-1].key in before:
        yield Notice(agent=entries[-1].key, message="was enabled already")
    await poke_gateway(platform.layout)
    yield Result(value={"agent": entries[-1].key, "enabled": [entry.key for entry in entries]})


async def disable_agent(platform: Platform, ref: AgentRef, *, purge: bool) -> AsyncIterator[Event]:
    """Stop an agent, remove its sandbox and links and forget it; ``purge`` deletes its data too."""
    from ploinky.lifecycle.disabling import disable_agent as disable  # much that enabling does not need

    key = require_enabled(platform.registry, ref).key
    async with platform.open_lifecycle() as ctx:
        await disable(ctx, key, purge=purge)
    await poke_gateway(platform.layout)
    kept = "" if purge else f"; its data stays in agents/{key}"
    yield Notice(agent=key, message=f"disabled{kept}")
    yield Result(value={"agent": key, "purged": purge})


async def stop_all_agents(platform: Platform) -> AsyncIterator[Event]:
    """Stop every agent; the gateway goes on running and hears of it."""
    from ploinky.lifecycle.backwards import stop_agents  # much that enabling does not need

    keys = list(platform.registry.read())
    async with platform.open_lifecycle(plans=False) as ctx:
        async for event in stop_agents(ctx, keys):
            yield event
    await poke_gateway(platform.layout)
    yield Result(value={"agents": list[JsonValue](keys), "router": "left"})


async def list_agents(platform: Platform) -> AsyncIterator[Event]:
    """Every agent of the enabled repositories, and enabled ones that lie nowhere any more."""
    entries = platform.registry.read()
    enabled: dict[tuple[str, str], list[str]] = {}
    for key, entry in entries.items():
        enabled.setdefault((entry.repo_name, entry.agent_name), []).append(key)
    rows: list[JsonValue] = []
    for location in platform.repos.agents():
        about, fault = _about(platform, location)
        keys = enabled.pop((location.repo, location.agent), [])
        rows.append(
            {
                "agent": location.agent,
                "repo": location.repo,
                "enabled": list[JsonValue](keys),
                "state": entries[keys[0]].state.value if keys else None,
                "about": about,
                "fault": fault,
            }
        )
    for (repo, agent), keys in enabled.items():
        state = entries[keys[0]].state.value
        fault = "its repository is not enabled or does not have it"
        names: list[JsonValue] = [*keys]
        rows.append(
            {"agent": agent, "repo": repo, "enabled": names, "state": state, "about": "", "fault": fault}
        )
    yield Result(value=rows)


async def list_routes(platform: Platform) -> AsyncIterator[Event]:
    """The addresses of the router and of every enabled agent behind it."""
    endpoint = find_endpoint(platform.layout)
    base = endpoint.url if endpoint else None
    rows: list[JsonValue] = [
        {"agent": key, "path": f"/mcps/{key}/mcp", "url": f"{base}/mcps/{key}/mcp" if base else None}
        for key in platform.registry.read()
    ]
    rows.insert(0, {"agent": "*", "path": "/mcp", "url": f"{base}/mcp" if base else None})
    yield Result(value=rows)


def _about(platform: Platform, location: AgentLocation) -> tuple[str, str | None]:
    """What the manifest says of the agent, or why it cannot be read."""
    try:
        return platform.repos.read_manifest(location).about or "", None
    except PloinkyError as error:
        return "", error.message.splitlines()[0]
