"""``call --detach`` and ``tasks``: tasks that go on by themselves, looked at and ended later.

The gateway keeps them, of whoever started them; a task is named by the id that it gave.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import anyio

from ploinky.base.errors import DeadlineError, NotFoundError, PloinkyError, UsageError
from ploinky.base.jsontypes import JsonObject
from ploinky.operations.call import find_called
from ploinky.operations.gateway_link import require_client
from ploinky.router.gateway_client import GatewayClient
from ploinky.wire.events import Event, Notice, Result
from ploinky.workspace.layout import Layout

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 1.0


async def begin_task(
    layout: Layout, target: str, *, pairs: Sequence[str], arguments: JsonObject
) -> AsyncIterator[Event]:
    """Call an async tool and leave it: its task's id.

    Raises:
        UsageError: ``NOT_ASYNC``. And as ``call_tool``.
    """
    client = require_client(layout)
    called = await find_called(client, layout, target, pairs, arguments)
    if not called.tool.is_async:
        hint = f"Wait for its answer: ploinky call {target}"
        raise UsageError("NOT_ASYNC", f"Calls of {target} are no tasks: they cannot be left.", hint=hint)
    task_id = await client.begin_task(called.tool.name, called.arguments, agent=called.agent)
    yield Result(value={"taskId": task_id})


async def list_tasks(layout: Layout) -> AsyncIterator[Event]:
    """The tasks of all agents: those that have not ended first, then the newest."""
    yield Result(value=await require_client(layout).rpc("tasks.list", {}))


async def show_task(layout: Layout, task_id: str) -> AsyncIterator[Event]:
    """One task as it is now, with the tail of its log.

    Raises:
        NotFoundError: ``TASK_NOT_FOUND``.
    """
    yield Result(value=await _task(require_client(layout), "tasks.get", task_id))


async def task_result(layout: Layout, task_id: str, *, timeout_s: float) -> AsyncIterator[Event]:
    """Wait for a task's end, without ending it; what it answered.

    Raises:
        NotFoundError: ``TASK_NOT_FOUND``. PloinkyError: ``TASK_FAILED``. DeadlineError: it goes on.
    """
    client = require_client(layout)
    pause_s = _FIRST_PAUSE_S
    try:
        with anyio.fail_after(timeout_s):
            while not (task := await _task(client, "tasks.get", task_id))["ended"]:
                await anyio.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
    except TimeoutError as error:
        raise DeadlineError(f"the end of task {task_id}, which goes on", timeout_s) from error
    if task["state"] != "completed" or task["failed"]:
        message = task["text"] or task["message"] or f"The task is {task['state']}."
        raise PloinkyError("TASK_FAILED", str(message))
    yield Result(value=task)


async def cancel_task(layout: Layout, task_id: str) -> AsyncIterator[Event]:
    """End a task and its program; one that has ended stays as it is.

    Raises:
        NotFoundError: ``TASK_NOT_FOUND``.
    """
    task = await _task(require_client(layout), "tasks.cancel", task_id)
    yield Notice(message=f"Task {task_id} is {task['state']}.")
    yield Result(value=task)


async def _task(client: GatewayClient, method: str, task_id: str) -> JsonObject:
    try:
        found = await client.rpc(method, {"taskId": task_id})
    except PloinkyError as error:
        if error.code != "TASK_NOT_FOUND":
            raise
        hint = "See what there is: ploinky tasks list"
        raise NotFoundError(error.code, error.message, hint=hint) from error
    assert isinstance(found, dict)
    return found
