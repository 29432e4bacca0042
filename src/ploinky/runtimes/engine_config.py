"""A ``RunSpec`` in the words of the Docker-compatible API: a pure function, no engine is asked.

``Traits`` is all that differs between the engines here; ``Facts`` is what the running engine said of
itself. Secrets are not in a ``RunSpec``, so none can reach the container's stored configuration.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypedDict

from ploinky.runtimes.errors import create_failed
from ploinky.runtimes.spec import (
    LAUNCHER_MOUNT,
    SOCKET_MOUNT,
    SOCKET_NAME,
    Mount,
    NetworkMode,
    PublishedPort,
    Resources,
    RunSpec,
    Security,
)

MASK_OPTIONS = ("ro", "nosuid", "nodev", "noexec", "size=64k", "mode=0555")
SCRATCH_OPTIONS = ("rw", "nosuid", "nodev", "mode=1777")
LOG_SIZE = "10m"
HOSTS_TARGET = "/etc/hosts"
# The names of an agent in its links. It has none in the base network: there they would lead nowhere.
LABEL_ALIASES = "ploinky.aliases"
# An empty file of the package, mounted read-only. /dev/null would swallow what is written, as if it held.
MASKED_FILE = Path(__file__).with_name("masked_file")

JsonObject = dict[str, object]


@dataclass(frozen=True)
class Traits:
    """How one engine's words differ.

    Podman copies what lies under a tmpfs into it unless told otherwise, so a mask made without
    ``tmpfs_option`` would show what it hides; Docker does not know that option. ``keeps_id``: a rootless
    engine can map its user to another uid inside.
    """

    log_driver: str
    tmpfs_option: str | None
    keeps_id: bool


@dataclass(frozen=True)
class Facts:
    """What ``/info`` said: whether limits hold, whether SELinux labels would hide the mounts.

    ``seccomp`` is the profile to use instead of the engine's own, if there is one.
    """

    rootless: bool
    limits: bool
    selinux: bool
    seccomp: Path | None = None


@dataclass(frozen=True)
class Attachment:
    """The network that a container is made in. ``mac`` None leaves the address of its port to the engine,
    ``hosts`` None the names that it knows."""

    network: str
    mac: str | None
    hosts: Path | None = None


class CreateBody(TypedDict, total=False):
    """The body of ``POST /containers/create``."""

    Image: str
    Entrypoint: list[str]
    Cmd: list[str]
    Env: list[str]
    Labels: dict[str, str]
    WorkingDir: str
    User: str
    StopSignal: str
    ExposedPorts: dict[str, JsonObject]
    HostConfig: JsonObject
    NetworkingConfig: JsonObject


def create_body(
    spec: RunSpec, *, base: Attachment | None, user: str, traits: Traits, facts: Facts
) -> CreateBody:
    """The container of ``spec``; without ``base`` its network is what the spec's mode says.

    Raises:
        PloinkyError: CONTAINER_CREATE_FAILED if a source or a mount point below a read-only mount is missing.
    """
    network = None if base is None else base.network
    body: CreateBody = {
        "Image": spec.image,
        "Entrypoint": [f"{LAUNCHER_MOUNT}/launcher", "serve", "--socket", f"{SOCKET_MOUNT}/{SOCKET_NAME}"],
        "Cmd": [],
        "Env": [f"{name}={value}" for name, value in spec.env],
        "Labels": {
            **spec.labels,
            LABEL_ALIASES: ",".join(dict.fromkeys((spec.agent, *spec.network.aliases))),
        },
        "WorkingDir": _workdir(spec),
        "User": user,
        "StopSignal": "SIGTERM",
        "ExposedPorts": {_port_key(port): {} for port in spec.ports},
        "HostConfig": {
            **_host_config(spec, network=network, user=user, traits=traits, facts=facts),
            "Mounts": _mounts(spec, None if base is None else base.hosts),
        },
    }
    if base is not None and base.mac is not None:
        body["NetworkingConfig"] = {"EndpointsConfig": {base.network: {"MacAddress": base.mac}}}
    return body


def all_mounts(spec: RunSpec) -> tuple[Mount, ...]:
    """The spec's mounts and the two that every sandbox has, outer ones first."""
    own = (
        Mount(spec.launcher_dir, LAUNCHER_MOUNT, read_only=True),
        Mount(spec.socket_dir, SOCKET_MOUNT, read_only=False),
    )
    return tuple(sorted((*spec.mounts, *own), key=lambda each: len(PurePosixPath(each.target).parts)))


def host_path(spec: RunSpec, target: str) -> Path | None:
    """Where a path inside lies on the host, or None if it is the image's own."""
    wanted = PurePosixPath(target)
    for mount in reversed(all_mounts(spec)):
        if wanted.is_relative_to(mount.target):
            return mount.source / wanted.relative_to(mount.target)
    return None


