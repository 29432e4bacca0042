"""One frozen description of an agent's sandbox, complete before any engine is asked.

Everything that an engine needs stands here; secrets do not: they travel in the launcher's frames at
launch. ``RunSpec.digest`` is what a sandbox is labelled with, so that an unchanged one is used again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path

LAUNCHER_MOUNT = "/Agent"
SOCKET_MOUNT = "/run/ploinky"
SOCKET_NAME = "l.sock"
ROUTER_SOCKET_NAME = "r.sock"
"""Beside it, in agents without a network: the router's."""

LABEL_WORKSPACE = "ploinky.workspace"
LABEL_AGENT = "ploinky.agent"
LABEL_DIGEST = "ploinky.spec"


class NetworkMode(StrEnum):
    """``WORKSPACE``: a network of the workspace with a way out; ``NONE``: only the launcher's socket;
    ``HOST``: the host's own network, on request only."""

    WORKSPACE = "workspace"
    NONE = "none"
    HOST = "host"


@dataclass(frozen=True)
class Mount:
    """A host folder or file seen at ``target``. ``source`` is absolute, symlinks resolved, and exists."""

    source: Path
    target: str
    read_only: bool


@dataclass(frozen=True)
class PublishedPort:
    """A port of the agent offered on the host; ``host_port`` 0 lets the engine choose a free one."""

    container_port: int
    host_port: int = 0
    host_ip: str = "127.0.0.1"
    protocol: str = "tcp"


@dataclass(frozen=True)
class Network:
    """How the agent reaches others, over networks that engines make (a sandbox shares the host's).

    ``aliases`` are further DNS names of the agent. ``peers`` are the keys of the agents it may reach by
    name (those it enables); agents of a workspace that give the same ``name`` reach each other too.
    """

    mode: NetworkMode = NetworkMode.WORKSPACE
    name: str | None = None
    aliases: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Resources:
    """Limits: CPUs (1.5 = one and a half), memory in bytes, number of processes and threads."""

    cpus: float | None = None
    memory: int | None = 2 * 1024**3
    pids: int | None = 512


@dataclass(frozen=True)
class Security:
    """What the agent may do beyond an ordinary unprivileged process. ``user`` is ``uid[:gid]``."""

    privileged: bool = False
    capabilities: tuple[str, ...] = ()
    read_only_root: bool = False
    user: str | None = None


@dataclass(frozen=True)
class RunSpec:
    """A sandbox to make. ``name`` is unique on the host; ``agent`` is the registry's key.

    ``socket_dir`` is a host folder mounted read-write at ``SOCKET_MOUNT``, where the launcher makes its
    socket ``SOCKET_NAME``; the path of that socket is at most 107 bytes long. ``launcher_dir`` is
    mounted read-only at ``LAUNCHER_MOUNT``. ``env`` holds only what anybody may see. ``masks`` are paths
    inside that must appear empty and unwritable. ``log_path`` is where the output of the sandbox goes if
    the engine keeps no log of its own.
    """

    name: str
    workspace: str
    agent: str
    image: str
    socket_dir: Path
    launcher_dir: Path
    log_path: Path
    mounts: tuple[Mount, ...] = ()
    masks: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    ports: tuple[PublishedPort, ...] = ()
    network: Network = field(default_factory=Network)
    resources: Resources = field(default_factory=Resources)
    security: Security = field(default_factory=Security)
    workdir: str = "/code"
    extra_labels: tuple[tuple[str, str], ...] = ()

    @property
    def socket_path(self) -> Path:
        """The launcher's socket as the host sees it."""
        return self.socket_dir / SOCKET_NAME

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over every field; equal specs have equal digests in every process and version."""
        canonical = json.dumps(asdict(self), sort_keys=True, default=str, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    @property
    def labels(self) -> dict[str, str]:
        own = {LABEL_WORKSPACE: self.workspace, LABEL_AGENT: self.agent, LABEL_DIGEST: self.digest}
        return {**dict(self.extra_labels), **own}
