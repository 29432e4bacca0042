"""The status of a workspace as its files have it, without heavy imports: nothing here may load pydantic.

``settled_status`` is the whole answer while nothing claims to run; else the engine must be asked, which
``status`` beside this file does.
"""

from __future__ import annotations

from collections.abc import Mapping

from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.operations.endpoint import Endpoint, find_endpoint
from ploinky.runtimes.protocol import Sandbox, SandboxState
from ploinky.workspace.layout import Layout
from ploinky.workspace.profiles import active_profile
from ploinky.workspace.states import AgentState, Desired
from ploinky.workspace.summary import AgentSummary, read_summaries

_CLAIMS_TO_RUN = (AgentState.CREATING, AgentState.STARTING, AgentState.RUNNING)


def settled_status(layout: Layout, environ: Mapping[str, str], profile: str | None) -> JsonObject | None:
    """The status by the files alone, or None if an agent runs or should, so that its engine must say.

    ``profile`` is what the command line named.
    """
    summaries = read_summaries(layout)
    if claims_to_run(summaries):
        return None
    return status_value(
        layout,
        profile=active_profile(layout, environ, profile).name,
        endpoint=find_endpoint(layout),
        agents=[claimed_facts(each, None) for each in summaries],
    )


def claims_to_run(summaries: tuple[AgentSummary, ...]) -> bool:
    """Whether any agent runs or should, as far as the registry knows."""
    return any(each.state in _CLAIMS_TO_RUN or each.desired is Desired.RUNNING for each in summaries)


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


def claimed_facts(summary: AgentSummary, sandbox: Sandbox | None) -> JsonObject:
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
