"""What there is and how it is: the agents, the router, the profile and the engine.

One value for all who ask: the running gateway answers with it on ``/control/status``; without a gateway the
registry is read and, if anything should run, the engine asked.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from ploinky.base.jsontypes import JsonObject
from ploinky.lifecycle.status import AgentStatus
from ploinky.operations.endpoint import find_endpoint
from ploinky.operations.platform import Platform
from ploinky.operations.status_facts import claimed_facts, claims_to_run, status_value
from ploinky.runtimes.protocol import Sandbox
from ploinky.wire.events import Event, Result
from ploinky.workspace.registry import RegistryEntry
from ploinky.workspace.summary import read_summaries


def agent_facts(status: AgentStatus, entry: RegistryEntry | None) -> JsonObject:
    """One agent as a watching gateway knows it."""
    return {
        "name": status.key,
        "agent": status.agent,
        "repo": status.repo,
        "state": status.state.value,
        "health": status.health,
        "ready": status.ready,
        "reason": status.reason,
        "profile": entry.profile if entry else None,
        "runtime": status.runtime,
        "mode": entry.run_mode.value if entry else None,
        "ports": [
            f"{port.host_ip}:{port.host_port}->{port.container_port}/{port.protocol}" for port in status.ports
        ],
        "started_at": status.started_at,
        "restarts": status.restarts,
        "image": status.image,
    }


async def status(platform: Platform) -> AsyncIterator[Event]:
    """Ask the registry, and the engine if anything should run. For use while no gateway runs."""
    layout = platform.layout
    summaries = read_summaries(layout)
    sandboxes: Mapping[str, Sandbox] = {}
    if claims_to_run(summaries):
        async with platform.open_lifecycle() as ctx:
            sandboxes = {sandbox.name: sandbox for sandbox in await ctx.runtime.list(layout.id)}
    yield Result(
        value=status_value(
            layout,
            profile=platform.profile.name,
            endpoint=find_endpoint(layout),
            agents=[claimed_facts(each, sandboxes.get(each.container_name)) for each in summaries],
        )
    )
