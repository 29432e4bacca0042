"""RPC rows of the agents' life: what there is, enabling, starting, stopping, logs."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from ploinky.base.jsontypes import JsonObject, JsonValue
from ploinky.gateway.methods.running import OperationAnswer, collect, run_operation
from ploinky.gateway.rpc.method import Answer, Call, Method, NoParams, Params, Rate, Scope, reading
from ploinky.manifest.refs import parse_agent_ref
from ploinky.operations import agents as agent_operations
from ploinky.operations.gateway_news import gateway_log
from ploinky.operations.graph import dependency_graph
from ploinky.operations.logs import logs
from ploinky.operations.restart import reinstall, restart
from ploinky.operations.start import start
from ploinky.operations.stop import stop

Name = Annotated[str, Field(min_length=1, max_length=200)]
_CHANGE = Rate(120, 40)
_ROUTER = "router"
_MOST_LOG_CHARS = 1_000_000


class AgentParams(Params):
    """``agent``: its name, alias or ``repo/name``."""

    agent: Name


class EnableParams(Params):
    """``agent`` as in a manifest's ``enable``: ``[repo/]name [global | devel REPO] [as ALIAS]``."""

    agent: Name


class DisableParams(AgentParams):
    """``purge``: delete the agent's data too."""

    purge: bool = False


class ChangeParams(Params):
    """``agent``: one, or (left out) every enabled one. ``wait``: answer when it is done."""

    agent: Name | None = None
    wait: bool = True


class ReinstallParams(AgentParams):
    """``wait``: answer when it is done."""

    wait: bool = True


class LogParams(AgentParams):
    """``agent`` may be ``router``. ``tail``: the last lines; ``since``: a time or a span such as ``10m``."""

    tail: Annotated[int, Field(ge=1, le=10_000)] = 200
    since: str | None = None


class AgentRow(Answer):
    """One agent that can be enabled or is; ``enabled`` holds the names under which it is."""

    agent: str
    repo: str
    enabled: list[str]
    state: str | None
    about: str
    fault: str | None


class AgentStatusRow(Answer):
    """One enabled agent as the gateway sees it now."""

    name: str
    agent: str
    repo: str
    state: str
    health: str
    ready: bool
    reason: str
    profile: str | None
    runtime: str | None
    mode: str | None
    ports: list[str]
    started_at: str | None
    restarts: int
    image: str


class RouterRow(Answer):
    """The gateway itself."""

    state: str
    url: str | None
    pid: int | None


class StatusAnswer(Answer):
    """The workspace: its folder, the gateway's profile, the router, the enabled agents."""

    workspace: str
    profile: str | None
    router: RouterRow
    agents: list[AgentStatusRow]


class EnabledAnswer(Answer):
    """``agent``: the name it got; ``enabled``: it and what its manifest enables."""

    agent: str
    enabled: list[str]


class DisabledAnswer(Answer):
    """``purged``: whether its data was deleted."""

    agent: str
    purged: bool


class Edge(Answer):
    """``from`` needs ``to``; ``waits``: it starts after it."""

    source: str = Field(alias="from")
    to: str
    waits: bool


class GraphAnswer(Answer):
    """The enabled agents and who needs whom."""

    nodes: list[str]
    edges: list[Edge]


class LogAnswer(Answer):
    """The text, secrets removed."""

    text: str


async def list_agents(call: Call, params: NoParams) -> JsonValue:
    """Every agent of the enabled repositories, enabled or not."""
    return await collect(agent_operations.list_agents(call.services.platform()))


async def agents_status(call: Call, params: NoParams) -> JsonValue:
    """The enabled agents with state, health, ports and runtime, and the router."""
    return await call.services.status()


async def agents_graph(call: Call, params: NoParams) -> JsonValue:
    """The enabled agents and what each enables: the order of start, as a graph."""
    return await collect(dependency_graph(call.services.platform()))


