"""Tasks: queued, run, asked, cancelled, kept over the end of the gateway and of the agent."""

from __future__ import annotations

import contextlib
import sqlite3
import stat
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from ploinky.base.errors import NotFoundError, PloinkyError
from ploinky.base.jsontypes import JsonObject
from ploinky.base.redaction import Redactor
from ploinky.base.waits import wait_until
from ploinky.toolhost.host import ToolHost
from ploinky.toolhost.task import Order, Task, TaskState
from ploinky.toolhost.task_store import TaskStore
from ploinky.toolhost.task_wire import old_task
from ploinky.toolhost.tasks import MOST_QUEUED, AgentTasks, TaskAgent, TaskDesk
from tests.router.stand import Agent, gone, holds
from tests.toolhost.stage import agent, hosting

ASYNC: dict[str, object] = {"async": True}
SECRET = "s3cret-value-of-the-agent"


class Bench:
    """A store and an agent; ``opened`` is one gateway's life."""

    def __init__(self, made: Agent) -> None:
        self.made = made
        self.file = made.folder.parent / "tasks.sqlite"
        self.ready = True

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[AgentTasks]:
        store = TaskStore(self.file)
        try:
            async with hosting(self.made) as host, anyio.create_task_group() as group:
                yield TaskDesk(store, group).join(self._agent(host))
                group.cancel_scope.cancel()
        finally:
            store.close()

    def _agent(self, host: ToolHost) -> TaskAgent:
        async def redactor() -> Redactor:
            return Redactor([SECRET])

        return TaskAgent("alpha", lambda: host, lambda: self.ready, redactor, lambda uri: None)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with agent() as made:
        yield Bench(made)


def order(tool: str = "work", *able: str, **arguments: str) -> Order:
    return Order(tool, {**arguments}, "owner", frozenset(able))


async def ended(tasks: AgentTasks, task: Task) -> Task:
    with anyio.fail_after(20):
        return await tasks.until(task.id, "owner", lambda now: now.state.is_final)


async def came_to(tasks: AgentTasks, task: Task, state: TaskState) -> Task:
    with anyio.fail_after(20):
        return await tasks.until(task.id, "owner", lambda now: now.state is state)


def text_of(result: JsonObject | None) -> object:
    assert result is not None
    content = result["content"]
    assert isinstance(content, list)
    assert isinstance(content[0], dict)
    return content[0]["text"]


async def test_a_task_runs_and_keeps_its_result_message_and_log(bench: Bench) -> None:
    script = (
        """IFS= read -r line; echo "$INPUT_WORD" >&2; echo '{"progress": 1, "total": 4}' >&2; echo "$line\""""
    )
    bench.made.configure(bench.made.tool("work", script, **ASYNC))
    async with bench.opened() as tasks:
        task = await ended(tasks, await tasks.create(order(word="hello")))
        assert (task.state, task.message, task.log) == (TaskState.COMPLETED, "25 %", "hello\n")
        assert f'"taskId":"{task.id}"' in str(text_of(task.result))
        with pytest.raises(NotFoundError):
            await tasks.find(task.id, "agent:somebody")
        with pytest.raises(NotFoundError):
            await tasks.find("made-up", "owner")
    async with bench.opened() as tasks:
        assert (await tasks.find(task.id, "owner")).result == task.result
        assert [each.id for each in await tasks.listed("owner", float("inf"), 10)] == [task.id]


async def test_what_a_tool_fails_at_is_a_result_and_what_a_program_breaks_is_a_failure(bench: Bench) -> None:
    broken = 'echo \'{"error": {"code": -32000, "message": "broken"}}\'; exit 1'
    bench.made.configure(
        bench.made.tool("fails", "echo no >&2; exit 1", **ASYNC), bench.made.tool("breaks", broken, **ASYNC)
    )
    async with bench.opened() as tasks:
        failed = await ended(tasks, await tasks.create(order("fails")))
        assert (failed.state, failed.result and failed.result["isError"]) == (TaskState.COMPLETED, True)
        assert (old_task(failed)["status"], old_task(failed)["error"]) == ("failed", "no")
        broke = await ended(tasks, await tasks.create(order("breaks")))
        assert (broke.state, broke.error) == (TaskState.FAILED, {"code": -32000, "message": "broken"})
        absent = await ended(tasks, await tasks.create(order("absent")))
        assert absent.state is TaskState.FAILED


