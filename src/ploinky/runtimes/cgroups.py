"""Control groups for sandboxes without an engine: find a place for them, make one, remove it.

Version 1 (one tree per controller) and version 2 (one tree) are both known. A place is usable when this
user may make folders there and the controller is on. Nothing is assumed of systemd.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

from ploinky.base.waits import wait_until
from ploinky.runtimes.spec import Resources

_PERIOD_US = 100_000
_REMOVE_TIMEOUT_S = 5.0


class Limit(StrEnum):
    """A limit and, by the same word, the controller that enforces it."""

    MEMORY = "memory"
    PIDS = "pids"
    CPU = "cpu"


@dataclass(frozen=True)
class CgroupHome:
    """Where groups may be made: ``bases`` by limit (one folder for all in version 2)."""

    version: int
    bases: Mapping[Limit, Path]

    def folders(self, name: str) -> tuple[Path, ...]:
        """The folders that the group of one sandbox has here, each once."""
        return tuple(dict.fromkeys(base / f"ploinky-{name}" for base in self.bases.values()))

    @property
    def limits(self) -> frozenset[Limit]:
        return frozenset(self.bases)


def find_cgroup_home(proc: Path = Path("/proc/self"), *, root: Path = Path("/")) -> CgroupHome | None:
    """The best place for groups on this host, or None when there is none.

    ``proc`` and ``root`` are other folders in tests.
    """
    mounts = _cgroup_mounts((proc / "mountinfo").read_text(encoding="utf-8"))
    own = _own_groups((proc / "cgroup").read_text(encoding="utf-8"))
    for mount, _ in (each for each in mounts if each[1] is None):
        base = _v2_base(root / mount.lstrip("/"), own.get("", "/"))
        if base is not None:
            return CgroupHome(2, dict.fromkeys(_v2_limits(base), base))
    bases: dict[Limit, Path] = {}
    for limit in Limit:
        for mount, controllers in mounts:
            if controllers is not None and limit in controllers:
                top = root / mount.lstrip("/")
                places = [top, top / own.get(limit, "/").lstrip("/")]
                bases.update([(limit, place) for place in places if _may_make(place)][:1])
    return CgroupHome(1, bases) if bases else None


def make_group(home: CgroupHome, name: str, resources: Resources) -> frozenset[Limit]:
    """Make an empty group with the limits; the limits that it really enforces.

    Raises:
        OSError: when a folder cannot be made or a limit is refused; folders may be left.
    """
    for folder in home.folders(name):
        with contextlib.suppress(FileNotFoundError):
            folder.rmdir()
        folder.mkdir(mode=0o755)
    enforced = set()
    for limit, base in home.bases.items():
        folder = base / f"ploinky-{name}"
        settings = _settings(home.version, limit, resources)
        for file, value in settings:
            if (folder / file).exists():
                (folder / file).write_text(value, encoding="ascii")
        if settings and (folder / settings[0][0]).exists():
            enforced.add(limit)
    return frozenset(enforced)


def entry_files(home: CgroupHome, name: str) -> tuple[Path, ...]:
    """The files into which a process writes ``0`` to enter the group."""
    return tuple(folder / "cgroup.procs" for folder in home.folders(name))


async def remove_groups(folders: Sequence[Path]) -> None:
    """Remove groups whose processes are ending or have ended.

    Raises:
        DeadlineError: when processes stay in one.
    """
    for folder in folders:
        await _remove_group(folder)


async def _remove_group(folder: Path) -> None:
    async def gone() -> bool:
        return _try_remove(folder)

    await wait_until(gone, what=f"{folder} to become empty", timeout_s=_REMOVE_TIMEOUT_S)


def _try_remove(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _settings(version: int, limit: Limit, resources: Resources) -> list[tuple[str, str]]:
    """Files and values of one limit; the first is the one that counts."""
    memory, pids, cpus = resources.memory, resources.pids, resources.cpus
    if limit is Limit.MEMORY and memory is not None:
        if version == 2:
            return [("memory.max", str(memory)), ("memory.swap.max", "0"), ("memory.oom.group", "0")]
        return [("memory.limit_in_bytes", str(memory)), ("memory.memsw.limit_in_bytes", str(memory))]
    if limit is Limit.PIDS and pids is not None:
        return [("pids.max", str(pids + 1))]  # one more: bwrap's monitor is in the group
    if limit is Limit.CPU and cpus is not None:
        quota = str(max(1000, int(cpus * _PERIOD_US)))
        if version == 2:
            return [("cpu.max", f"{quota} {_PERIOD_US}")]
        return [("cpu.cfs_quota_us", quota), ("cpu.cfs_period_us", str(_PERIOD_US))]
    return []


def _cgroup_mounts(mountinfo: str) -> list[tuple[str, frozenset[str] | None]]:
    """(mount point, controllers) of every cgroup mount; None instead of controllers for version 2."""
    found: list[tuple[str, frozenset[str] | None]] = []
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = [*right.split(" "), "", ""][:3]
        if kind == "cgroup2":
            found.append((left.split()[4], None))
        elif kind == "cgroup":
            found.append((left.split()[4], frozenset(options.split(","))))
    return found


def _own_groups(text: str) -> dict[str, str]:
    """The group of this process by controller; ``""`` is version 2."""
    own: dict[str, str] = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        own.update(dict.fromkeys(controllers.split(","), path))
    return own


def _v2_base(mount: Path, own: str) -> Path | None:
    """The group in which children get controllers: for root from the top down, else from here up."""
    here = PurePosixPath(own)
    chain = [mount / str(each).lstrip("/") for each in (here, *here.parents)]
    if os.geteuid() == 0:
        chain.reverse()
    for place in chain:
        if _v2_limits(place) >= {Limit.MEMORY, Limit.PIDS} and _may_make(place):
            return place
    return None


def _v2_limits(place: Path) -> set[Limit]:
    try:
        words = (place / "cgroup.subtree_control").read_text(encoding="ascii").split()
    except OSError:
        return set()
    return {limit for limit in Limit if limit.value in words}


def _may_make(place: Path) -> bool:
    return place.is_dir() and os.access(place, os.W_OK) and os.access(place / "cgroup.procs", os.W_OK)
