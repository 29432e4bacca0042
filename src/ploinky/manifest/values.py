"""What a manifest says, as frozen values: enums and dataclasses without any reader.

The rest of the program sees these, never JSON. No pydantic here, so that importing them costs nothing.
Readers of single texts stand in ``env``, ``ports``, ``refs`` and ``texts``; the merge in ``effective``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ploinky.manifest.refs import AgentRef

DEFAULT_PORT = 7000
DEFAULT_SHELL = "/bin/sh"
DEFAULT_WORKDIR = "/code"
DEFAULT_PROFILE = "dev"
KNOWN_PROFILES = ("dev", "qa", "prod")


class HookName(StrEnum):
    """The hooks in the order in which a start runs them; ``hosthook_*`` run on the host."""

    HOSTHOOK_PREINSTALL = "hosthook_preinstall"
    HOSTHOOK_AFTERCREATION = "hosthook_aftercreation"
    PREINSTALL = "preinstall"
    INSTALL = "install"
    POSTINSTALL = "postinstall"
    HOSTHOOK_POSTINSTALL = "hosthook_postinstall"

    @property
    def on_host(self) -> bool:
        return self.value.startswith("hosthook_")


class ReadinessProtocol(StrEnum):
    """How readiness is asked when no probe is given; ``NONE``: being alive is enough."""

    TCP = "tcp"
    MCP = "mcp"
    NONE = "none"


class NetworkMode(StrEnum):
    """``WORKSPACE``: the workspace's network with a way out; ``NONE``: no network; ``HOST``: the host's."""

    WORKSPACE = "workspace"
    NONE = "none"
    HOST = "host"


@dataclass(frozen=True)
class EnvEntry:
    """One variable, or a wildcard over variables.

    ``name`` is the variable inside the agent, ``source`` the one it is taken from. A ``literal`` wins over
    every source; a ``default`` yields to all. A pattern has ``source == name`` and neither of the two.
    """

    name: str
    source: str
    literal: str | None = None
    default: str | None = None
    required: bool = False
    is_pattern: bool = False


@dataclass(frozen=True)
class When:
    """A hook runs only if every named variable has its value and every path exists.

    Paths are relative to the agent's folder, or absolute where the hook runs.
    """

    env: tuple[tuple[str, str], ...] = ()
    exists: tuple[str, ...] = ()


@dataclass(frozen=True)
class Hook:
    """Shell commands run in order, stopping at the first failure; no steps: the hook is switched off."""

    steps: tuple[str, ...]
    when: When | None = None


@dataclass(frozen=True)
class PortSpec:
    """A port of the agent offered on the host; ``host_port`` 0: a free one is chosen.

    ``str()`` is the manifest's form; reading it again gives an equal value.
    """

    container_port: int
    host_port: int = 0
    host_ip: str = "127.0.0.1"
    protocol: str = "tcp"

    def __str__(self) -> str:
        address = f"[{self.host_ip}]" if ":" in self.host_ip else self.host_ip
        text = f"{self.host_port or ''}:{self.container_port}"
        if self.host_ip != "127.0.0.1":
            text = f"{address}:{text}"
        elif self.host_port == 0:
            text = str(self.container_port)
        return text if self.protocol == "tcp" else f"{text}/{self.protocol}"


@dataclass(frozen=True)
class VolumeSpec:
    """A host path, relative to the workspace (``${VAR}`` allowed), seen at ``container``."""

    host: str
    container: str
    read_only: bool = False


@dataclass(frozen=True)
class VolumeOptions:
    """What is done to a volume's host folder before it is mounted; ``chmod`` is the mode as a number."""

    chmod: int | None = None
    world_writable_subfolders: tuple[str, ...] = ()


@dataclass(frozen=True)
class RepoSource:
    url: str
    branch: str | None = None


