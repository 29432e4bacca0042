"""What an agent sees of the host, and where: the mounts of each run mode.

Every source is resolved before it is mounted. A mount point below another mount must exist in what is
mounted there, since nothing can be made under a read-only mount: ``make_mount_points`` makes it, an empty
folder in the agent's source, which git does not see. A real mount rather than ``NODE_PATH`` alone, because
ES modules are looked for upwards from the importing file only.
"""

from __future__ import annotations

import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from ploinky.base.errors import PloinkyError, UsageError
from ploinky.base.files import require_unlinked, safe_join
from ploinky.lifecycle.dependencies import NODE_FOLDER, code_folder, require_own
from ploinky.manifest.refs import RunMode
from ploinky.manifest.values import EffectiveConfig
from ploinky.runtimes.spec import Mount
from ploinky.secrets.environment import ResolvedEnvironment, expand_shown
from ploinky.workspace.assistant_folders import assistant_folders, usual_assistant_folder
from ploinky.workspace.layout import Layout

CODE_TARGET = "/code"
AGENT_TARGET = "/agent"
SHARED_TARGET = "/shared"
SKILLS_TARGET = "/code/.AchillesSkills"
_SKILLS_NAMES = (".AchillesSkills", "skills")
_WORLD_WRITABLE = 0o777
# the files of MCP clients may hold the owner's token, and name commands that the clients run
_SECRET_FILES = (".env", ".env.*", ".mcp.json*", ".cursor/mcp.json*", ".vscode/mcp.json*")


@dataclass(frozen=True)
class Seen:
    """All that an agent sees of the host. ``masks`` are paths inside that appear empty and unwritable."""

    mounts: tuple[Mount, ...]
    masks: tuple[str, ...]


@dataclass(frozen=True)
class Place:
    """Where one agent lies: its registry key, its folder in a repository, its mode and project path.

    ``kept`` are files of the folder that it never writes, though its code may be its whole folder: what
    gives it rights, and what runs on the host.
    """

    key: str
    folder: Path
    mode: RunMode
    project: Path
    kept: Collection[Path] = ()


def plan_mounts(
    layout: Layout, place: Place, config: EffectiveConfig, *, has_node: bool, given: ResolvedEnvironment
) -> Seen:
    """The mounts of one agent, parents before what lies below them.

    Raises:
        UsageError: PATH_ESCAPES, VOLUME_FORBIDDEN, CONTROL_FILES_SHOWN.
        PloinkyError: MOUNT_POINT_BLOCKED; UNRESOLVED_VARIABLE; SECRET_SHOWN; FOLDER_IS_LINK.
    """
    mounts = [*_fixed(layout, place, config, has_node=has_node), *_working(layout, place)]
    for volume in config.volumes:
        host = expand_shown(volume.host, given, what=f"The volume {volume.host!r} of agent '{config.agent}'")
        mounts.append(Mount(_volume_source(layout, host), volume.container, volume.read_only))
    _hide_control(layout, place, mounts)
    masks = _masks(layout, place)
    kept = {each.target: each for mount in mounts for each in _kept(mount, place.kept)}
    mounts += (each for target, each in kept.items() if target not in masks)
    # the same order in every process: the order is part of the spec's digest
    mounts.sort(key=lambda mount: (len(PurePosixPath(mount.target).parts), mount.target))
    return Seen(tuple(mounts), masks)


def find_skills(folder: Path) -> Path | None:
    """The agent's skills folder, if it has one."""
    return next((folder / name for name in _SKILLS_NAMES if (folder / name).is_dir()), None)


def make_folders(layout: Layout, place: Place, config: EffectiveConfig, seen: Seen) -> None:
    """Make what is to be mounted or masked and is missing: the working folder, volumes, ``node_modules``."""
    for mount in seen.mounts:
        mount.source.mkdir(parents=True, exist_ok=True) if not mount.source.exists() else None
    if place.mode is RunMode.GLOBAL:
        usual = usual_assistant_folder(layout)
        if not usual.exists():
            usual.mkdir(mode=0o700, exist_ok=True)  # what is missing cannot be masked
    targets = {mount.target: mount.source for mount in seen.mounts}
    for target, options in config.volume_options.items():
        source = targets.get(target)
        if source is None:
            continue
        if options.chmod is not None:
            source.chmod(stat.S_IMODE(options.chmod))
        for name in options.world_writable_subfolders:
            folder = safe_join(source, name)
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(_WORLD_WRITABLE)


def make_mount_points(seen: Seen) -> None:
    """Make the empty folders that mounts below other mounts need.

    Raises:
        PloinkyError: MOUNT_POINT_BLOCKED if a link or a file lies there, or it cannot be made.
    """
    for path, target in _mount_points(seen):
        if path.resolve() != path or (path.exists() and not path.is_dir()):
            raise _blocked(path, target, "it is or leads through a link, or it is a file")
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _blocked(path, target, error.strerror or str(error)) from error


def remove_mount_points(folder: Path) -> None:
    """Remove the empty folders that ``make_mount_points`` left in an agent's source."""
    code = code_folder(folder)
    for path in (code / NODE_FOLDER, code / PurePosixPath(SKILLS_TARGET).name):
        if path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
            path.rmdir()


