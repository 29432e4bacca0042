"""The tasks of all agents: queued, run as their agents have room, found again after a restart.

``TaskDesk`` is one per gateway; an agent takes part by ``join``. What was queued when the gateway ended is
run by the next one; what ran has failed and is told so, for its program ended with the gateway.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import anyio
import anyio.abc
import anyio.to_thread
import orjson

from ploinky.base.errors import NotFoundError, PloinkyError
from ploinky.base.jsontypes import JsonObject
from ploinky.base.redaction import Redactor
from ploinky.mcp.messages import AGENT_LOST, INTERNAL_ERROR, INVALID_PARAMS
from ploinky.toolhost.host import CallMeta, ToolHost
from ploinky.toolhost.offers import call_result
from ploinky.toolhost.results import ProgramError
from ploinky.toolhost.task import Order, Task, TaskState
from ploinky.toolhost.task_run import Ears, TaskRun
from ploinky.toolhost.task_store import TaskStore

logger = logging.getLogger(__name__)
MOST_QUEUED = 1000  # per agent
_FLUSH_EVERY_S = 2.0
_INTERRUPTED: JsonObject = {
    "code": AGENT_LOST,
    "message": "The gateway ended while the task ran; it was not run again.",
}
_T = TypeVar("_T")
Heard = Callable[[Task], None]


@dataclass(frozen=True)
class TaskAgent:
    """An agent as tasks need it: its present host, whether it can run programs now, its secrets' masks,
    and who hears of a resource that changed."""

    key: str
    host: Callable[[], ToolHost]
    is_ready: Callable[[], bool]
    redactor: Callable[[], Awaitable[Redactor]]
    on_updated: Callable[[str], None]


class TaskDesk:
    """``store`` is this desk's alone; ``group`` carries what runs."""

    def __init__(self, store: TaskStore, group: anyio.abc.TaskGroup) -> None:
        self._store = store
        self._group = group
        self._disk = anyio.CapacityLimiter(1)
        self._agents: dict[str, AgentTasks] = {}
        self._listeners: dict[object, Heard] = {}
        interrupted = store.fail_interrupted(_INTERRUPTED)
        if interrupted:
            logger.warning("%d tasks ended with the last gateway", interrupted)

    def join(self, agent: TaskAgent) -> AgentTasks:
        """The tasks of an agent, those queued before among them."""
        tasks = self._agents.get(agent.key)
        if tasks is None:
            tasks = self._agents[agent.key] = AgentTasks(agent, self)
        tasks.agent = agent
        return tasks

    def listen(self, who: object, heard: Heard) -> None:
        """Call ``heard`` with every task that changes, until ``unlisten``."""
        self._listeners[who] = heard

    def unlisten(self, who: object) -> None:
        self._listeners.pop(who, None)

    async def recent(self, most: int) -> list[Task]:
        """Tasks of all agents and owners: those that have not ended first, then the newest."""
        stored = await self.on_disk(lambda: self._store.recent(most))
        return [self._now(task) for task in stored]

    async def require(self, task_id: str) -> Task:
        """Any owner's task, as it is now.

        Raises:
            NotFoundError: ``TASK_NOT_FOUND``.
        """
        task = await self.on_disk(lambda: self._store.find(task_id))
        if task is None:
            raise _not_found()
        return self._now(task)

    async def cancel(self, task_id: str) -> Task:
        """End any owner's task, and its program with it; one that has ended stays as it is.

        Raises:
            NotFoundError: ``TASK_NOT_FOUND``, also if its agent is no longer there.
        """
        task = await self.require(task_id)
        if task.state.is_final:
            return task
        if task.agent not in self._agents:
            raise _not_found()
        return await self._agents[task.agent].cancel(task_id, task.owner)

    def _now(self, task: Task) -> Task:
        agent = self._agents.get(task.agent)
        return task if agent is None else agent.moment(task)

    async def sweep(self) -> None:
        """Forget what is too old."""
        await self.on_disk(self._store.prune)

    async def on_disk(self, work: Callable[[], _T]) -> _T:
        """Do something with the store, away from the event loop, one at a time."""
        return await anyio.to_thread.run_sync(work, limiter=self._disk)

    @property
    def store(self) -> TaskStore:
        return self._store

    def start(self, work: Callable[[str], Coroutine[object, object, None]], task_id: str) -> None:
        """Carry a task."""
        self._group.start_soon(work, task_id)

    def publish(self, task: Task) -> None:
        for heard in tuple(self._listeners.values()):
            heard(task)


