"""Tasks in MCP's words: of the session era (2025-11-25), of the extension (2026-07-28), and of the older
``GET /mcps/<agent>/task``. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType

from ploinky.base.jsontypes import JsonObject
from ploinky.mcp.messages import META
from ploinky.toolhost.task import POLL_INTERVAL_MS, Task, TaskState

RELATED = META + "related-task"
PROGRESS_META = "ploinky/progress"
_WORKING: Mapping[TaskState, str] = MappingProxyType(
    {TaskState.QUEUED: "working", TaskState.RUNNING: "working"}
)
_OLD: Mapping[TaskState, str] = MappingProxyType(
    {
        TaskState.QUEUED: "pending",
        TaskState.INPUT_REQUIRED: "running",
        TaskState.CANCELLED: "failed",
    }
)


def session_task(task: Task) -> JsonObject:
    """A ``Task`` of 2025-11-25."""
    return {**_common(task), "ttl": task.ttl_ms, "pollInterval": POLL_INTERVAL_MS}


def session_result(task: Task) -> JsonObject:
    """The result of a task that is COMPLETED, as ``tasks/result`` gives it."""
    return {**(task.result or {}), "_meta": related(task.id)}


def related(task_id: str) -> JsonObject:
    """What ties a message to its task."""
    return {RELATED: {"taskId": task_id}}


def created_task(task: Task) -> JsonObject:
    """A ``CreateTaskResult`` of the extension."""
    return {
        "resultType": "task",
        **_common(task),
        "ttlMs": task.ttl_ms,
        "pollIntervalMs": POLL_INTERVAL_MS,
    }


def detailed_task(task: Task) -> JsonObject:
    """A ``DetailedTask`` of the extension."""
    wire = created_task(task)
    del wire["resultType"]
    if task.state is TaskState.COMPLETED:
        wire["result"] = task.result or {}
    elif task.state is TaskState.FAILED:
        wire["error"] = task.error or {}
    elif task.state is TaskState.INPUT_REQUIRED:
        wire["inputRequests"] = task.questions
    if task.progress is not None:
        shown: JsonObject = {"progress": task.progress}
        wire["_meta"] = {PROGRESS_META: shown if task.total is None else {**shown, "total": task.total}}
    return wire


def old_task(task: Task) -> JsonObject:
    """What clients of before MCP's tasks ask for. A tool's error is a failure there."""
    result = task.result or {}
    failed = result.get("isError") is True
    error = (task.error or {}).get("message") or (task.message if task.state is TaskState.CANCELLED else None)
    if failed:
        content = result.get("content")
        first = content[0] if isinstance(content, list) and content else None
        error = first.get("text") if isinstance(first, dict) else "The tool failed."
    return {
        "id": task.id,
        "toolName": task.tool,
        "status": "failed" if failed else _OLD.get(task.state, task.state.value),
        "createdAt": _iso(task.created),
        "updatedAt": _iso(task.updated),
        "message": task.message,
        "error": error,
        "result": None if failed or task.result is None else task.result,
        "logTail": task.log,
    }


def _common(task: Task) -> JsonObject:
    wire: JsonObject = {
        "taskId": task.id,
        "status": _WORKING.get(task.state, task.state.value),
        "createdAt": _iso(task.created),
        "lastUpdatedAt": _iso(task.updated),
    }
    message = "It waits for other tasks to end." if task.state is TaskState.QUEUED else task.message
    return wire if message is None else {**wire, "statusMessage": message}


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
