"""RPC rows of the agents' tasks, whoever started them: ``tasks.*``. What programs print is a stranger's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field
from pydantic import JsonValue as PydanticJson

from ploinky.base.errors import NotFoundError
from ploinky.base.jsontypes import JsonObject
from ploinky.gateway.rpc.method import Answer, Call, Method, Params, Scope, reading
from ploinky.toolhost.task import Task
from ploinky.toolhost.tasks import TaskDesk


class TasksParams(Params):
    """``limit``: how many at most."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 100


class OfTask(Params):
    """``taskId``: as ``tasks.list`` gives it."""

    task_id: Annotated[str, Field(min_length=1, max_length=100)]


class TaskRow(Answer):
    """One task. ``caller`` started it; ``fraction`` is null while unknown; ``ended``: nothing more comes."""

    task_id: str
    agent: str
    tool: str
    caller: str
    state: str
    ended: bool
    created_at: str
    updated_at: str
    message: str | None
    fraction: float | None


class TaskAnswer(TaskRow):
    """``logTail``: the last that its program printed; ``text``: its result or its error, once it ended;
    ``structured``: its JSON, if it has any; ``failed``: the tool says that it failed."""

    log_tail: str
    text: str | None
    structured: PydanticJson
    failed: bool


async def list_tasks(call: Call, params: TasksParams) -> list[TaskRow]:
    """Tasks of all agents and callers: those that have not ended first, then the newest."""
    if call.services.tasks is None:
        return []
    return [TaskRow.model_validate(_facts(task)) for task in await call.services.tasks.recent(params.limit)]


async def get_task(call: Call, params: OfTask) -> TaskAnswer:
    """A task as it is now, with the tail of its log."""
    return _whole(await _desk(call).require(params.task_id))


async def cancel_task(call: Call, params: OfTask) -> TaskAnswer:
    """End a task and its program; one that has ended stays as it is."""
    return _whole(await _desk(call).cancel(params.task_id))


def _desk(call: Call) -> TaskDesk:
    if call.services.tasks is None:
        raise NotFoundError("TASK_NOT_FOUND", "No tasks are kept here.")
    return call.services.tasks


def _facts(task: Task) -> JsonObject:
    known = task.progress is not None and task.total
    return {
        "taskId": task.id,
        "agent": task.agent,
        "tool": task.tool,
        "caller": task.owner,
        "state": task.state.value,
        "ended": task.state.is_final,
        "createdAt": _time(task.created),
        "updatedAt": _time(task.updated),
        "message": task.message,
        "fraction": (task.progress or 0.0) / (task.total or 1.0) if known else None,
    }


def _whole(task: Task) -> TaskAnswer:
    result = task.result or {}
    told = {"structured": result.get("structuredContent"), "failed": result.get("isError") is True}
    return TaskAnswer.model_validate({**_facts(task), "logTail": task.log, "text": _text(task), **told})


def _text(task: Task) -> str | None:
    if task.error is not None:
        return str(task.error.get("message", ""))
    content = None if task.result is None else task.result.get("content")
    if not isinstance(content, list):
        return None
    return "\n".join(str(each["text"]) for each in content if isinstance(each, dict) and "text" in each)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


TASK_METHODS: tuple[Method[Any], ...] = (
    reading("tasks.list", TasksParams, list[TaskRow], Scope.ADMIN, list_tasks),
    reading("tasks.get", OfTask, TaskAnswer, Scope.ADMIN, get_task),
    Method("tasks.cancel", OfTask, TaskAnswer, Scope.ADMIN, cancel_task),
)
