"""The command line of bwrap as a pure function of the spec, the host and the sandbox's own files.

Nothing here touches a disk. The launcher is the first process of its own namespaces, as an ordinary user
without capabilities, and outlives whoever started it: there is no ``--die-with-parent``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from ploinky.runtimes.bubblewrap_host import HOST_TOOLS, HostSystem
from ploinky.runtimes.bubblewrap_mounts import Place, ordered_places
from ploinky.runtimes.spec import LAUNCHER_MOUNT, SOCKET_MOUNT, SOCKET_NAME, NetworkMode, RunSpec

HOME = "/home/agent"
DEFAULT_ID = 1000
_SIZE_WITHOUT_LIMIT = 1024**3
_TMP = "/tmp"  # noqa: S108 (inside: a tmpfs of the sandbox's own)
_SHM = "/dev/shm"  # noqa: S108 (the same)
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

LAUNCHER_ARGV = (f"{LAUNCHER_MOUNT}/launcher", "serve", "--socket", f"{SOCKET_MOUNT}/{SOCKET_NAME}")


@dataclass(frozen=True)
class SandboxFiles:
    """Files that were written for one sandbox: a folder of ``/etc`` files by name, and an empty file."""

    etc: Path
    etc_names: tuple[str, ...]
    empty: Path


@dataclass(frozen=True)
class BwrapVersion:
    """What this bwrap can do: ``--size`` came with 0.7, ``--disable-userns`` with 0.8."""

    major: int
    minor: int

    @property
    def knows_size(self) -> bool:
        return (self.major, self.minor) >= (0, 7)

    @property
    def knows_disable_userns(self) -> bool:
        return (self.major, self.minor) >= (0, 8)


def user_ids(spec: RunSpec) -> tuple[int, int]:
    """The user and group that the agent sees itself as (1000 unless the spec says otherwise)."""
    user, _, group = (spec.security.user or "").partition(":")
    uid = int(user) if user.isdigit() else DEFAULT_ID
    return uid, int(group) if group.isdigit() else (uid if user.isdigit() else DEFAULT_ID)


def sandbox_args(
    spec: RunSpec,
    host: HostSystem,
    files: SandboxFiles,
    version: BwrapVersion,
    held: Mapping[str, int] = MappingProxyType({}),
) -> list[str]:
    """Every option of bwrap but those of its own open files; the command is not part of it.

    ``held`` are descriptors of mounts' sources by target, which are mounted instead of what lies at the
    paths by then.
    """
    args = [
        *_namespace_args(spec, version),
        *_env_args(spec, host),
        *system_args(host, version, _tmpfs_size(spec)),
        *etc_args(host, files),
    ]
    places = ordered_places(spec)
    for place in places:
        args += _place_args(place, files, version, held.get(place.target))
    if not any(spec.workdir == place.target for place in places) and _is_free(spec.workdir, places):
        args += ["--dir", spec.workdir]
    for place in places:
        if place.source is None and not place.is_file:
            args += ["--remount-ro", place.target]
    return [*args, "--remount-ro", "/", "--chdir", "/"]


def _namespace_args(spec: RunSpec, version: BwrapVersion) -> list[str]:
    uid, gid = user_ids(spec)
    args = ["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    if spec.network.mode is NetworkMode.NONE:
        args.append("--unshare-net")
    if version.knows_disable_userns:
        args.append("--disable-userns")
    args += ["--uid", str(uid), "--gid", str(gid), "--hostname", host_name(spec)]
    return [*args, "--cap-drop", "ALL", "--new-session", "--as-pid-1"]


def host_name(spec: RunSpec) -> str:
    """The agent's key as the host name it sees, at most 63 characters of the allowed ones."""
    text = "".join(each if each.isalnum() or each == "-" else "-" for each in spec.agent)
    return text[:63].strip("-") or "agent"


def _env_args(spec: RunSpec, host: HostSystem) -> list[str]:
    path = f"{_PATH}:{HOST_TOOLS}" if host.tools else _PATH
    env = {"PATH": path, "HOME": HOME, "LANG": "C.UTF-8", **dict(spec.env)}
    args = ["--clearenv"]
    for name, value in env.items():
        args += ["--setenv", name, value]
    return args


def system_args(host: HostSystem, version: BwrapVersion, size: int) -> list[str]:
    args = ["--ro-bind", "/usr", "/usr"]
    for target, link in host.links:
        args += ["--symlink", target, link]
    for folder in host.folders:
        args += ["--ro-bind", folder, folder]
    args += ["--proc", "/proc"]
    for name in host.proc_read_only:
        args += ["--ro-bind-try", f"/proc/{name}", f"/proc/{name}"]
    for name in host.proc_hidden:
        args += ["--ro-bind-try", "/dev/null", f"/proc/{name}"]
    args += ["--dev", "/dev", *tmpfs_args(_SHM, version, size), "--remount-ro", "/dev"]
    args += [*tmpfs_args(_TMP, version, size), *tmpfs_args(HOME, version, size, mode="0755")]
    args += [
        "--dir",
        "/var",
        "--symlink",
        _TMP,
        f"/var{_TMP}",
        "--dir",
        "/run",
        "--symlink",
        "/run",
        "/var/run",
    ]
    for tool in host.tools:
        if tool.prefix is None:
            args += ["--ro-bind", str(tool.executable), f"{HOST_TOOLS}/{tool.name}"]
            continue
        args += ["--ro-bind", str(tool.prefix), str(tool.prefix)]
        for name, file in tool.commands:
            args += ["--symlink", str(file), f"{HOST_TOOLS}/{name}"]
    return args


def etc_args(host: HostSystem, files: SandboxFiles) -> list[str]:
    args = ["--dir", "/etc"]
    for name in host.etc:
        args += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    for name in files.etc_names:
        args += ["--ro-bind", str(files.etc / name), f"/etc/{name}"]
    return args


def _place_args(place: Place, files: SandboxFiles, version: BwrapVersion, held: int | None) -> list[str]:
    if place.source is None and place.is_file:
        return ["--ro-bind", str(files.empty), place.target]
    if place.source is None:
        return tmpfs_args(place.target, version, 4096, mode="0555")
    option = "--ro-bind" if place.read_only else "--bind"
    if held is not None:
        return [f"{option}-fd", str(held), place.target]
    return [option, str(place.source), place.target]


def tmpfs_args(target: str, version: BwrapVersion, size: int, *, mode: str = "1777") -> list[str]:
    sized = ["--size", str(size)] if version.knows_size else []
    return ["--perms", mode, *sized, "--tmpfs", target]


def _tmpfs_size(spec: RunSpec) -> int:
    """Half of the memory limit: what lies in a tmpfs is memory."""
    return _SIZE_WITHOUT_LIMIT if spec.resources.memory is None else spec.resources.memory // 2


def _is_free(folder: str, places: tuple[Place, ...]) -> bool:
    """Whether a folder lies in the sandbox's own root, not inside a mount, so that it can be made."""
    around = (*(place.target for place in places), "/usr", "/proc", "/dev")
    return folder.startswith("/") and not any(
        folder == each or folder.startswith(f"{each}/") for each in around
    )