@dataclass(frozen=True)
class Probe:
    """One way to ask an agent how it is: exactly one of ``script``, ``http``, ``tcp``.

    ``script`` is relative to the agent's folder, ``http`` a path asked at ``port`` (None: the agent's own
    port), ``tcp`` a port. Times in seconds; ``failure_threshold`` failures in a row count as unwell.
    """

    script: str | None = None
    http: str | None = None
    tcp: int | None = None
    port: int | None = None
    interval_s: float = 5.0
    timeout_s: float = 5.0
    failure_threshold: int = 5
    success_threshold: int = 1
    start_period_s: float = 0.0


@dataclass(frozen=True)
class Health:
    """``protocol`` says how readiness is asked without a probe; None: by the agent's kind."""

    liveness: Probe | None = None
    readiness: Probe | None = None
    protocol: ReadinessProtocol | None = None


@dataclass(frozen=True)
class Commands:
    """The command lines of a manifest, for ``sh -c``; None: not given (or given empty)."""

    agent: str | None = None
    start: str | None = None
    cli: str | None = None
    run: str | None = None
    entrypoint: str | None = None
    workdir: str | None = None

    @property
    def interactive(self) -> str:
        """What a person gets who opens the agent: ``cli``, else ``run``, else a shell."""
        return self.cli or self.run or DEFAULT_SHELL


@dataclass(frozen=True)
class NetworkSpec:
    """Agents that give the same ``name`` reach each other by their keys and ``aliases``, as those do that one
    enables."""

    mode: NetworkMode = NetworkMode.WORKSPACE
    name: str | None = None
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class ResourceSpec:
    """Limits; None: the platform's default. ``memory`` in bytes."""

    cpus: float | None = None
    memory: int | None = None
    pids: int | None = None


@dataclass(frozen=True)
class SecuritySpec:
    """``capabilities`` without ``CAP_``, in capitals; ``user`` is ``uid[:gid]`` or a name of the image's."""

    privileged: bool = False
    capabilities: tuple[str, ...] = ()
    read_only_root: bool = False
    user: str | None = None


@dataclass(frozen=True)
class McpSpec:
    """The MCP server that the agent is: by ``argv`` on its pipes, on a ``port`` inside, or at a ``url``.

    ``headers`` may hold ``${VAR}``.
    """

    argv: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    port: int | None = None
    path: str = "/mcp"
    url: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class EffectiveConfig:
    """A manifest with one profile applied: what the planner reads. See ``effective.effective``.

    ``profile`` is the one asked for, ``profile_env`` dev, qa or prod. ``image`` and volume hosts may hold
    ``${VAR}``. ``notices`` are sentences for the user that the merge gave rise to.
    """

    agent: str
    profile: str
    profile_env: str
    image: str
    about: str = ""
    env: tuple[EnvEntry, ...] = ()
    secrets: tuple[str, ...] = ()
    hooks: Mapping[HookName, Hook] = field(default_factory=dict)
    code_writable: bool = False
    skills_writable: bool = False
    ports: tuple[PortSpec, ...] = ()
    volumes: tuple[VolumeSpec, ...] = ()
    volume_options: Mapping[str, VolumeOptions] = field(default_factory=dict)
    enable: tuple[AgentRef, ...] = ()
    repos: Mapping[str, RepoSource] = field(default_factory=dict)
    health: Health = field(default_factory=Health)
    commands: Commands = field(default_factory=Commands)
    mcp: McpSpec | None = None
    network: NetworkSpec = field(default_factory=NetworkSpec)
    resources: ResourceSpec = field(default_factory=ResourceSpec)
    security: SecuritySpec = field(default_factory=SecuritySpec)
    sandbox_allowed: bool = True
    lite_sandbox: bool = False
    sso_provider: bool = False
    dependencies: Mapping[str, str] = field(default_factory=dict)
    notices: tuple[str, ...] = ()

    @property
    def main_port(self) -> int:
        """The agent's own port: the first one declared, else the platform's 7000."""
        return self.ports[0].container_port if self.ports else DEFAULT_PORT
