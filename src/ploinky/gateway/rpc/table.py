"""Every RPC method there is. To add some: a tuple of rows in a file of ``gateway/methods``, named here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from ploinky.gateway.methods.agents import AGENT_METHODS
from ploinky.gateway.methods.approvals import APPROVAL_METHODS
from ploinky.gateway.methods.approving import APPROVING_METHODS
from ploinky.gateway.methods.assistants import ASSISTANT_METHODS
from ploinky.gateway.methods.autonomy import AUTONOMY_METHODS
from ploinky.gateway.methods.config import CONFIG_METHODS
from ploinky.gateway.methods.environment import ENVIRONMENT_METHODS
from ploinky.gateway.methods.events import EVENT_METHODS
from ploinky.gateway.methods.gateway import GATEWAY_METHODS
from ploinky.gateway.methods.knowledge import KNOWLEDGE_METHODS
from ploinky.gateway.methods.providers import PROVIDER_METHODS
from ploinky.gateway.methods.repos import REPO_METHODS
from ploinky.gateway.methods.runs import RUN_METHODS
from ploinky.gateway.methods.skills import SKILL_METHODS
from ploinky.gateway.methods.spending import SPENDING_METHODS
from ploinky.gateway.methods.tasks import TASK_METHODS
from ploinky.gateway.methods.tools import TOOL_METHODS
from ploinky.gateway.rpc.discover import DISCOVER_METHODS
from ploinky.gateway.rpc.method import Method

SUBJECTS: tuple[tuple[str, tuple[Method[Any], ...]], ...] = (
    ("Agents", AGENT_METHODS),
    ("Tools", TOOL_METHODS),
    ("Tasks of agents", TASK_METHODS),
    ("Calls that wait for a person", APPROVING_METHODS),
    ("Profiles and values", ENVIRONMENT_METHODS),
    ("Repositories", REPO_METHODS),
    ("Settings", CONFIG_METHODS),
    ("Assistants", ASSISTANT_METHODS),
    ("Runs and threads", RUN_METHODS),
    ("Models and providers", PROVIDER_METHODS),
    ("Skills", SKILL_METHODS),
    ("Substrate and memory", KNOWLEDGE_METHODS),
    ("Tokens and cost", SPENDING_METHODS),
    ("Approvals and incidents", APPROVAL_METHODS),
    ("Heartbeat and cron", AUTONOMY_METHODS),
    ("Gateway", GATEWAY_METHODS),
    ("Operations and activity", EVENT_METHODS),
    ("The table itself", DISCOVER_METHODS),
)


def method_table(subjects: Iterable[tuple[str, tuple[Method[Any], ...]]]) -> Mapping[str, Method[Any]]:
    """The rows by name, in their order. Two rows of one name are a fault of the program."""
    table: dict[str, Method[Any]] = {}
    for _, rows in subjects:
        for row in rows:
            assert row.name not in table, row.name
            table[row.name] = row
    return MappingProxyType(table)
