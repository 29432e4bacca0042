"""Whether removing a repository of the workspace would lose work that exists nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import anyio.to_thread

from ploinky.repos.folders import folder_digest, read_note
from ploinky.repos.git import Git


async def has_unsaved_work(folder: Path, environ: Mapping[str, str]) -> bool:
    """True for a clone with changes or commits that its source lacks, a copy that differs from what was
    copied, and a folder made by hand. An empty folder holds nothing."""
    if not any(folder.iterdir()):  # noqa: ASYNC240 (one folder of the local disk)
        return False
    if (folder / ".git").exists():
        return await _clone_differs(Git(environ), folder)
    note = await anyio.to_thread.run_sync(read_note, folder)
    return note is None or note.digest != await anyio.to_thread.run_sync(folder_digest, folder)


async def _clone_differs(git: Git, folder: Path) -> bool:
    changed = await git.query(folder, "status", "--porcelain")
    ahead = await git.query(folder, "log", "--oneline", "-n", "1", "--branches", "--not", "--remotes")
    return bool(changed.returncode or changed.stdout.strip() or ahead.stdout.strip())