async def enable_agent(call: Call, params: EnableParams) -> JsonValue:
    """Enable an agent and what its manifest enables; nothing is started."""
    ref = parse_agent_ref(params.agent)
    return await collect(agent_operations.enable_agent(call.services.platform(), ref))


async def disable_agent(call: Call, params: DisableParams) -> JsonValue:
    """Stop an agent, remove its sandbox and forget it; its data stays unless ``purge``."""
    ref = parse_agent_ref(params.agent)
    return await collect(agent_operations.disable_agent(call.services.platform(), ref, purge=params.purge))


async def start_agents(call: Call, params: ChangeParams) -> OperationAnswer:
    """Start an agent (enabled if it was not) with what it needs, or all that are enabled.

    Progress comes as events of the topic ``operations``.
    """
    ref = parse_agent_ref(params.agent) if params.agent is not None else None
    events = start(call.services.platform(), ref, None)
    return await run_operation(call, events, f"Start {params.agent or 'all agents'}", params)


async def stop_agents(call: Call, params: ChangeParams) -> OperationAnswer:
    """Stop an agent, or all; the gateway goes on running."""
    platform = call.services.platform()
    if params.agent is not None:
        events = stop(platform, parse_agent_ref(params.agent))
        return await run_operation(call, events, f"Stop {params.agent}", params)
    events = agent_operations.stop_all_agents(platform)
    return await run_operation(call, events, "Stop all agents", params)


async def restart_agents(call: Call, params: ChangeParams) -> OperationAnswer:
    """Stop and start an agent, or all; one that had failed gets a new try."""
    ref = parse_agent_ref(params.agent) if params.agent is not None else None
    events = restart(call.services.platform(), ref)
    return await run_operation(call, events, f"Restart {params.agent or 'all agents'}", params)


async def reinstall_agent(call: Call, params: ReinstallParams) -> OperationAnswer:
    """Make an agent's sandbox anew and run its installs again; its data stays."""
    events = reinstall(call.services.platform(), parse_agent_ref(params.agent))
    return await run_operation(call, events, f"Reinstall {params.agent}", params)


async def agent_logs(call: Call, params: LogParams) -> JsonObject:
    """The last lines that an agent (or the router) printed."""
    platform = call.services.platform()
    if params.agent == _ROUTER:
        events = gateway_log(platform.layout, follow=False, tail=params.tail, since=params.since)
    else:
        ref = parse_agent_ref(params.agent)
        events = logs(platform, ref, follow=False, tail=params.tail, since=params.since)
    parts: list[str] = []
    async for event in events:
        text = getattr(event, "text", None)
        if isinstance(text, str):
            parts.append(text)
    return {"text": "".join(parts)[-_MOST_LOG_CHARS:]}


AGENT_METHODS: tuple[Method[Any], ...] = (
    reading("agents.list", NoParams, list[AgentRow], Scope.AGENTS_READ, list_agents),
    reading("agents.status", NoParams, StatusAnswer, Scope.AGENTS_READ, agents_status),
    reading("agents.graph", NoParams, GraphAnswer, Scope.AGENTS_READ, agents_graph),
    Method("agents.enable", EnableParams, EnabledAnswer, Scope.AGENTS_MANAGE, enable_agent, _CHANGE),
    Method("agents.disable", DisableParams, DisabledAnswer, Scope.AGENTS_MANAGE, disable_agent, _CHANGE),
    Method("agents.start", ChangeParams, OperationAnswer, Scope.AGENTS_MANAGE, start_agents, _CHANGE),
    Method("agents.stop", ChangeParams, OperationAnswer, Scope.AGENTS_MANAGE, stop_agents, _CHANGE),
    Method("agents.restart", ChangeParams, OperationAnswer, Scope.AGENTS_MANAGE, restart_agents, _CHANGE),
    Method(
        "agents.reinstall", ReinstallParams, OperationAnswer, Scope.AGENTS_MANAGE, reinstall_agent, _CHANGE
    ),
    reading("agents.logs", LogParams, LogAnswer, Scope.AGENTS_READ, agent_logs),
)
