"""What a container really has mounted, compared with what was meant, before anything runs in it.

An engine follows a path when it mounts. Who writes beside that path (an agent that writes the workspace)
could put a link there after it was checked. The launcher runs nothing until it is told, so a look from
outside, by file and device number, comes in time. It needs the engine's processes in this ``/proc``.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ploinky.base.errors import PloinkyError
from ploinky.base.files import hold_path
from ploinky.runtimes.engine_config import HOSTS_TARGET, MASKED_FILE
from ploinky.runtimes.engine_models import ContainerReport, MountPoint
from ploinky.runtimes.errors import start_failed
from ploinky.runtimes.spec import LAUNCHER_MOUNT, SOCKET_MOUNT

_MOST_LINKS = 40
# from folders that no agent writes, and that a person's own links may lead to
_OURS = frozenset({LAUNCHER_MOUNT, SOCKET_MOUNT, HOSTS_TARGET})


def require_meant_mounts(report: ContainerReport) -> None:
    """See that what a running container has mounted of the agent's is the file or folder at its source.

    Raises:
        PloinkyError: CONTAINER_START_FAILED naming the first that is another.
    """
    try:
        root = os.open(f"/proc/{report.state.pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return  # it ended already, or it is not ours to look at
    try:
        for mount in report.mounts:
            if _is_agents(mount) and not _is_meant(root, mount.source, mount.destination):
                raise _other(report.name.removeprefix("/"), mount.source, mount.destination)
    finally:
        os.close(root)


def _is_agents(mount: MountPoint) -> bool:
    """Whether the spec gave the mount; its sources are resolved, so a link in one came later."""
    own = mount.destination in _OURS or mount.source == str(MASKED_FILE)
    return mount.type == "bind" and not own


def _is_meant(root: int, source: str, target: str) -> bool:
    try:
        held = hold_path(Path(source))
    except OSError:
        return False
    try:
        meant = os.fstat(held)
    finally:
        os.close(held)
    try:
        mounted = _hold_inside(root, target)
    except OSError:
        return False
    try:
        found = os.fstat(mounted)
    finally:
        os.close(mounted)
    return (found.st_dev, found.st_ino) == (meant.st_dev, meant.st_ino)


def _hold_inside(root: int, target: str) -> int:
    """A descriptor of ``target`` as processes with that root see it: links of the image lead to its inside.

    Raises:
        OSError: if there is nothing.
    """
    parts, links = _parts(target), 0
    trail = [os.dup(root)]
    try:
        while parts:
            part = parts.pop(0)
            if part == "..":
                if len(trail) > 1:
                    os.close(trail.pop())
                continue
            step = os.open(part, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=trail[-1])
            trail.append(step)
            if stat.S_ISLNK(os.fstat(step).st_mode):
                links += 1
                text = os.readlink("", dir_fd=step)
                os.close(trail.pop())
                if links > _MOST_LINKS:
                    raise OSError(f"too many links on the way to {target}")
                while text.startswith("/") and len(trail) > 1:
                    os.close(trail.pop())
                parts = [*_parts(text), *parts]
        return os.dup(trail[-1])
    finally:
        for each in trail:
            os.close(each)


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _other(name: str, source: str, target: str) -> PloinkyError:
    return start_failed(
        name,
        f"{target} is not what lies at {source}: a link was put there, or it was replaced meanwhile.",
        hint="Look at that path, put the folder itself there, and start again.",
    )
