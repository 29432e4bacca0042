"""Bring a repository forward to its source: never over local changes, never backwards; tell what changed."""

from __future__ import annotations

import shutil
from collections.abc import AsyncGenerator, Collection, Iterable
from contextlib import aclosing
from pathlib import Path

import anyio
import anyio.to_thread

from ploinky.base.errors import PloinkyError
from ploinky.base.redaction import Redactor
from ploinky.repos.folders import CopyNote, copy_folder, file_facts, folder_digest
from ploinky.repos.git import Git, git_failed
from ploinky.repos.staging import retired_name, staging_folder

FETCH_TIMEOUT_S = 600.0
_SHOWN = 10


async def update_clone(git: Git, repo: str, folder: Path, redactor: Redactor) -> AsyncGenerator[str, None]:
    """Fetch and fast-forward a clone.

    Raises:
        PloinkyError: ``REPO_LOCAL_CHANGES``, ``REPO_DIVERGED``, ``REPO_PINNED``, ``GIT_FAILED``.
    """
    status = await git.query(folder, "status", "--porcelain", "--untracked-files=no")
    if status.returncode != 0:
        raise git_failed(f"read repository '{repo}'", redactor.scrub(status.error_text))
    if status.stdout.strip():
        raise _local_changes(repo, folder, [line[3:] for line in status.text.splitlines()])
    upstream = await git.query(folder, "rev-parse", "--abbrev-ref", "--symbolic-full-name", "@{upstream}")
    if upstream.returncode != 0:
        raise _pinned(repo, folder)
    before = await _commit(git, folder, "HEAD")
    fetch = ["-C", str(folder), "fetch", "--progress", "--prune", "--no-recurse-submodules", "origin"]
    what = f"fetch repository '{repo}'"
    async with aclosing(git.follow(fetch, what=what, timeout_s=FETCH_TIMEOUT_S, redactor=redactor)) as lines:
        async for line in lines:
            yield line
    after = await _commit(git, folder, "@{upstream}")
    if after is None or before == after or await _is_ancestor(git, folder, after, "HEAD"):
        yield f"{repo} is up to date."
        return
    if before is not None and not await _is_ancestor(git, folder, before, after):
        raise _diverged(repo, folder)
    merge = await git.query(folder, "merge", "--ff-only", "@{upstream}", timeout_s=FETCH_TIMEOUT_S)
    if merge.returncode != 0:
        raise git_failed(f"update repository '{repo}'", redactor.scrub(merge.error_text))
    names = await git.query(folder, "diff", "--name-only", "-z", before, after) if before else None
    changed = names.text.split("\0") if names else []
    yield f"{repo}: {(before or 'empty')[:8]} → {after[:8]}; {_told([name for name in changed if name])}"


async def update_copy(
    repo: str, folder: Path, note: CopyNote, *, workspace: Path
) -> AsyncGenerator[str, None]:
    """Copy the source folder anew, if the copy is as it was made.

    Raises:
        PloinkyError: ``REPO_LOCAL_CHANGES``, ``REPO_SOURCE_NOT_FOUND``.
    """
    source = Path(note.folder)
    if not await anyio.Path(source).is_dir():
        raise PloinkyError(
            "REPO_SOURCE_NOT_FOUND",
            f"The folder {source}, of which '{repo}' is a copy, is gone.",
            hint="Nothing was changed; the copy goes on working.",
        )
    if await anyio.to_thread.run_sync(folder_digest, folder) != note.digest:
        raise _local_changes(repo, folder, [])
    before = await anyio.to_thread.run_sync(file_facts, folder)
    with staging_folder(folder.parent, folder.name) as staged:
        await anyio.to_thread.run_sync(lambda: copy_folder(source, staged, workspace=workspace))
        after = await anyio.to_thread.run_sync(file_facts, staged)
        if before == after:
            yield f"{repo} is up to date."
            return
        await anyio.to_thread.run_sync(_exchange, staged, folder)
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    yield f"{repo}: copied again from {source}; {_told(changed)}"


def _exchange(staged: Path, folder: Path) -> None:
    """Put ``staged`` in the place of ``folder``; after a kill between, ``remove_abandoned`` puts it back."""
    old = retired_name(staged)
    folder.rename(old)
    staged.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


async def _commit(git: Git, folder: Path, revision: str) -> str | None:
    found = await git.query(folder, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    return found.text.strip() or None


async def _is_ancestor(git: Git, folder: Path, old: str, new: str) -> bool:
    return (await git.query(folder, "merge-base", "--is-ancestor", old, new)).returncode == 0


def _told(changed: Collection[str]) -> str:
    agents = sorted({name.split("/")[0] for name in changed if "/" in name})
    files = f"{len(changed)} file{'' if len(changed) == 1 else 's'} changed"
    return f"{files} in {_some(agents)}." if agents else f"{files}."


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more


def _local_changes(repo: str, folder: Path, files: list[str]) -> PloinkyError:
    listed = f": {_some(files)}" if files else ""
    return PloinkyError(
        "REPO_LOCAL_CHANGES",
        f"Repository '{repo}' has local changes{listed}.",
        hint=f"Commit or undo them in {folder}, then update again; nothing was changed.",
        details={"repo": repo},
    )


def _diverged(repo: str, folder: Path) -> PloinkyError:
    return PloinkyError(
        "REPO_DIVERGED",
        f"Repository '{repo}' has commits of its own that its source does not have.",
        hint=f"Rebase or push them in {folder}, then update again; nothing was changed.",
        details={"repo": repo},
    )


def _pinned(repo: str, folder: Path) -> PloinkyError:
    return PloinkyError(
        "REPO_PINNED",
        f"Repository '{repo}' is not on a branch that follows its source.",
        hint=f"To follow one: git -C {folder} switch BRANCH",
        details={"repo": repo},
    )
