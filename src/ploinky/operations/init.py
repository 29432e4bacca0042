"""``init``: a workspace, and what its own git should not see."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from ploinky.base.jsontypes import JsonValue
from ploinky.wire.events import Event, Notice, Result
from ploinky.workspace.layout import find_workspace
from ploinky.workspace.structure import add_to_gitignore, init_workspace, propose_gitignore


async def init(root: Path, *, gitignore: bool) -> AsyncIterator[Event]:
    """Make ``root`` (absolute, resolved) a workspace or complete it.

    ``gitignore`` writes the entries that are else proposed.
    """
    outer = find_workspace(root)
    if outer is not None and outer.root != root:
        yield Notice(
            level="warning",
            message=f"{root} lies inside the workspace {outer.root}.",
            hint="Commands given here will mean the inner one from now on.",
        )
    existed = outer is not None and outer.root == root
    layout = init_workspace(root)
    yield Notice(message=f"{'Completed the' if existed else 'Made a'} workspace in {layout.root}")
    missing = propose_gitignore(layout)
    in_git = layout.root.joinpath(".git").exists()
    if missing and gitignore:
        add_to_gitignore(layout, missing)
        yield Notice(message=f"Added to .gitignore: {', '.join(missing)}")
    elif missing and in_git:
        yield Notice(
            message=f"Your .gitignore lacks {', '.join(missing)}.", hint="Add them: ploinky init --gitignore"
        )
    proposed: list[JsonValue] = [*missing]
    yield Result(value={"workspace": str(layout.root), "created": not existed, "gitignore": proposed})
