"""The networks of a workspace: agents reach the router and what they enable, not each other.

- The *base* network has the way out and the host's address (the router). Where the engine's bridges are
  ours to set (``Isolation.PORTS``), all agents share one, ``ploinky_<workspace>``, and each port of the
  bridge is isolated: it reaches the host, no other port. Docker does the same itself (``Isolation.ENGINE``).
  Elsewhere (rootless Podman: its bridges lie in a namespace of its own) each agent has a base network of
  its own (``Isolation.SEPARATE``).
- A *link* has no way out: one for each pair "agent, agent it enables", one for each name that manifests
  give. Its members reach each other, both ways.

Networks carry labels; nothing is remembered beside the engine. What it holds: traffic between agents,
without NET_ADMIN, NET_RAW or ``privileged``, which could go round by the host's routing.
"""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from ploinky.runtimes.engine_api import EngineApi, EngineError
from ploinky.runtimes.engine_bridges import bridge_name, open_ways
from ploinky.runtimes.engine_config import LABEL_ALIASES, Attachment
from ploinky.runtimes.engine_models import ContainerReport, ContainerRow, NetworkReport
from ploinky.runtimes.spec import LABEL_AGENT, LABEL_WORKSPACE, NetworkMode, RunSpec

if TYPE_CHECKING:
    from aiodocker import Docker

LABEL_FROM = "ploinky.link.from"
LABEL_TO = "ploinky.link.to"
LABEL_NAME = "ploinky.link.name"
BRIDGE_OPTION = "com.docker.network.bridge.name"
FIRST_SUBNET = 100
SUBNETS = 150


class Isolation(StrEnum):
    """How agents in base networks are kept apart."""

    PORTS = "ports"
    ENGINE = "engine"
    SEPARATE = "separate"


@dataclass(frozen=True)
class NetworkOptions:
    """The engine's own options: ``base`` for base networks, ``link`` for links.

    With ``fixed_macs`` a container's port has the same address after each start. Podman else gives a new
    one to an IP that it uses again, which neighbours do not notice for seconds.
    """

    base: tuple[tuple[str, str], ...]
    link: tuple[tuple[str, str], ...]
    fixed_macs: bool


def base_name(workspace: str, agent: str, isolation: Isolation) -> str:
    """The base network that an agent is in."""
    shared = f"ploinky_{workspace}"
    return f"{shared}_{agent}" if isolation is Isolation.SEPARATE else shared


def mac_address(container: str, network: str) -> str:
    """A locally administered address for a container's port in a network; the same in every process."""
    digest = hashlib.sha256(f"{container}@{network}".encode()).hexdigest()
    return ":".join(("02", *(digest[at : at + 2] for at in range(0, 10, 2))))


def wanted_links(spec: RunSpec) -> dict[str, dict[str, str]]:
    """The links that a spec asks for: name of the network to its labels."""
    if spec.network.mode is not NetworkMode.WORKSPACE:
        return {}
    start = f"ploinky_{spec.workspace}"
    found = {
        f"{start}_{spec.agent}__to__{peer}": {LABEL_FROM: spec.agent, LABEL_TO: peer}
        for peer in spec.network.peers
        if peer != spec.agent
    }
    if spec.network.name is not None:
        found[f"{start}__named__{spec.network.name}"] = {LABEL_NAME: spec.network.name}
    return {name: {LABEL_WORKSPACE: spec.workspace, **labels} for name, labels in found.items()}


def wanted_subnet(workspace: str) -> ipaddress.IPv4Network:
    """The subnet of a workspace's shared base network, so that the host's address in it never changes.

    It is taken from the upper part of what Podman takes its own from; the engine refuses one that is in use.
    """
    digest = hashlib.sha256(workspace.encode()).digest()
    return ipaddress.IPv4Network(f"10.{FIRST_SUBNET + digest[0] % SUBNETS}.{digest[1]}.0/24")


def label_filter(workspace: str, **more: list[str]) -> dict[str, str]:
    """The query that asks an engine for what belongs to a workspace."""
    return {"filters": json.dumps({"label": [f"{LABEL_WORKSPACE}={workspace}"], **more})}


