"""What is known of one agent at this moment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ploinky.runtimes.spec import PublishedPort
from ploinky.workspace.states import AgentState


@dataclass(frozen=True)
class AgentStatus:
    """``ready`` gates routing. ``health`` is ``ready``, ``not ready``, ``starting``, ``restarting`` or
    ``stopped``; ``reason`` says why in words. ``socket_path`` is the launcher's while it runs.
    ``started_at`` is ISO 8601 UTC, ``restarts`` counts those of the agent's command."""

    key: str
    agent: str
    repo: str
    state: AgentState
    ready: bool
    reason: str
    health: str
    pid: int | None
    restarts: int
    started_at: str | None
    ports: tuple[PublishedPort, ...]
    image: str
    runtime: str
    socket_path: Path | None