class AgentTasks:
    """The tasks of one agent."""

    def __init__(self, agent: TaskAgent, desk: TaskDesk) -> None:
        self.agent = agent
        self._desk = desk
        self._queue = deque(desk.store.queued(agent.key))
        self._runs: dict[str, TaskRun] = {}
        self._starting: set[str] = set()
        self._news: dict[str, anyio.Event] = {}

    async def create(self, order: Order) -> Task:
        """Queue a task; when this returns, it is on disk and perhaps running.

        Raises:
            PloinkyError: ``TASK_QUEUE_FULL``.
        """
        if len(self._queue) >= MOST_QUEUED:
            raise PloinkyError(
                "TASK_QUEUE_FULL",
                f"Agent {self.agent.key!r} has {MOST_QUEUED} tasks waiting; try again later.",
            )
        now = time.time()
        task_id = secrets.token_hex(12)
        task = Task(
            task_id, self.agent.key, order.tool, order.owner, TaskState.QUEUED, now, now, order.ttl_ms
        )
        await self._desk.on_disk(lambda: self._desk.store.add(task, order))
        self._queue.append(task_id)
        self.pump()
        return task

    async def find(self, task_id: str, owner: str) -> Task:
        """A task of this owner, as it is now.

        Raises:
            NotFoundError: ``TASK_NOT_FOUND``.
        """
        run = self._runs.get(task_id)
        task = run.moment if run is not None else await self._stored(task_id)
        if task is None or task.owner != owner or task.agent != self.agent.key:
            raise _not_found()
        return task

    async def listed(self, owner: str, before: float, most: int) -> list[Task]:
        """This owner's tasks created before that moment, the newest first."""
        stored = await self._desk.on_disk(
            lambda: self._desk.store.listed(self.agent.key, owner, before, most)
        )
        return [self.moment(task) for task in stored]

    def moment(self, task: Task) -> Task:
        """A stored task as it is now."""
        return self._runs[task.id].moment if task.id in self._runs else task

    async def cancel(self, task_id: str, owner: str) -> Task:
        """End a task, and its program with it; one that has ended stays as it is.

        Raises:
            NotFoundError: ``TASK_NOT_FOUND``.
        """
        task = await self.find(task_id, owner)
        if task.state is TaskState.QUEUED and task_id not in self._starting:
            if task_id in self._queue:
                self._queue.remove(task_id)
            cancelled = replace(task, state=TaskState.CANCELLED, updated=time.time())
            await self._desk.on_disk(lambda: self._desk.store.save(cancelled))
            self._tell(cancelled)
            return cancelled
        await self.until(task_id, owner, lambda now: now.state is not TaskState.QUEUED)
        if task_id in self._runs:
            self._runs[task_id].scope.cancel()
        return await self.until(task_id, owner, lambda now: now.state.is_final)

    async def answer(self, task_id: str, owner: str, responses: Mapping[str, JsonObject]) -> None:
        """Hand answers to a task that asked.

        Raises:
            NotFoundError: ``TASK_NOT_FOUND``.
        """
        await self.find(task_id, owner)
        if task_id in self._runs:
            self._runs[task_id].answer(responses)

    async def until(self, task_id: str, owner: str, is_enough: Callable[[Task], bool]) -> Task:
        """Wait until a task is as wanted, or has ended.

        Raises:
            NotFoundError: ``TASK_NOT_FOUND``.
        """
        while True:
            event = self._news.setdefault(task_id, anyio.Event())
            task = await self.find(task_id, owner)
            if is_enough(task) or (task.state.is_final and task_id not in self._runs):
                if task_id not in self._runs and task_id not in self._starting:
                    self._news.pop(task_id, None)
                return task
            await event.wait()

    def pump(self) -> None:
        """Begin what there is room for, if the agent can run programs now."""
        if not self._queue or not self.agent.is_ready():
            return
        most = self.agent.host().config.max_parallel_tasks
        while self._queue and len(self._runs) + len(self._starting) < most:
            task_id = self._queue.popleft()
            self._starting.add(task_id)
            self._desk.start(self._run, task_id)

    async def _stored(self, task_id: str) -> Task | None:
        return await self._desk.on_disk(lambda: self._desk.store.find(task_id))

    def _tell(self, task: Task) -> None:
        self._wake(task.id)
        self._desk.publish(task)

    def _wake(self, task_id: str) -> None:
        event = self._news.pop(task_id, None)
        if event is not None:
            event.set()

    async def _run(self, task_id: str) -> None:
        """One task, from its beginning to its end; never raises but for its own cancellation."""
        try:
            begun = await self._desk.on_disk(lambda: self._desk.store.begin(task_id))
            if begun is not None:
                await self._begun(*begun)
        except Exception:
            logger.exception("agent %s: task %s failed inside the gateway", self.agent.key, task_id)
            await self._give_up(task_id)
        self._starting.discard(task_id)
        self._wake(task_id)
        self.pump()

    async def _give_up(self, task_id: str) -> None:
        """A task that the gateway could not carry has failed, and is told so if that can be kept."""
        with contextlib.suppress(PloinkyError):
            task = await self._stored(task_id)
            if task is not None and not task.state.is_final:
                outcome = _failed(INTERNAL_ERROR, "The gateway failed; its log says more.")
                ended = replace(task, updated=time.time(), **outcome)  # type: ignore[arg-type]
                await self._desk.on_disk(lambda: self._desk.store.save(ended))
                self._tell(ended)

    async def _begun(self, task: Task, order: Order) -> None:
        host = self.agent.host()
        redactor = await self.agent.redactor()
        tail = host.config.task_log_tail_bytes
        ears = Ears(self._tell, self.agent.on_updated)
        run = TaskRun(task, ears, able=order.able, redactor=redactor, tail_bytes=tail)
        self._runs[task.id] = run
        self._starting.discard(task.id)
        self._tell(task)
        try:
            with run.scope:
                async with anyio.create_task_group() as group:
                    group.start_soon(self._flush, run)
                    outcome = await _outcome(host, run, order)
                    group.cancel_scope.cancel()
            if run.scope.cancelled_caught:
                outcome = {"state": TaskState.CANCELLED, "message": "It was cancelled."}
            ended = replace(run.moment, updated=time.time(), questions={}, **_scrubbed(outcome, redactor))  # type: ignore[arg-type]
            await self._desk.on_disk(lambda: self._desk.store.save(ended))
        finally:
            del self._runs[task.id]
        self._tell(ended)

    async def _flush(self, run: TaskRun) -> None:
        """Keep what a long task says on disk too, now and then."""
        kept = run.moment
        while True:
            await anyio.sleep(_FLUSH_EVERY_S)
            now = run.moment
            if now != kept:
                kept = now
                await self._desk.on_disk(lambda now=now: self._desk.store.save(now))  # type: ignore[misc]