class WorkspaceNetworks:
    """Makes, joins and removes the networks of workspaces on one engine."""

    def __init__(self, api: EngineApi, options: NetworkOptions) -> None:
        self._api = api
        self._options = options
        self._making = anyio.Lock()

    async def ensure_base(self, workspace: str, agent: str, isolation: Isolation) -> str:
        """The agent's base network, made if missing; its name."""
        name = base_name(workspace, agent, isolation)
        body = _body(name, {LABEL_WORKSPACE: workspace}, self._options.base, internal=False)
        if isolation is Isolation.SEPARATE:
            await self._ensure(name, body)
            return name
        subnet = wanted_subnet(workspace)
        config = [{"Subnet": str(subnet), "Gateway": str(subnet[1])}]
        try:
            await self._ensure(name, {**body, "IPAM": {"Driver": "default", "Config": config}})
        except EngineError:  # somebody has that subnet
            await self._ensure(name, body)
        return name

    async def host_address(self, workspace: str) -> str:
        """The host's address in the shared base network: what it has, or will have once it is made."""
        report = await self.find(base_name(workspace, "", Isolation.PORTS))
        known = None if report is None else report.gateway
        return known or str(wanted_subnet(workspace)[1])

    def attachment(self, container: str, network: str, hosts: Path | None) -> Attachment:
        """How a container is made in a network; ``hosts`` is its file of names, if we keep it."""
        mac = mac_address(container, network) if self._options.fixed_macs else None
        return Attachment(network, mac, hosts)

    async def ensure_links(self, spec: RunSpec) -> None:
        for name, labels in wanted_links(spec).items():
            await self._ensure(name, _body(name, labels, self._options.link, internal=True))

    async def join(self, report: ContainerReport, *, named: str | None = None) -> None:
        """Put a container, and those at the other end, into the links that are meant for them.

        Called after it was made and before each start, so that it does not matter who of two comes first.
        ``named`` is the named network it asks for; a member of one stays in it by itself.
        """
        labels = report.config.labels
        workspace, agent = labels[LABEL_WORKSPACE], labels[LABEL_AGENT]
        links = [each for each in await self.networks(workspace) if _concerns(each, agent, named)]
        if not links:
            return
        members = {row.labels.get(LABEL_AGENT, ""): row for row in await self.containers(workspace)}
        for link in links:
            ends = {link.labels.get(LABEL_FROM), link.labels.get(LABEL_TO), agent}
            for end in ends:
                row = members.get(end or "")
                if row is not None and row.network.networks and link.name not in row.network.networks:
                    await self._connect(link.name, row)

    async def sweep(self, workspace: str) -> None:
        """Remove every network of the workspace that no container needs; one in use stays."""
        rows = await self.containers(workspace)
        agents = {row.labels.get(LABEL_AGENT) for row in rows}
        used = {name for row in rows for name in row.network.networks}
        for network in await self.networks(workspace):
            origin = network.labels.get(LABEL_FROM)
            if origin is not None and origin not in agents:
                await self._disconnect_all(network.name, rows)
            elif network.name in used:
                continue
            await self._delete(network.name)
            if origin is None:
                await open_ways(network.name)

    async def networks(self, workspace: str) -> list[NetworkReport]:
        return await self._api.read("networks", list[NetworkReport], label_filter(workspace))

    async def containers(self, workspace: str) -> list[ContainerRow]:
        """All containers of the workspace, in any state, sorted by name."""
        parameters = {"all": "1", **label_filter(workspace)}
        rows = await self._api.read("containers/json", list[ContainerRow], parameters)
        return sorted(rows, key=lambda row: row.name)

    async def find(self, name: str) -> NetworkReport | None:
        """One network, or None."""
        try:
            return await self._api.read(f"networks/{name}", NetworkReport)
        except EngineError as error:
            if error.missing:
                return None
            raise

    async def _ensure(self, name: str, body: Mapping[str, object]) -> None:
        async def make(docker: Docker) -> None:
            await docker.networks.create(dict(body))

        async with self._making:
            if await self.find(name) is not None:
                return
            try:
                await self._api.call(f"making the network {name}", make)
            except EngineError:
                if await self.find(name) is None:  # else another command made it meanwhile
                    raise

    async def _connect(self, network: str, row: ContainerRow) -> None:
        aliases = row.labels.get(LABEL_ALIASES, "").split(",")
        endpoint: dict[str, object] = {"Aliases": aliases}
        if self._options.fixed_macs:
            endpoint["MacAddress"] = mac_address(row.name, network)
        body = {"Container": row.id, "EndpointConfig": endpoint}

        async def connect(docker: Docker) -> None:
            await (await docker.networks.get(network)).connect(body)

        try:
            await self._api.call(f"joining {row.name} to {network}", connect)
        except EngineError:
            now = {each.id: each for each in await self.containers(row.labels[LABEL_WORKSPACE])}.get(row.id)
            if now is not None and network not in now.network.networks:
                raise

    async def _disconnect_all(self, network: str, rows: Sequence[ContainerRow]) -> None:
        for row in rows:
            if network in row.network.networks:
                body = {"Container": row.id, "Force": True}

                async def disconnect(docker: Docker, body: dict[str, object] = body) -> None:
                    await (await docker.networks.get(network)).disconnect(body)

                with contextlib.suppress(EngineError):  # it ended, or somebody else did it
                    await self._api.call(f"parting {row.name} from {network}", disconnect)

    async def _delete(self, name: str) -> None:
        async def delete(docker: Docker) -> None:
            await (await docker.networks.get(name)).delete()

        with contextlib.suppress(EngineError):  # in use again, or already gone
            await self._api.call(f"removing the network {name}", delete)


def _body(
    name: str, labels: dict[str, str], options: tuple[tuple[str, str], ...], *, internal: bool
) -> dict[str, object]:
    return {
        "Name": name,
        "Driver": "bridge",
        "CheckDuplicate": True,
        "Internal": internal,
        "Labels": labels,
        "Options": {BRIDGE_OPTION: bridge_name(name, link=internal), **dict(options)},
    }


def is_link(network: NetworkReport) -> bool:
    """Whether a network joins agents, and is none that leads out."""
    return LABEL_FROM in network.labels or LABEL_NAME in network.labels


def _concerns(link: NetworkReport, agent: str, named: str | None) -> bool:
    ends = (link.labels.get(LABEL_FROM), link.labels.get(LABEL_TO))
    return agent in ends or (named is not None and link.labels.get(LABEL_NAME) == named)
