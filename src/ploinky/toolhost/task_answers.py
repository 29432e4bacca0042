"""Requests of MCP about tasks, in both their forms: made by a tool's call, looked at, answered, ended.

The extension (2026-07-28): an async tool's call is a task for clients that know tasks; ``tasks/get``,
``tasks/update``, ``tasks/cancel``. The session era (2025-11-25): a call is one if it says so;
``tasks/get``, ``tasks/result``, ``tasks/list``, ``tasks/cancel``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ploinky.base.errors import NotFoundError, PloinkyError
from ploinky.base.jsontypes import JsonObject, JsonValue, find_object, find_text
from ploinky.mcp.messages import (
    CANCELLED,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    RpcError,
    clipped,
    knows_tasks,
    needs_tasks,
)
from ploinky.mcp.traces import trace_in
from ploinky.mcp.upstream import Ask
from ploinky.toolhost.answers import ProgramAnswers, call_params
from ploinky.toolhost.client_listener import ask_all, capabilities_of
from ploinky.toolhost.offers import call_result
from ploinky.toolhost.said import Question
from ploinky.toolhost.specs import AsyncMode, ToolSpec
from ploinky.toolhost.task import DEFAULT_TTL_MS, MOST_TTL_MS, Order, Task, TaskState
from ploinky.toolhost.task_wire import (
    created_task,
    detailed_task,
    related,
    session_result,
    session_task,
)
from ploinky.toolhost.tasks import AgentTasks

_PAGE = 100
_AFTER_END_MS = 300_000
Answer = Callable[[Ask], Awaitable[JsonObject]]


class TaskAnswers:
    """Answers about the tasks of one agent. To serve one more method: a row in one of the tables."""

    def __init__(self, tasks: AgentTasks) -> None:
        self._tasks = tasks
        self._session: dict[str, Answer] = {
            "tasks/get": self._get,
            "tasks/result": self._result,
            "tasks/list": self._list,
            "tasks/cancel": self._cancel,
        }
        self._extension: dict[str, Answer] = {
            "tasks/get": self._get,
            "tasks/update": self._update,
            "tasks/cancel": self._cancel,
        }

    async def answer(self, ask: Ask) -> JsonObject:
        """The result of a ``tasks/...`` request.

        Raises:
            RpcError: no such method or task, wrong params, a client that does not know tasks.
        """
        table = self._extension if ask.client.stateless else self._session
        answer = table.get(ask.method)
        if answer is None:
            raise RpcError(METHOD_NOT_FOUND, f"Method not found: {clipped(ask.method)}")
        if ask.client.stateless and not knows_tasks(ask.client.capabilities):
            raise needs_tasks()
        try:
            return await answer(ask)
        except NotFoundError as error:
            raise RpcError(INVALID_PARAMS, error.message) from error

    async def begin(self, ask: Ask, answers: ProgramAnswers) -> tuple[Task | None, JsonObject] | None:
        """The task that a ``tools/call`` makes with its result, or None if the call is to be waited for.

        Raises:
            RpcError: the tool is for clients that know tasks, or is none for them; wrong params.
        """
        name, arguments = call_params(ask.params)
        tool = answers.find_tool(name)
        if tool is None or not self._is_task(ask, tool):
            return None
        answers.require_capabilities(ask, name)
        refused = answers.refusal(name, arguments)
        if refused is not None and ask.client.stateless:
            return None, call_result(refused)
        able, trace = capabilities_of(ask.client), trace_in(ask.params)
        order = Order(name, arguments, ask.client.caller, able, _ttl_ms(ask, tool), trace)
        try:
            task = await self._tasks.create(order)
        except PloinkyError as error:
            raise RpcError(INTERNAL_ERROR, error.message, {"code": error.code}) from error
        return task, (created_task(task) if ask.client.stateless else {"task": session_task(task)})

    def _is_task(self, ask: Ask, tool: ToolSpec) -> bool:
        if ask.client.stateless:
            if tool.async_mode is AsyncMode.REQUIRED and not knows_tasks(ask.client.capabilities):
                raise needs_tasks()
            return tool.is_async and knows_tasks(ask.client.capabilities)
        asked = "task" in ask.params
        if asked and not tool.is_async:
            raise RpcError(METHOD_NOT_FOUND, f"Tool {tool.name!r} cannot be called as a task.")
        if not asked and tool.async_mode is AsyncMode.REQUIRED:
            raise RpcError(METHOD_NOT_FOUND, f"Tool {tool.name!r} can only be called as a task.")
        return asked

    async def _get(self, ask: Ask) -> JsonObject:
        task = await self._tasks.find(_task_id(ask), ask.client.caller)
        return detailed_task(task) if ask.client.stateless else session_task(task)

    async def _update(self, ask: Ask) -> JsonObject:
        given = find_object(ask.params, "inputResponses")
        if given is None or not all(isinstance(each, dict) for each in given.values()):
            raise RpcError(INVALID_PARAMS, "params.inputResponses must be an object of answers.")
        responses = {key: each for key, each in given.items() if isinstance(each, dict)}
        await self._tasks.answer(_task_id(ask), ask.client.caller, responses)
        return {}

    async def _cancel(self, ask: Ask) -> JsonObject:
        task_id, owner = _task_id(ask), ask.client.caller
        before = await self._tasks.find(task_id, owner)
        if before.state.is_final and not ask.client.stateless:
            raise RpcError(INVALID_PARAMS, f"The task has ended already ({before.state.value}).")
        task = await self._tasks.cancel(task_id, owner)
        return {} if ask.client.stateless else session_task(task)

    async def _list(self, ask: Ask) -> JsonObject:
        cursor = find_text(ask.params, "cursor")
        try:
            before = float("inf") if cursor is None else float(cursor)
        except ValueError as error:
            raise RpcError(INVALID_PARAMS, "There is no such cursor.") from error
        found = await self._tasks.listed(ask.client.caller, before, _PAGE)
        listed: list[JsonValue] = [session_task(task) for task in found]
        result: JsonObject = {"tasks": listed}
        return {**result, "nextCursor": repr(found[-1].created)} if len(found) == _PAGE else result

    async def _result(self, ask: Ask) -> JsonObject:
        """Wait for the end; what the task asks meanwhile is asked of whoever waits here."""
        task_id, owner = _task_id(ask), ask.client.caller
        while True:
            task = await self._tasks.until(
                task_id, owner, lambda now: now.state is TaskState.INPUT_REQUIRED or now.state.is_final
            )
            if task.state.is_final:
                return _ended(task)
            questions = {key: _question(task_id, each) for key, each in task.questions.items()}
            await self._tasks.answer(task_id, owner, await ask_all(ask.back, questions))


def _ended(task: Task) -> JsonObject:
    if task.state is TaskState.COMPLETED:
        return session_result(task)
    error = task.error or {"code": CANCELLED, "message": task.message or "The task was cancelled."}
    code = error.get("code")
    raise RpcError(code if isinstance(code, int) else INTERNAL_ERROR, str(error.get("message")))


def _question(task_id: str, asked: JsonValue) -> Question:
    params = find_object(asked, "params") or {}
    return Question(find_text(asked, "method") or "", {**params, "_meta": related(task_id)})


def _task_id(ask: Ask) -> str:
    task_id = find_text(ask.params, "taskId")
    if task_id is None:
        raise RpcError(INVALID_PARAMS, "params.taskId must be the id of a task.")
    return task_id


def _ttl_ms(ask: Ask, tool: ToolSpec) -> int:
    """As long as the client wants, but not so short that the task could not end, nor for ever."""
    wanted = (find_object(ask.params, "task") or {}).get("ttl")
    least = round(tool.limit_s * 1000) + _AFTER_END_MS
    if not isinstance(wanted, (int, float)) or isinstance(wanted, bool):
        wanted = DEFAULT_TTL_MS
    return max(least, min(round(wanted), MOST_TTL_MS))