async def test_secrets_do_not_reach_the_disk_and_nobody_else_can_read_it(bench: Bench) -> None:
    script = f'echo {SECRET} >&2; echo \'{{"progress": 1, "message": "{SECRET}"}}\' >&2; echo \'{SECRET}\''
    bench.made.configure(bench.made.tool("work", script, **ASYNC))
    async with bench.opened() as tasks:
        task = await ended(tasks, await tasks.create(order(word="an argument that is gone when it begins")))
        assert text_of(task.result) == "[redacted]"
        assert (task.message, task.log) == ("[redacted]", "[redacted]\n")
    raw = b"".join(file.read_bytes() for file in bench.file.parent.glob("tasks.sqlite*"))
    assert SECRET.encode() not in raw
    assert stat.S_IMODE(bench.file.stat().st_mode) == 0o600
    with contextlib.closing(sqlite3.connect(bench.file)) as db:
        assert db.execute("SELECT the_order FROM tasks").fetchall() == [(None,)]


async def test_tasks_wait_for_room_and_for_their_agent(bench: Bench) -> None:
    go, started = bench.made.folder / "go", bench.made.folder / "started"
    script = f"echo x >> {started}; until [ -e {go} ]; do sleep 0.01; done"
    bench.made.configure(bench.made.tool("work", script, **ASYNC), maxParallelTasks=2)
    bench.ready = False
    async with bench.opened() as tasks:
        made = [await tasks.create(order()) for _ in range(3)]
        assert not started.exists()
        bench.ready = True
        tasks.pump()
        for task in made[:2]:
            await came_to(tasks, task, TaskState.RUNNING)
        assert (await tasks.find(made[2].id, "owner")).state is TaskState.QUEUED
        go.touch()
        assert {(await ended(tasks, task)).state for task in made} == {TaskState.COMPLETED}
    assert started.read_text("ascii") == "x\n" * 3


async def test_the_queue_is_bounded(bench: Bench) -> None:
    bench.made.configure(bench.made.tool("work", "true", **ASYNC))
    bench.ready = False
    async with bench.opened() as tasks:
        for _ in range(MOST_QUEUED):
            await tasks.create(order())
        with pytest.raises(PloinkyError, match="waiting"):
            await tasks.create(order())


async def test_cancelling_ends_the_program_and_what_has_not_begun_never_begins(bench: Bench) -> None:
    pid_file = bench.made.folder / "pid"
    script = f"sleep 60 & echo $! > {pid_file}; wait"
    bench.made.configure(bench.made.tool("work", script, **ASYNC), maxParallelTasks=1)
    async with bench.opened() as tasks:
        running, queued = await tasks.create(order()), await tasks.create(order())
        await wait_until(holds(pid_file), what="the program", timeout_s=10)
        assert (await tasks.cancel(queued.id, "owner")).state is TaskState.CANCELLED
        with anyio.fail_after(10):
            assert (await tasks.cancel(running.id, "owner")).state is TaskState.CANCELLED
        assert (await tasks.cancel(running.id, "owner")).state is TaskState.CANCELLED, "twice does no harm"
        await wait_until(gone(pid_file), what="the program's end", timeout_s=10)


