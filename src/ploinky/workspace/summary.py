"""What ``status`` needs of the registry, read without pydantic (which alone costs 55 ms of CPU).

Lenient where ``registry`` is strict: an odd field shows as empty. Syntax errors stop here too.
"""

from __future__ import annotations

from dataclasses import dataclass

from ploinky.workspace.layout import Layout
from ploinky.workspace.registry_forms import read_raw_registry
from ploinky.workspace.states import AgentState, Desired


@dataclass(frozen=True)
class PortSummary:
    container_port: int
    host_port: int
    host_ip: str


@dataclass(frozen=True)
class AgentSummary:
    """One enabled agent as the registry has it; ``state`` is a claim, the runtime knows better."""

    key: str
    agent: str
    repo: str
    state: AgentState
    reason: str
    since: str
    desired: Desired
    profile: str
    runtime: str
    run_mode: str
    container_name: str
    image: str
    enabled_by: str
    ports: tuple[PortSummary, ...]


def read_summaries(layout: Layout) -> tuple[AgentSummary, ...]:
    """Every enabled agent, in the order of the file.

    Raises:
        PloinkyError: ``REGISTRY_INVALID`` with path and place.
    """
    return tuple(_summary(key, fields) for key, fields in read_raw_registry(layout).entries.items())


def _summary(key: str, fields: dict[str, object]) -> AgentSummary:
    def text(name: str) -> str:
        value = fields.get(name)
        return value if isinstance(value, str) else ""

    state, desired = text("state"), text("desired")
    return AgentSummary(
        key=key,
        agent=text("agentName"),
        repo=text("repoName"),
        state=AgentState(state) if state in AgentState.__members__ else AgentState.ENABLED,
        reason=text("stateReason"),
        since=text("stateSince"),
        desired=Desired.RUNNING if desired == Desired.RUNNING else Desired.STOPPED,
        profile=text("profile"),
        runtime=text("runtime"),
        run_mode=text("runMode") or "isolated",
        container_name=text("containerName"),
        image=text("containerImage"),
        enabled_by=text("enabledBy"),
        ports=_ports(fields.get("ports")),
    )


def _ports(value: object) -> tuple[PortSummary, ...]:
    found = []
    for each in value if isinstance(value, list) else []:
        if isinstance(each, dict):
            container, host, ip = (each.get(name) for name in ("containerPort", "hostPort", "hostIp"))
            if isinstance(container, int) and isinstance(host, int | None):
                address = ip if isinstance(ip, str) else "127.0.0.1"
                found.append(PortSummary(container, host or 0, address))
    return tuple(found)
