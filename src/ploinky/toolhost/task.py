"""One task: an async tool's call that outlives its request. States, and what may follow what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from ploinky.base.jsontypes import JsonObject
from ploinky.mcp.traces import Trace

DEFAULT_TTL_MS = 24 * 3600 * 1000
MOST_TTL_MS = 7 * 24 * 3600 * 1000
POLL_INTERVAL_MS = 500


class TaskState(StrEnum):
    """QUEUED until there is room; INPUT_REQUIRED while it waits for answers of its client."""

    QUEUED = "queued"
    RUNNING = "running"
    INPUT_REQUIRED = "input_required"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return not NEXT[self]


_ENDS = frozenset({TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELLED})
NEXT: Mapping[TaskState, frozenset[TaskState]] = MappingProxyType(
    {
        TaskState.QUEUED: frozenset({TaskState.RUNNING, TaskState.FAILED, TaskState.CANCELLED}),
        TaskState.RUNNING: _ENDS | {TaskState.INPUT_REQUIRED},
        TaskState.INPUT_REQUIRED: _ENDS | {TaskState.RUNNING},
        TaskState.COMPLETED: frozenset(),
        TaskState.FAILED: frozenset(),
        TaskState.CANCELLED: frozenset(),
    }
)


@dataclass(frozen=True)
class Task:
    """One moment of a task. Times are seconds since 1970; ``ttl_ms`` counts from its creation.

    ``result`` is a ``CallToolResult`` if COMPLETED, ``error`` a JSON-RPC error if FAILED, ``questions`` what
    is asked (by key) if INPUT_REQUIRED. ``log`` is the tail of what its program printed.
    """

    id: str
    agent: str
    tool: str
    owner: str
    state: TaskState
    created: float
    updated: float
    ttl_ms: int
    message: str | None = None
    progress: float | None = None
    total: float | None = None
    result: JsonObject | None = None
    error: JsonObject | None = None
    questions: JsonObject = field(default_factory=dict)
    log: str = ""


@dataclass(frozen=True)
class Order:
    """What a task is to do. ``able`` is what its client can be asked for while it runs."""

    tool: str
    arguments: JsonObject
    owner: str
    able: frozenset[str] = frozenset()
    ttl_ms: int = DEFAULT_TTL_MS
    trace: Trace | None = None
