"""Which engine holds this workspace's sandboxes, so that every later command uses the same one.

Written when a command first makes something, removed when nothing is left. Without it, ``auto`` could
choose another engine tomorrow and no longer see what runs.
"""

from __future__ import annotations

from pathlib import Path

from ploinky.base.errors import UsageError
from ploinky.base.files import read_text, write_atomic
from ploinky.workspace.layout import Layout


def _file(layout: Layout) -> Path:
    return layout.running / "engine"


def remembered_engine(layout: Layout) -> str | None:
    """The engine in use, or None if nothing was made yet."""
    return (read_text(_file(layout)) or "").strip() or None


def remember_engine(layout: Layout, kind: str) -> None:
    if remembered_engine(layout) != kind:
        write_atomic(_file(layout), f"{kind}\n".encode())


def forget_engine(layout: Layout) -> None:
    _file(layout).unlink(missing_ok=True)


def engine_to_use(layout: Layout, *, asked: str | None, configured: str) -> str:
    """The engine's name for this command: the one in use, else as asked, else as configured.

    Raises:
        UsageError: ``ENGINE_IN_USE`` if another one is asked for while sandboxes of the first exist.
    """
    used = remembered_engine(layout)
    if used is None:
        return asked or configured
    if asked not in (None, "auto", used):
        raise UsageError(
            "ENGINE_IN_USE",
            f"This workspace has sandboxes of '{used}'; '{asked}' cannot be used beside them.",
            hint="Remove them first: ploinky shutdown",
        )
    return used