def _host_config(
    spec: RunSpec, *, network: str | None, user: str, traits: Traits, facts: Facts
) -> JsonObject:
    folders, _ = _masks(spec)
    keep_id = facts.rootless and traits.keeps_id and not user.startswith("0:")
    config: JsonObject = {
        "Tmpfs": _tmpfs(spec, folders, traits),
        "NetworkMode": network or _plain_mode(spec),
        "PortBindings": _bindings(spec),
        "RestartPolicy": {"Name": "no"},
        "LogConfig": {"Type": traits.log_driver, "Config": {"max-size": LOG_SIZE}},
        "IpcMode": "private",
        "ReadonlyRootfs": spec.security.read_only_root,
    }
    if keep_id:
        uid, gid = user.split(":")
        config["UsernsMode"] = f"keep-id:uid={uid},gid={gid}"
    return {**config, **rights(spec.security, facts), **(limits(spec.resources) if facts.limits else {})}


def _mounts(spec: RunSpec, hosts: Path | None) -> list[JsonObject]:
    _, files = _masks(spec)
    if hosts is not None and host_path(spec, HOSTS_TARGET) is None:
        files.append(bind(Mount(hosts, HOSTS_TARGET, read_only=True)))
    return [bind(mount) for mount in _checked_mounts(spec)] + files


def _bindings(spec: RunSpec) -> dict[str, list[JsonObject]]:
    found: dict[str, list[JsonObject]] = {}
    for port in spec.ports:
        one: JsonObject = {"HostIp": port.host_ip, "HostPort": str(port.host_port or "")}
        found.setdefault(_port_key(port), []).append(one)
    return found


def rights(security: Security, facts: Facts) -> JsonObject:
    """What a container may do, in the words of ``HostConfig``."""
    if security.privileged:
        return {"Privileged": True}
    options = ["no-new-privileges"]
    if facts.selinux:
        options.append("label=disable")  # relabelling a person's own folders would be worse
    if facts.seccomp is not None and not security.capabilities:
        options.append(f"seccomp={facts.seccomp}")
    return {
        "Privileged": False,
        "CapDrop": ["ALL"],
        "CapAdd": list(security.capabilities),
        "SecurityOpt": options,
    }


def limits(resources: Resources) -> JsonObject:
    """What a container may use, in the words of ``HostConfig``; only for an engine whose limits hold."""
    found: JsonObject = {}
    if resources.memory is not None:
        found["Memory"] = resources.memory
        found["MemorySwap"] = resources.memory
    if resources.cpus is not None:
        found["NanoCpus"] = int(resources.cpus * 1e9)
    if resources.pids is not None:
        found["PidsLimit"] = resources.pids
    return found


def _masks(spec: RunSpec) -> tuple[list[str], list[JsonObject]]:
    """Masked folders (they become an empty tmpfs) and masked files (they become an empty file).

    A path that the host lacks is not masked: the engine would make it there. Mask its folder instead.
    """
    folders: list[str] = []
    files: list[JsonObject] = []
    for path in spec.masks:
        source = host_path(spec, path)
        if source is not None and source.is_file():
            files.append(bind(Mount(MASKED_FILE, path, read_only=True)))
        elif source is None or source.is_dir():
            folders.append(path)
    return folders, files


def _tmpfs(spec: RunSpec, folders: list[str], traits: Traits) -> dict[str, str]:
    extra = () if traits.tmpfs_option is None else (traits.tmpfs_option,)
    found = {path: ",".join((*MASK_OPTIONS, *extra)) for path in folders}
    if spec.security.read_only_root and host_path(spec, "/tmp") is None:  # noqa: S108 (inside)
        found["/tmp"] = ",".join((*SCRATCH_OPTIONS, *extra))  # noqa: S108 (inside)
    return found


def _checked_mounts(spec: RunSpec) -> tuple[Mount, ...]:
    mounts = all_mounts(spec)
    for index, inner in enumerate(mounts):
        if not inner.source.exists():
            raise create_failed(
                spec.name, f"{inner.source}, wanted at {inner.target}, is not there.", hint="Make it first."
            )
        outer = [each for each in mounts[:index] if _below(inner.target, each.target)]
        if outer and outer[-1].read_only and not _point(outer[-1], inner).exists():
            raise create_failed(
                spec.name,
                f"{inner.target} cannot be mounted below the read-only {outer[-1].target}.",
                hint=f"Make the empty folder {_point(outer[-1], inner)} first.",
            )
    return mounts


def _below(inner: str, outer: str) -> bool:
    return inner != outer and PurePosixPath(inner).is_relative_to(outer)


def _point(outer: Mount, inner: Mount) -> Path:
    return outer.source / PurePosixPath(inner.target).relative_to(outer.target)


def bind(mount: Mount) -> JsonObject:
    """A mount in the words of ``HostConfig``."""
    return {
        "Type": "bind",
        "Source": str(mount.source),
        "Target": mount.target,
        "ReadOnly": mount.read_only,
        "BindOptions": {"Propagation": "rprivate"},
    }


def _workdir(spec: RunSpec) -> str:
    """The spec's folder if it is mounted; engines would otherwise make it, or fail, in the image."""
    source = host_path(spec, spec.workdir)
    return spec.workdir if source is not None and source.is_dir() else "/"


def _plain_mode(spec: RunSpec) -> str:
    return "host" if spec.network.mode is NetworkMode.HOST else "none"


def _port_key(port: PublishedPort) -> str:
    return f"{port.container_port}/{port.protocol}"
