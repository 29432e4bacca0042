"""One client's dealings with an agent of programs: its log level, its subscriptions, its requests.

A program keeps nothing for anybody, so conversations are cheap: any number, made for one request if need be.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Protocol

import anyio

from ploinky.base.errors import NotFoundError
from ploinky.base.jsontypes import JsonObject, find_object, find_text
from ploinky.mcp.messages import INVALID_PARAMS, RequestId, RpcError
from ploinky.mcp.upstream import Ask, Back, ClientFacts
from ploinky.toolhost.answers import ProgramAnswers
from ploinky.toolhost.backroom import Backroom
from ploinky.toolhost.client_listener import ClientListener, level_in, progress_token
from ploinky.toolhost.parked import ParkedRun
from ploinky.toolhost.said import LOG_LEVELS
from ploinky.toolhost.subscriptions import Subscriptions
from ploinky.toolhost.task import Task
from ploinky.toolhost.task_answers import TaskAnswers
from ploinky.toolhost.task_wire import detailed_task, related, session_task
from ploinky.toolhost.tasks import AgentTasks, TaskDesk

_DEFAULT_LEVEL = "info"
_MOST = 256


class Programs(Protocol):
    """The agent. ``answers`` are those of its present configuration."""

    @property
    def answers(self) -> ProgramAnswers: ...

    @property
    def subscriptions(self) -> Subscriptions: ...

    @property
    def backroom(self) -> Backroom | None: ...

    @property
    def tasks(self) -> AgentTasks | None: ...


class ProgramConversation:
    """A ``Conversation``; ``back`` is for what belongs to no request."""

    def __init__(self, agent: Programs, client: ClientFacts, back: Back) -> None:
        self._agent = agent
        self._back = back
        self._level: str | None = None if client.stateless else _DEFAULT_LEVEL
        self._followed: dict[str, RequestId | None] = {}
        self._own: dict[str, Callable[[Ask], Awaitable[JsonObject]]] = {
            "logging/setLevel": self._set_level,
            "resources/subscribe": self._subscribe,
            "resources/unsubscribe": self._unsubscribe,
            "subscriptions/listen": self._listen,
        }

    async def request(self, ask: Ask) -> JsonObject:
        """See ``Conversation``."""
        own = self._own.get(ask.method)
        if own is not None:
            return await own(ask)
        begun = await self._task(ask)
        if begun is not None:
            return begun
        level = level_in(ask.params) if ask.client.stateless else self._level
        on_updated = self._agent.subscriptions.publish
        answers, backroom = self._agent.answers, self._agent.backroom
        if backroom is None or not ask.client.stateless or not answers.asks(ask):
            return await answers.answer(ask, ClientListener(ask, level, on_updated))

        async def produce(run: ParkedRun) -> JsonObject:
            return await answers.answer(ask, ClientListener(ask, level, on_updated, run))

        return await backroom.parked.serve(ask, produce)

    async def notify(self, method: str, params: JsonObject) -> None:
        """Programs hear nothing of a client's notifications."""

    async def aclose(self) -> None:
        """Forget what it subscribed to; its tasks live on."""
        self._agent.subscriptions.remove_all(self)
        desk = self._desk
        if desk is not None:
            desk.unlisten(self)

    @property
    def _desk(self) -> TaskDesk | None:
        return None if self._agent.backroom is None else self._agent.backroom.desk

    async def _task(self, ask: Ask) -> JsonObject | None:
        """The result of what is about tasks, or makes one; None for anything else."""
        if self._agent.tasks is None or not ask.method.startswith(("tasks/", "tools/call")):
            return None
        answers = TaskAnswers(self._agent.tasks)
        if ask.method == "tasks/list" and not self._agent.answers.has_async_tools:
            return None
        if ask.method != "tools/call":
            return await answers.answer(ask)
        begun = await answers.begin(ask, self._agent.answers)
        if begun is None:
            return None
        task, result = begun
        if task is not None and not ask.client.stateless:
            self._follow(task, progress_token(ask.params))
        return result

    def _follow(self, task: Task, token: RequestId | None) -> None:
        """Tell the session of its task's changes, and of its progress if it wants to know."""
        self._followed[task.id] = token
        if self._desk is not None:
            self._desk.listen(self, self._heard)

    def _heard(self, task: Task) -> None:
        if task.id not in self._followed:
            return
        token = self._followed[task.id]
        self._back.notify("notifications/tasks/status", session_task(task))
        if token is not None and task.progress is not None and not task.state.is_final:
            told: JsonObject = {"progressToken": token, "progress": task.progress, "_meta": related(task.id)}
            self._back.notify("notifications/progress", told)
        if task.state.is_final:
            del self._followed[task.id]

    async def _set_level(self, ask: Ask) -> JsonObject:
        level = find_text(ask.params, "level")
        if level not in LOG_LEVELS:
            raise RpcError(INVALID_PARAMS, f"params.level must be one of {', '.join(LOG_LEVELS)}.")
        self._level = level
        return {}

    async def _subscribe(self, ask: Ask) -> JsonObject:
        self._agent.subscriptions.add(_uri(ask), self, self._tell(self._back))
        return {}

    async def _unsubscribe(self, ask: Ask) -> JsonObject:
        self._agent.subscriptions.remove(_uri(ask), self)
        return {}

    async def _listen(self, ask: Ask) -> JsonObject:
        wanted = find_object(ask.params, "notifications") or {}
        uris, task_ids = _texts(wanted, "resourceSubscriptions"), frozenset(_texts(wanted, "taskIds"))
        desk, who = self._desk, object()

        def heard(task: Task) -> None:
            if task.id in task_ids and task.owner == ask.client.caller:
                ask.back.notify("notifications/tasks", detailed_task(task))

        try:
            for uri in uris:
                self._agent.subscriptions.add(uri, who, self._tell(ask.back))
            if desk is not None and self._agent.tasks is not None and task_ids:
                desk.listen(who, heard)
                for task_id in task_ids:
                    with contextlib.suppress(NotFoundError):
                        heard(await self._agent.tasks.find(task_id, ask.client.caller))
            await anyio.sleep_forever()
        finally:
            self._agent.subscriptions.remove_all(who)
            if desk is not None:
                desk.unlisten(who)
        return {}

    def _tell(self, back: Back) -> Callable[[str], None]:
        return lambda uri: back.notify("notifications/resources/updated", {"uri": uri})


def _texts(given: JsonObject, key: str) -> list[str]:
    listed = given.get(key)
    return [each for each in listed if isinstance(each, str)][:_MOST] if isinstance(listed, list) else []


def _uri(ask: Ask) -> str:
    uri = find_text(ask.params, "uri")
    if uri is None:
        raise RpcError(INVALID_PARAMS, "params.uri must be the URI of a resource.")
    return uri