async def test_a_task_asks_and_goes_on_when_all_is_answered(bench: Bench) -> None:
    ask = '{"ask": {"a": {"method": "elicitation/create"}, "b": {"method": "elicitation/create"}}}'
    twice = f"for n in 1 2; do echo '{ask}' >&2; IFS= read -r answers; done"
    script = f'IFS= read -r line; {twice}; echo "$answers"'
    bench.made.configure(bench.made.tool("work", script, asks=["elicitation"], **ASYNC))
    async with bench.opened() as tasks:
        task = await tasks.create(order("work", "elicitation"))
        asked = await came_to(tasks, task, TaskState.INPUT_REQUIRED)
        assert set(asked.questions) == {"a", "b"}
        await tasks.answer(task.id, "owner", {"a": {"n": 1}, "other": {}})
        assert set((await tasks.find(task.id, "owner")).questions) == {"b"}
        await tasks.answer(task.id, "owner", {"b": {"n": 2}})
        again = await came_to(tasks, task, TaskState.INPUT_REQUIRED)
        assert set(again.questions) == {"a-2", "b-2"}, "a key is never used twice"
        await tasks.answer(task.id, "owner", {"a-2": {"n": 3}, "b-2": {"n": 4}})
        done = await ended(tasks, task)
        assert text_of(done.result) == '{"answers":{"a":{"n":3},"b":{"n":4}}}'


async def test_what_ran_when_the_gateway_ended_has_failed_and_what_waited_is_run_once(bench: Bench) -> None:
    runs = bench.made.folder / "runs"
    script = f'echo "$INPUT_WORD" >> {runs}; [ "$INPUT_WORD" = second ] || sleep 60'
    bench.made.configure(bench.made.tool("work", script, **ASYNC), maxParallelTasks=1)
    async with bench.opened() as tasks:
        first = await tasks.create(order(word="first"))
        second = await tasks.create(order(word="second"))
        await wait_until(holds(runs), what="the first", timeout_s=10)
    async with bench.opened() as tasks:
        lost = await tasks.find(first.id, "owner")
        assert (lost.state, lost.error and lost.error["code"]) == (TaskState.FAILED, -32011)
        tasks.pump()
        assert (await ended(tasks, second)).state is TaskState.COMPLETED
    async with bench.opened() as tasks:
        tasks.pump()
        assert (await tasks.find(second.id, "owner")).state is TaskState.COMPLETED
    assert runs.read_text("ascii").split() == ["first", "second"]


async def test_an_agent_that_is_killed_fails_its_task_at_once(bench: Bench) -> None:
    bench.made.configure(bench.made.tool("work", "sleep 60", **ASYNC))
    async with bench.opened() as tasks:
        task = await tasks.create(order())
        await came_to(tasks, task, TaskState.RUNNING)
        await bench.made.kill()
        lost = await ended(tasks, task)
        assert lost.state is TaskState.FAILED
        assert lost.message is not None
        assert "not run again" in lost.message


def test_ended_tasks_are_forgotten_when_their_time_is_over(tmp_path: Path) -> None:
    store, now = TaskStore(tmp_path / "t.sqlite"), time.time()

    def add(name: str, state: TaskState, age_s: float) -> None:
        made = Task(name, "alpha", "work", "owner", TaskState.QUEUED, now - age_s, now - age_s, 1000)
        store.add(made, order())
        if state is not TaskState.QUEUED:
            store.save(replace(made, state=state))

    add("old", TaskState.COMPLETED, 10)
    add("young", TaskState.COMPLETED, 0)
    add("running", TaskState.RUNNING, 10)
    add("waiting", TaskState.QUEUED, 10)
    store.prune()
    names = ("old", "young", "running", "waiting")
    states = {name: (found := store.find(name)) and found.state for name in names}
    assert states == {
        "old": None,
        "young": TaskState.COMPLETED,
        "running": TaskState.RUNNING,
        "waiting": TaskState.CANCELLED,
    }
    store.close()


def test_an_ended_task_stays_as_it_ended(tmp_path: Path) -> None:
    store = TaskStore(tmp_path / "t.sqlite")
    made = Task("a", "alpha", "work", "owner", TaskState.QUEUED, 1, 1, 10**9)
    store.add(made, order())
    store.save(replace(made, state=TaskState.CANCELLED))
    store.save(replace(made, state=TaskState.COMPLETED))
    found = store.find("a")
    assert found is not None
    assert found.state is TaskState.CANCELLED
    assert store.begin("a") is None
    store.close()
