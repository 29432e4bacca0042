"""``code/<name>`` and ``skills/<name>``: relative links to an agent's source, remade before every start.

A link is replaced in one step. A real file or folder in the way is left alone and told. Nothing is linked
that resolves outside the workspace.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ploinky.base.errors import NotFoundError, PloinkyError
from ploinky.workspace.layout import Layout

if TYPE_CHECKING:
    from ploinky.workspace.registry import RegistryEntry

CODE_FOLDER = "code"
SKILLS_FOLDERS = (".AchillesSkills", "skills")


def code_source(layout: Layout, repo: str, agent: str) -> Path:
    """The agent's code: its ``code/``, or its folder if it has none. Not resolved, not checked."""
    folder = layout.agent_source(repo, agent)
    code = folder / CODE_FOLDER
    return code if code.is_dir() else folder


def skills_source(layout: Layout, repo: str, agent: str) -> Path | None:
    """The agent's skills, or None if it has none."""
    folder = layout.agent_source(repo, agent)
    return next((folder / name for name in SKILLS_FOLDERS if (folder / name).is_dir()), None)


def make_links(layout: Layout, entry: RegistryEntry) -> list[str]:
    """Make or correct the links of one agent; notices about what is in the way.

    Raises:
        NotFoundError: ``AGENT_SOURCE_MISSING`` if the repository has no such folder.
        PloinkyError: ``LINK_ESCAPES`` if code, skills or the links' own folders lie outside the workspace.
    """
    if not layout.agent_source(entry.repo_name, entry.agent_name).is_dir():
        raise NotFoundError(
            "AGENT_SOURCE_MISSING",
            f"Repository '{entry.repo_name}' has no agent '{entry.agent_name}' any more.",
            hint=f"Bring it back with the repository, or: ploinky disable agent {entry.key}",
            details={"agent": entry.key, "repo": entry.repo_name},
        )
    notices = []
    for link, target in wanted_links(layout, entry):
        _require_inside(layout, link.parent)
        if target is not None:
            _require_inside(layout, target)
        if link.exists() and not link.is_symlink():
            notices.append(f"{link.relative_to(layout.root)} is not a link; it was left alone.")
        elif target is None:
            link.unlink(missing_ok=True)
        else:
            _point(link, target)
    return notices


def remove_links(layout: Layout, key: str) -> None:
    """Remove the links of one agent; real files of that name stay."""
    for link in (layout.code_link(key), layout.skills_link(key)):
        if link.is_symlink():
            link.unlink(missing_ok=True)


def wanted_links(layout: Layout, entry: RegistryEntry) -> Iterator[tuple[Path, Path | None]]:
    """Each link of an agent and what it should point to; None: there should be none."""
    yield layout.code_link(entry.key), code_source(layout, entry.repo_name, entry.agent_name)
    yield layout.skills_link(entry.key), skills_source(layout, entry.repo_name, entry.agent_name)


def link_text(link: Path, target: Path) -> str:
    """The relative text of a link, counted from where its folder really lies."""
    return os.path.relpath(target, os.path.realpath(link.parent))


def points_to(link: Path, target: Path) -> bool:
    """Whether ``link`` is the very link that ``make_links`` makes."""
    return link.is_symlink() and os.readlink(link) == link_text(link, target)  # noqa: PTH115 (its text)


def _point(link: Path, target: Path) -> None:
    if points_to(link, target):
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    fresh = link.with_name(f".tmp-{link.name}-{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(link_text(link, target))
    fresh.replace(link)


def _require_inside(layout: Layout, path: Path) -> None:
    resolved = Path(os.path.realpath(path))  # pathlib's raises where links go in a circle
    root = layout.root.resolve()
    if (resolved == root or root in resolved.parents) and not resolved.is_symlink():
        return
    raise PloinkyError(
        "LINK_ESCAPES",
        f"{path} leads outside the workspace, to {resolved}.",
        hint="Links inside a repository must stay inside the workspace; remove this one.",
        details={"path": str(path)},
    )
