"""Whether a workspace is as it should be, and putting it right.

Each check yields issues; an issue knows its own repair, or has none where a person must decide. To add a
check: a function of the layout in ``_CHECKS``. Checking changes nothing.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ploinky.base.errors import PloinkyError
from ploinky.base.files import write_atomic
from ploinky.workspace.documents import read_json
from ploinky.workspace.layout import Layout
from ploinky.workspace.links import make_links, points_to, wanted_links
from ploinky.workspace.registry import Registry
from ploinky.workspace.settings import load_settings
from ploinky.workspace.structure import CONTROL_GITIGNORE, folders, make_folder

_OLD_ENOUGH_S = 60.0


@dataclass(frozen=True)
class LayoutIssue:
    """One thing that is wrong. ``fix`` is what a repair would do, None if a person must decide."""

    path: Path
    problem: str
    fix: str | None = None
    apply: Callable[[], object] | None = field(default=None, compare=False, repr=False)


def check_layout(layout: Layout) -> list[LayoutIssue]:
    """Everything that is wrong with the layout, in the order in which it should be repaired."""
    return [issue for check in _CHECKS for issue in check(layout)]


def repair(issues: list[LayoutIssue]) -> list[str]:
    """Repair what can be repaired; one line for each that was.

    Raises:
        PloinkyError: what the first failing repair raises; those before it are done.
    """
    done = []
    for issue in issues:
        if issue.apply is not None:
            issue.apply()
            done.append(f"{issue.path}: {issue.fix}")
    return done


def _folders(layout: Layout) -> Iterator[LayoutIssue]:
    for folder in folders(layout):
        if not folder.exists() and not folder.is_symlink():
            yield LayoutIssue(folder, "is missing", "made", partial(make_folder, layout, folder))
        elif not folder.is_dir():
            yield LayoutIssue(folder, "is not a folder")
        elif layout.root not in folder.resolve().parents:
            yield LayoutIssue(folder, f"leads outside the workspace, to {folder.resolve()}")
        elif folder.is_symlink():
            yield LayoutIssue(folder, f"is a link, to {folder.resolve()}; put a folder in its place")


def _gitignore(layout: Layout) -> Iterator[LayoutIssue]:
    path = layout.control / ".gitignore"
    if layout.control.is_dir() and not path.exists():
        yield LayoutIssue(
            path,
            "is missing; git could see secrets and live state",
            "written",
            partial(write_atomic, path, CONTROL_GITIGNORE.encode()),
        )


def _private_files(layout: Layout) -> Iterator[LayoutIssue]:
    private = (layout.secrets_file, layout.credentials_file, layout.owner_token_file, layout.signing_key_file)
    for path in private:
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except FileNotFoundError:
            continue
        if mode & 0o077:
            problem = f"can be read by others (mode {mode:04o})"
            yield LayoutIssue(path, problem, "made private (0600)", partial(path.chmod, 0o600))


def _leftovers(layout: Layout) -> Iterator[LayoutIssue]:
    for folder in (layout.control, layout.running, layout.code, layout.skills):
        for path in sorted(folder.glob(".tmp-*")) if folder.is_dir() and not folder.is_symlink() else ():
            if time.time() - path.lstat().st_mtime > _OLD_ENOUGH_S:
                yield LayoutIssue(
                    path,
                    "is a temporary file that a killed command left",
                    "removed",
                    partial(path.unlink, missing_ok=True),
                )


def _documents(layout: Layout) -> Iterator[LayoutIssue]:
    readers: tuple[tuple[Path, Callable[[], object]], ...] = (
        (layout.registry_file, lambda: Registry(layout).read()),
        (layout.config_file, lambda: load_settings(layout)),
        (layout.enabled_repos_file, lambda: read_json(layout.enabled_repos_file, code="FILE_SYNTAX")),
        (layout.trust_file, lambda: read_json(layout.trust_file, code="FILE_SYNTAX")),
    )
    for path, read in readers:
        try:
            read()
        except PloinkyError as error:
            yield LayoutIssue(path, error.message)


def _links(layout: Layout) -> Iterator[LayoutIssue]:
    try:
        entries = Registry(layout).read()
    except PloinkyError:
        return  # told by _documents
    for entry in entries.values():
        if not layout.agent_source(entry.repo_name, entry.agent_name).is_dir():
            problem = f"is missing, but agent '{entry.key}' is enabled"
            yield LayoutIssue(layout.agent_source(entry.repo_name, entry.agent_name), problem)
            continue
        for link, target in wanted_links(layout, entry):
            if link.exists() and not link.is_symlink():
                yield LayoutIssue(link, f"is in the way of a link of agent '{entry.key}'")
            elif (target is None and link.is_symlink()) or (
                target is not None and not points_to(link, target)
            ):
                yield LayoutIssue(
                    link,
                    f"is not the link that agent '{entry.key}' needs",
                    "remade",
                    partial(make_links, layout, entry),
                )
    yield from _stray_links(layout, set(entries))


def _stray_links(layout: Layout, keys: set[str]) -> Iterator[LayoutIssue]:
    for folder in (layout.code, layout.skills):
        for link in sorted(folder.iterdir()) if folder.is_dir() else ():
            ours = link.is_symlink() and layout.repos in Path(os.path.realpath(link)).parents
            if ours and link.name not in keys and not link.name.startswith(".tmp-"):
                yield LayoutIssue(
                    link,
                    "is a link of an agent that is not enabled",
                    "removed",
                    partial(link.unlink, missing_ok=True),
                )


_CHECKS = (_folders, _gitignore, _private_files, _leftovers, _documents, _links)