def _fixed(layout: Layout, place: Place, config: EffectiveConfig, *, has_node: bool) -> Iterator[Mount]:
    devel = place.mode is RunMode.DEVEL
    yield Mount(place.folder.resolve(), AGENT_TARGET, read_only=True)
    yield Mount(code_folder(place.folder).resolve(), CODE_TARGET, not (config.code_writable or devel))
    if has_node:
        source = require_unlinked(layout.work_dir(place.key) / NODE_FOLDER)
        yield Mount(source, f"{CODE_TARGET}/{NODE_FOLDER}", read_only=True)
    skills = find_skills(place.folder)
    if skills is not None:
        source = require_own(place.folder, skills).resolve()
        yield Mount(source, SKILLS_TARGET, not (config.skills_writable or devel))
    yield Mount(require_unlinked(layout.shared), SHARED_TARGET, read_only=False)


def _working(layout: Layout, place: Place) -> Iterator[Mount]:
    """What the agent may write, at the same path as on the host."""
    if place.mode is RunMode.GLOBAL:
        yield Mount(layout.root, str(layout.root), read_only=False)
        return
    work_dir = require_unlinked(layout.work_dir(place.key))
    yield Mount(work_dir, str(work_dir), read_only=False)
    if place.mode is RunMode.DEVEL:
        project = place.project.resolve()
        yield Mount(project, str(project), read_only=False)


def _hide_control(layout: Layout, place: Place, mounts: Collection[Mount]) -> None:
    """Refuse a mount that shows the control files: only a global agent's of the workspace at its own path,
    where they are masked, may."""
    for mount in mounts:
        masked = place.mode is RunMode.GLOBAL and mount.source == layout.root == Path(mount.target)
        if not masked and (mount.source == layout.control or mount.source in layout.control.parents):
            raise UsageError(
                "CONTROL_FILES_SHOWN",
                f"Agent '{place.key}' would see the control files in {layout.control}, at {mount.target}.",
                hint="Keep its source in a folder of its own, beside .ploinky or elsewhere.",
                details={"agent": place.key},
            )


def _kept(mount: Mount, kept: Collection[Path]) -> Iterator[Mount]:
    """Read-only mounts over what a writable mount must keep as it is.

    It is the first step of the path inside the mount that is covered: what lies deeper could be moved away
    with the folder that it lies in.
    """
    if mount.read_only:
        return
    for path in kept:
        if mount.source not in path.parents:
            continue
        first = path.relative_to(mount.source).parts[0]
        source = mount.source / first
        if source.is_symlink():
            raise _blocked(source, f"{mount.target}/{first}", "a link cannot be kept unwritable")
        if source.exists():
            yield Mount(source, f"{mount.target}/{first}", read_only=True)


def _masks(layout: Layout, place: Place) -> tuple[str, ...]:
    """A global agent sees the workspace, but neither its control files nor assistants nor files that hold
    secrets."""
    if place.mode is not RunMode.GLOBAL:
        return ()
    folders = [layout.control, *assistant_folders(layout)]
    files = [path for pattern in _SECRET_FILES for path in layout.root.glob(pattern)]
    return (*map(str, folders), *sorted(str(path) for path in files if path.is_file()))


def _volume_source(layout: Layout, host: str) -> Path:
    source = safe_join(layout.root, host)
    control = layout.control.resolve()
    data = control / "data"
    if source == control or source in control.parents:
        covers = True
    else:
        covers = control in source.parents and not (source == data or data in source.parents)
    if covers:
        raise UsageError(
            "VOLUME_FORBIDDEN",
            f"The volume {host!r} would show the control files in .ploinky.",
            hint="Use a folder of the workspace, or one in .ploinky/data.",
        )
    if any(_overlap(source, folder) for folder in assistant_folders(layout)):
        raise UsageError(
            "VOLUME_FORBIDDEN",
            f"The volume {host!r} would show what assistants keep: threads, approvals, memory.",
            hint="Use a folder of its own, or shared/.",
        )
    if _shows_secrets(layout, source):
        raise UsageError(
            "VOLUME_FORBIDDEN",
            f"The volume {host!r} would show files that hold secrets (.env, or those of MCP clients).",
            hint="Use a folder of its own; variables and secrets reach an agent by its manifest's env.",
        )
    return source


def _overlap(one: Path, other: Path) -> bool:
    return one == other or one in other.parents or other in one.parents


def _shows_secrets(layout: Layout, source: Path) -> bool:
    """Whether a path is, will be or holds a file of the workspace's root that has secrets in it."""
    root = layout.root.resolve()
    relative = str(source.relative_to(root))
    if any(fnmatchcase(relative, pattern) for pattern in _SECRET_FILES):
        return True
    held = (path.resolve() for pattern in _SECRET_FILES for path in root.glob(pattern))
    return any(path == source or source in path.parents for path in held)


def _mount_points(seen: Seen) -> Iterator[tuple[Path, str]]:
    for mount in seen.mounts:
        if mount.source.is_file():
            continue
        target = PurePosixPath(mount.target)
        for parent in seen.mounts:
            above = PurePosixPath(parent.target)
            if above != target and above in target.parents and parent.source.is_dir():
                yield parent.source / target.relative_to(above), mount.target


def _blocked(path: Path, target: str, why: str) -> PloinkyError:
    return PloinkyError(
        "MOUNT_POINT_BLOCKED",
        f"Nothing can be mounted at {target}: {path} cannot be the mount point ({why}).",
        hint=f"Remove or move {path}, then start the agent again.",
        details={"path": str(path)},
    )
