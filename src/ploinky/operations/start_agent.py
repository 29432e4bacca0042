"""Which agent a person named last in a start: its pages are those of the workspace."""

from __future__ import annotations

from ploinky.base.files import read_text, write_atomic
from ploinky.workspace.layout import Layout


def start_agent(layout: Layout) -> str | None:
    """The agent's key, or None if no agent was ever named."""
    return (read_text(layout.start_agent_file) or "").strip() or None


def remember_start_agent(layout: Layout, key: str) -> None:
    """Keep it; the last one counts."""
    if start_agent(layout) != key:
        write_atomic(layout.start_agent_file, f"{key}\n".encode())
