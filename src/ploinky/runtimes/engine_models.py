"""What a Docker-compatible engine answers, as far as we read it: foreign JSON, typed once.

Unknown fields are ignored. Docker and Podman differ in words (``die``/``died``, ``exitCode``/
``containerExitCode``); the tables here make them one.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from ploinky.runtimes.protocol import RuntimeEvent, RuntimeEventKind, Sandbox, SandboxState
from ploinky.runtimes.spec import SOCKET_MOUNT, PublishedPort

NEVER = "0001-01-01T00:00:00Z"

STATES = {
    "created": SandboxState.CREATED,
    "configured": SandboxState.CREATED,
    "initialized": SandboxState.CREATED,
    "running": SandboxState.RUNNING,
    "paused": SandboxState.RUNNING,
    "restarting": SandboxState.RUNNING,
    "stopping": SandboxState.RUNNING,
    "exited": SandboxState.EXITED,
    "stopped": SandboxState.EXITED,
    "removing": SandboxState.EXITED,
    "dead": SandboxState.EXITED,
}
EVENTS = {
    "start": RuntimeEventKind.STARTED,
    "die": RuntimeEventKind.DIED,
    "died": RuntimeEventKind.DIED,
    "destroy": RuntimeEventKind.REMOVED,
    "remove": RuntimeEventKind.REMOVED,
}


def _none_is_empty(value: object) -> object:
    return {} if value is None else value


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Binding(_Answer):
    host_ip: str = Field("", alias="HostIp")
    host_port: str = Field("", alias="HostPort")


class Endpoint(_Answer):
    """One network of a container. Both addresses are empty while it does not run."""

    gateway: str = Field("", alias="Gateway")
    address: str = Field("", alias="IPAddress")


class MountPoint(_Answer):
    source: str = Field("", alias="Source")
    destination: str = Field("", alias="Destination")
    type: str = Field("", alias="Type")


Bindings = Annotated[dict[str, list[Binding] | None], BeforeValidator(_none_is_empty)]
Endpoints = Annotated[dict[str, Endpoint], BeforeValidator(_none_is_empty)]
Labels = Annotated[dict[str, str], BeforeValidator(_none_is_empty)]


class _State(_Answer):
    status: str = Field(alias="Status")
    pid: int = Field(0, alias="Pid")
    exit_code: int = Field(0, alias="ExitCode")
    started_at: str = Field(NEVER, alias="StartedAt")
    error: str = Field("", alias="Error")


class _Config(_Answer):
    labels: Labels = Field(default_factory=dict, alias="Labels")
    user: str = Field("", alias="User")


class _NetworkSettings(_Answer):
    ports: Bindings = Field(default_factory=dict, alias="Ports")
    networks: Endpoints = Field(default_factory=dict, alias="Networks")


class _HostConfig(_Answer):
    bindings: Bindings = Field(default_factory=dict, alias="PortBindings")


class ContainerReport(_Answer):
    """``GET /containers/NAME/json``."""

    id: str = Field(alias="Id")
    name: str = Field(alias="Name")
    image: str = Field("", alias="Image")
    state: _State = Field(alias="State")
    config: _Config = Field(alias="Config")
    host: _HostConfig = Field(alias="HostConfig")
    network: _NetworkSettings = Field(alias="NetworkSettings")
    mounts: tuple[MountPoint, ...] = Field((), alias="Mounts")

    @property
    def socket_dir(self) -> str | None:
        """The host folder at ``SOCKET_MOUNT``."""
        return next((each.source for each in self.mounts if each.destination == SOCKET_MOUNT), None)

    def sandbox(self) -> Sandbox:
        state = STATES.get(self.state.status, SandboxState.EXITED)
        running = state is SandboxState.RUNNING
        return Sandbox(
            name=self.name.removeprefix("/"),
            id=self.id,
            state=state,
            labels=dict(self.config.labels),
            pid=self.state.pid if running and self.state.pid else None,
            exit_code=self.state.exit_code if state is SandboxState.EXITED else None,
            started_at=self.state.started_at if self.state.started_at != NEVER else None,
            ports=tuple(_published(self.network.ports or self.host.bindings)),
            image_id=content_id(self.image),
        )


class ImageReport(_Answer):
    """``GET /images/NAME/json``."""

    id: str = Field("", alias="Id")


class ContainerRow(_Answer):
    """One of ``GET /containers/json``."""

    id: str = Field(alias="Id")
    names: tuple[str, ...] = Field(alias="Names")
    labels: Labels = Field(default_factory=dict, alias="Labels")
    network: _NetworkSettings = Field(alias="NetworkSettings")

    @property
    def name(self) -> str:
        return self.names[0].removeprefix("/")


class _Subnet(_Answer):
    gateway: str = Field("", alias="Gateway")


class _Ipam(_Answer):
    config: tuple[_Subnet, ...] = Field((), alias="Config")


class NetworkReport(_Answer):
    """``GET /networks/NAME``."""

    name: str = Field(alias="Name")
    labels: Labels = Field(default_factory=dict, alias="Labels")
    ipam: _Ipam = Field(default_factory=_Ipam, alias="IPAM")

    @property
    def gateway(self) -> str | None:
        """The host's address in this network."""
        return next((each.gateway for each in self.ipam.config if each.gateway), None)


class EngineInfo(_Answer):
    """``GET /info``: what kind of engine this is."""

    version: str = Field("", alias="ServerVersion")
    security: tuple[str, ...] | None = Field((), alias="SecurityOptions")
    cgroup_version: str = Field("", alias="CgroupVersion")
    podman_rootless: bool = Field(default=False, alias="Rootless")

    def _has(self, word: str) -> bool:
        return any(word in option.split(",")[0] for option in self.security or ())

    @property
    def rootless(self) -> bool:
        return self.podman_rootless or self._has("rootless")

    @property
    def selinux(self) -> bool:
        return self._has("selinux")

    @property
    def limits(self) -> bool:
        """Whether memory, CPU and pids limits hold; rootless on cgroup v1 ignores them silently."""
        return not (self.rootless and self.cgroup_version != "2")


class _Actor(_Answer):
    attributes: Labels = Field(default_factory=dict, alias="Attributes")


class EngineEvent(_Answer):
    """One line of ``GET /events``."""

    action: str = Field("", alias="Action")
    actor: _Actor = Field(default_factory=_Actor, alias="Actor")
    time_ns: int = Field(0, alias="timeNano")

    def event(self) -> RuntimeEvent | None:
        """The event in our words, or None for those that change no state."""
        kind = EVENTS.get(self.action)
        name = self.actor.attributes.get("name")
        if kind is None or name is None:
            return None
        code = self.actor.attributes.get("exitCode", self.actor.attributes.get("containerExitCode", ""))
        died = kind is RuntimeEventKind.DIED and code.lstrip("-").isdigit()
        return RuntimeEvent(kind, name, int(code) if died else None)


class PullLine(_Answer):
    """One line of ``POST /images/create``."""

    status: str = ""
    id: str = ""
    progress: str = ""
    error: str = ""

    @property
    def text(self) -> str:
        return " ".join(part for part in (self.id, self.status, self.progress) if part)


def content_id(image: str) -> str | None:
    """An image's content as both engines would name it."""
    return image.removeprefix("sha256:") or None


def _published(bindings: dict[str, list[Binding] | None]) -> list[PublishedPort]:
    found = []
    for container, hosts in sorted(bindings.items()):
        number, _, protocol = container.partition("/")
        found += [
            PublishedPort(int(number), int(each.host_port or 0), each.host_ip, protocol or "tcp")
            for each in hosts or ()
        ]
    return found
