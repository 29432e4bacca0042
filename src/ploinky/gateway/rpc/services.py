"""What the handlers of RPC methods stand on. To give them more: a field here, filled by the process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ploinky.assistants.household import Household
from ploinky.base.jsontypes import JsonValue
from ploinky.gateway.audit import AuditLog
from ploinky.gateway.hub import EventHub
from ploinky.gateway.runner import Runner
from ploinky.operations.platform import Platform
from ploinky.router.approvals import CallApprovals
from ploinky.router.callers import Caller
from ploinky.router.gateway_client import GatewayClient
from ploinky.toolhost.tasks import TaskDesk
from ploinky.workspace.settings import Settings


@dataclass(frozen=True)
class Services:
    """``platform`` makes one that knows the settings and the profile of this moment.

    ``status`` is what the gateway knows of the agents, ``tools`` a client of this very gateway that acts as
    a caller, ``approvals`` the calls of tools that wait for a person.
    ``restart`` ends this process so that its supervisor starts the next one; ``settings_at_start`` are those
    that it listens and routes by. ``household``: the assistants. ``tasks``: those of all agents.
    """

    platform: Callable[[], Platform]
    status: Callable[[], Awaitable[JsonValue]]
    tools: Callable[[Caller], GatewayClient]
    hub: EventHub
    runner: Runner
    audit: AuditLog
    restart: Callable[[], Awaitable[None]]
    settings_at_start: Settings
    household: Household
    approvals: CallApprovals
    tasks: TaskDesk | None
