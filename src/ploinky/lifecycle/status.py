"""What is known of one agent at this moment."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ploinky.runtimes.protocol import Sandbox, SandboxState
from ploinky.runtimes.spec import PublishedPort
from ploinky.workspace.registry import RegistryEntry
from ploinky.workspace.states import AgentState


class Health(StrEnum):
    """How an agent is, beside its state."""

    READY = "ready"
    NOT_READY = "not ready"
    STARTING = "starting"
    RESTARTING = "restarting"
    STOPPED = "stopped"


@dataclass(frozen=True)
class AgentStatus:
    """``ready`` gates routing; ``reason`` says why in words if it is false. ``socket_path`` is the
    launcher's while the sandbox runs. ``pid`` is that of the agent's command inside its sandbox.
    ``started_at`` is ISO 8601 UTC, ``restarts`` counts those of the agent's command."""

    key: str
    agent: str
    repo: str
    state: AgentState
    ready: bool
    reason: str
    health: Health
    pid: int | None
    restarts: int
    started_at: str | None
    ports: tuple[PublishedPort, ...]
    image: str
    runtime: str
    socket_path: Path | None


def status_of(entry: RegistryEntry, sandbox: Sandbox | None, runtime: str) -> AgentStatus:
    """What the registry and the engine say, nobody having asked the agent itself."""
    runs = sandbox is not None and sandbox.state is SandboxState.RUNNING
    working = entry.state in (AgentState.CREATING, AgentState.STARTING)
    return AgentStatus(
        key=entry.key,
        agent=entry.agent_name,
        repo=entry.repo_name,
        state=entry.state,
        ready=False,
        reason=entry.state_reason,
        health=Health.STARTING if runs or working else Health.STOPPED,
        pid=None,
        restarts=0,
        started_at=sandbox.started_at if sandbox is not None and runs else None,
        ports=sandbox.ports if sandbox is not None and runs else (),
        image=entry.container_image,
        runtime=entry.runtime or runtime,
        socket_path=None,
    )