def _not_found() -> NotFoundError:
    return NotFoundError("TASK_NOT_FOUND", "There is no such task, or it has expired.")


async def _outcome(host: ToolHost, run: TaskRun, order: Order) -> dict[str, object]:
    meta = CallMeta(run.task.id, None, order.owner, run.task.id, tuple(sorted(order.able)), order.trace)
    try:
        result = await host.call(order.tool, order.arguments, meta, run)
    except ProgramError as error:
        return _failed(error.rpc_code, error.message)
    except NotFoundError as error:
        return _failed(INVALID_PARAMS, error.message)
    except PloinkyError as error:
        return _failed(AGENT_LOST, f"{error.message} The task was not run again.")
    except Exception:
        logger.exception("a task failed inside the gateway")
        return _failed(INTERNAL_ERROR, "The gateway failed; its log says more.")
    return {"state": TaskState.COMPLETED, "result": call_result(result)}


def _failed(code: int, message: str) -> dict[str, object]:
    return {"state": TaskState.FAILED, "message": message, "error": {"code": code, "message": message}}


def _scrubbed(outcome: dict[str, object], redactor: Redactor) -> dict[str, object]:
    """The outcome without secrets: what lies on disk is read by more than a program's caller."""
    return {
        key: value if key == "state" else orjson.loads(redactor.scrub(orjson.dumps(value).decode()))
        for key, value in outcome.items()
    }
