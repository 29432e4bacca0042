"""The folders of a workspace, and what git should not see of it. Making them again changes nothing."""

from __future__ import annotations

from pathlib import Path

from ploinky.base.errors import PloinkyError, UsageError
from ploinky.base.files import FileLock, read_text, write_atomic
from ploinky.workspace.layout import CONTROL_FOLDER, Layout

CONTROL_GITIGNORE = """\
# secrets, logs and live state stay out of git; settings, enabled repositories and the profile may go in
.secrets
.secrets.*
credentials.sealed
*.key
trust.json
agents
agents.json
routing.json
exposed.json
running/
logs/
deps/
data/
repos/
.tmp-*
"""
ROOT_ENTRIES = ("agents/", "code/", "skills/", ".env.*")
_PRIVATE = 0o700


def folders(layout: Layout) -> tuple[Path, ...]:
    """Every folder that a workspace has, parents first."""
    control = (layout.control, layout.repos, layout.running, layout.logs, layout.deps)
    return (*control, layout.agents, layout.code, layout.skills, layout.shared)


def init_workspace(root: Path) -> Layout:
    """Make ``root`` a workspace, or complete it; files that are there stay as they are.

    Raises:
        UsageError: ``BAD_WORKSPACE`` if the folder does not exist or lies inside a ``.ploinky``.
        PloinkyError: ``LAYOUT_BLOCKED`` if a file is in the place of a folder, or one cannot be made.
    """
    layout = Layout(root.resolve())
    if not layout.root.is_dir() or CONTROL_FOLDER in layout.root.parts:
        raise UsageError("BAD_WORKSPACE", f"{root} cannot be a workspace.", hint="Choose another folder.")
    for folder in folders(layout):
        make_folder(layout, folder)
    gitignore = layout.control / ".gitignore"
    if not gitignore.exists():
        write_atomic(gitignore, CONTROL_GITIGNORE.encode())
    return layout


def make_folder(layout: Layout, folder: Path) -> None:
    """Make one folder of the layout; live state is private.

    Raises:
        PloinkyError: ``LAYOUT_BLOCKED``.
    """
    try:
        folder.mkdir(mode=_PRIVATE if folder == layout.running else 0o777, exist_ok=True)
    except FileExistsError:
        raise _blocked(folder, "a file is in its place") from None
    except OSError as error:
        raise _blocked(folder, str(error.strerror)) from error
    if folder.is_symlink():  # an agent in global mode may have put it there
        raise _blocked(folder, "a link is in its place")


def propose_gitignore(layout: Layout) -> tuple[str, ...]:
    """Entries that the workspace's own ``.gitignore`` should have and has not."""
    present = {line.strip().strip("/") for line in (read_text(_root_gitignore(layout)) or "").splitlines()}
    return tuple(entry for entry in ROOT_ENTRIES if entry.strip("/") not in present)


def add_to_gitignore(layout: Layout, entries: tuple[str, ...]) -> None:
    """Append entries to the workspace's ``.gitignore``; its other lines stay."""
    with FileLock(layout.lock("gitignore")):
        text = read_text(_root_gitignore(layout)) or ""
        if text and not text.endswith("\n"):
            text += "\n"
        write_atomic(_root_gitignore(layout), (text + "".join(f"{entry}\n" for entry in entries)).encode())


def _root_gitignore(layout: Layout) -> Path:
    return layout.root / ".gitignore"


def _blocked(folder: Path, reason: str) -> PloinkyError:
    return PloinkyError(
        "LAYOUT_BLOCKED",
        f"Cannot make the folder {folder}: {reason}.",
        hint="Move what is in the way, then: ploinky doctor",
        details={"path": str(folder)},
    )
