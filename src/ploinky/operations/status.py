"""What there is and how it is: the agents, the router, the profile and the engine.

One value for all who ask: the running gateway answers with it on ``/control/status``; without a gateway the
registry is read and, if anything should run, the engine asked.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.lifecycle.status import AgentStatus
from ploinky.operations.endpoint import Endpoint, find_endpoint
from ploinky.operations.platform import Platform
from ploinky.runtimes.protocol import Sandbox, SandboxState
from ploinky.wire.events import Event, Result
from ploinky.workspace.layout import Layout
from ploinky.workspace.registry import RegistryEntry
from ploinky.workspace.states import AgentState, Desired
from ploinky.workspace.summary import AgentSummary, read_summaries

_CLAIMS_TO_RUN = (AgentState.CREATING, AgentState.STARTING, AgentState.RUNNING)


def router_facts(endpoint: Endpoint | None) -> JsonObject:
    """The router as ``status`` shows it."""
    if endpoint is None:
        return {"state": "stopped", "url": None, "pid": None}
    return {"state": "running", "url": endpoint.url, "pid": endpoint.process.pid}


def status_value(
    layout: Layout, *, profile: str | None, endpoint: Endpoint | None, agents: list[JsonValue]
) -> JsonObject:
    """The whole answer."""
    return {
        "workspace": str(layout.root),
        "profile": profile,
        "router": router_facts(endpoint),
        "agents": agents,
    }


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
    if any(each.state in _CLAIMS_TO_RUN or each.desired is Desired.RUNNING for each in summaries):
        async with platform.open_lifecycle() as ctx:
            sandboxes = {sandbox.name: sandbox for sandbox in await ctx.runtime.list(layout.id)}
    yield Result(
        value=status_value(
            layout,
            profile=platform.profile.name,
            endpoint=find_endpoint(layout),
            agents=[_claimed_facts(each, sandboxes.get(each.container_name)) for each in summaries],
        )
    )


def _claimed_facts(summary: AgentSummary, sandbox: Sandbox | None) -> JsonObject:
    """One agent by the registry, corrected by what the engine says."""
    runs = sandbox is not None and sandbox.state is SandboxState.RUNNING
    state, reason = summary.state, summary.reason
    if runs:
        state, reason = AgentState.RUNNING, "" if state is AgentState.RUNNING else reason
    elif state is AgentState.RUNNING:
        state, reason = AgentState.STOPPED, "its sandbox does not run any more"
    return {
        "name": summary.key,
        "agent": summary.agent,
        "repo": summary.repo,
        "state": state.value,
        "health": "unknown" if runs else "stopped",
        "ready": False,
        "reason": reason,
        "profile": summary.profile or None,
        "runtime": summary.runtime or None,
        "mode": summary.run_mode,
        "ports": [f"{port.host_ip}:{port.host_port}->{port.container_port}" for port in summary.ports],
        "started_at": sandbox.started_at if sandbox is not None and runs else None,
        "restarts": 0,
        "image": summary.image,
    }
