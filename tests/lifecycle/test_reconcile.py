"""The gateway's watch: what it adopts, notices, brings back and gives up."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import pytest

from ploinky.base.waits import wait_until
from ploinky.channel.client import open_channel
from ploinky.channel.model import SpawnRequest
from ploinky.lifecycle.disabling import disable_agent
from ploinky.lifecycle.options import StartOptions
from ploinky.lifecycle.pulse import Patience
from ploinky.lifecycle.reconcile import Reconciler
from ploinky.lifecycle.sandboxes import socket_folder
from ploinky.lifecycle.starting import start_agent
from ploinky.lifecycle.status import AgentStatus, Health
from ploinky.lifecycle.stopping import stop_agent
from ploinky.runtimes.log_files import MAX_SIZE
from ploinky.runtimes.protocol import SandboxState
from ploinky.runtimes.spec import SOCKET_NAME
from ploinky.workspace.states import AgentState, Desired
from tests.lifecycle.stage import Stage, collect
from tests.lifecycle.test_crashes import die

pytestmark = pytest.mark.bubblewrap

Wanted = Callable[[AgentStatus | None], bool]
SERVER = (
    "import os, socket; s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); "
    "s.bind(('127.0.0.1', int(os.environ['PORT']))); s.listen()\nwhile True: s.accept()[0].close()"
)


@asynccontextmanager
async def watching(stage: Stage, *, most: int = 5) -> AsyncIterator[Reconciler]:
    """A gateway's watch over the workspace. Its timer is long: what is noticed is noticed by itself."""
    patience = Patience(most=most, first_s=0.05, longest_s=0.5)
    reconciler = Reconciler(stage.ctx, interval_s=60, patience=patience)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reconciler.run)
        try:
            yield reconciler
        finally:
            tasks.cancel_scope.cancel()


async def until(
    reconciler: Reconciler, key: str, wanted: Wanted, timeout_s: float = 20
) -> AgentStatus | None:
    """The first status of the agent that is as wanted."""
    last = None
    with anyio.move_on_after(timeout_s):
        async for statuses in reconciler.changes():
            last = statuses.get(key)
            if wanted(last):
                return last
    raise AssertionError(f"{key} did not come to it; last: {last}")


def ready(status: AgentStatus | None) -> bool:
    return status is not None and status.ready


def unready(status: AgentStatus | None) -> bool:
    return status is not None and not status.ready


async def start(stage: Stage, key: str) -> None:
    await stage.enable(key)
    await collect(start_agent(stage.ctx, key, StartOptions(trust=True)))


async def inside(stage: Stage, key: str, command: str) -> None:
    async with open_channel(socket_folder(stage.ctx, key) / SOCKET_NAME) as channel:
        finished = await channel.run(
            SpawnRequest(("/bin/sh", "-c", command), env=(("PATH", "/usr/bin:/bin"),))
        )
        assert finished.exit.ok, finished.stderr


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_running_agents_are_adopted_and_outlive_the_watch(stage: Stage) -> None:
    stage.add("one", {"agent": "sleep 1000"})
    await start(stage, "one")
    before = await stage.ctx.runtime.inspect(stage.entry("one").container_name)
    async with watching(stage) as reconciler:
        status = await until(reconciler, "one", ready)
        assert status is not None
        assert (status.state, status.health, status.reason) == (AgentState.RUNNING, Health.READY, "")
        assert status.pid is not None
        assert status.socket_path is not None
        assert status.socket_path.is_socket()
        assert status.started_at
    assert await stage.ctx.runtime.inspect(stage.entry("one").container_name) == before


async def test_a_killed_command_is_restarted_and_the_tools_come_back(stage: Stage) -> None:
    stage.add("one", {"agent": "sleep 1000"})
    await start(stage, "one")
    async with watching(stage) as reconciler:
        first = await until(reconciler, "one", ready)
        assert first is not None
        await inside(stage, "one", f"kill -9 {first.pid}")
        await until(reconciler, "one", lambda s: s is not None and s.restarts == 1)
        again = await until(reconciler, "one", lambda s: ready(s) and s is not None and s.restarts == 1)
        assert again is not None
        assert again.pid != first.pid


async def test_a_sandbox_that_died_is_started_again(stage: Stage) -> None:
    stage.add("one", {"agent": "sleep 1000"})
    await start(stage, "one")
    async with watching(stage) as reconciler:
        await until(reconciler, "one", ready)
        sandbox = await stage.ctx.runtime.inspect(stage.entry("one").container_name)
        assert sandbox is not None
        assert sandbox.pid is not None
        os.kill(sandbox.pid, signal.SIGKILL)
        await until(reconciler, "one", unready)
        await until(reconciler, "one", ready)
    assert stage.entry("one").state is AgentState.RUNNING


async def test_a_sandbox_that_vanished_is_made_again(stage: Stage) -> None:
    stage.add("one", {"agent": "sleep 1000"})
    await start(stage, "one")
    async with watching(stage) as reconciler:
        await until(reconciler, "one", ready)
        first = stage.entry("one").container_id
        await stage.ctx.runtime.remove(stage.entry("one").container_name)
        await until(reconciler, "one", unready)
        await until(reconciler, "one", ready)
    assert stage.entry("one").container_id != first


async def test_a_sandbox_started_by_hand_is_launched_and_kept(stage: Stage) -> None:
    stage.add("one", {"agent": "sleep 1000"})
    await start(stage, "one")
    await collect(stop_agent(stage.ctx, "one"))
    async with watching(stage) as reconciler:
        await until(reconciler, "one", lambda s: s is not None and s.health is Health.STOPPED)
        await stage.ctx.runtime.start(stage.entry("one").container_name)
        await until(reconciler, "one", ready)
    assert stage.entry("one").desired is Desired.RUNNING


async def test_an_agent_that_runs_against_the_registrys_word_is_adopted(stage: Stage) -> None:
    stage.add("one", {"agent": "sleep 1000"})
    await start(stage, "one")
    stopped = stage.entry("one").moved_to(AgentState.STOPPED, "an old file")
    stage.ctx.registry.put(stopped.model_copy(update={"desired": Desired.STOPPED}))
    async with watching(stage) as reconciler:
        await until(reconciler, "one", ready)
    entry = stage.entry("one")
    assert (entry.state, entry.desired) == (AgentState.RUNNING, Desired.RUNNING)
    assert entry.state_reason == "found running"


async def test_a_stopped_agent_stays_stopped(stage: Stage) -> None:
    stage.add("one", {"agent": "sleep 1000"})
    await start(stage, "one")
    async with watching(stage) as reconciler:
        await until(reconciler, "one", ready)
        await collect(stop_agent(stage.ctx, "one"))
        reconciler.poke()
        await until(reconciler, "one", lambda s: s is not None and s.state is AgentState.STOPPED)
        for _ in range(3):
            reconciler.poke()
            await anyio.wait_all_tasks_blocked()
        sandbox = await stage.ctx.runtime.inspect(stage.entry("one").container_name)
        assert sandbox is not None
        assert sandbox.state is SandboxState.EXITED


async def test_what_should_run_is_started_after_the_machine_was_off(stage: Stage) -> None:
    stage.add("one", {"agent": "sleep 1000"})
    await start(stage, "one")
    await stage.ctx.runtime.stop(stage.entry("one").container_name, grace_s=0)
    assert stage.entry("one").state is AgentState.RUNNING
    async with watching(stage) as reconciler:
        await until(reconciler, "one", ready)


async def test_an_agent_started_by_another_command_appears_by_itself(stage: Stage) -> None:
    async with watching(stage) as reconciler:
        stage.add("late", {"agent": "sleep 1000"})
        await start(stage, "late")
        await until(reconciler, "late", ready)
        await disable_agent(stage.ctx, "late")
        await until(reconciler, "late", lambda status: status is None)


async def test_a_start_that_was_killed_is_finished_by_the_watch(stage: Stage) -> None:
    stage.add("one", {"agent": "sleep 1000", "install": "true"})
    await stage.enable("one")
    die(stage, "one", "step", 9)
    assert stage.entry("one").state is AgentState.STARTING
    async with watching(stage) as reconciler:
        await until(reconciler, "one", ready)
    assert stage.entry("one").state is AgentState.RUNNING


async def test_readiness_flips_with_its_probe(stage: Stage) -> None:
    probe = {"script": "scripts/ready.sh", "interval": 0.1, "retries": 1}
    stage.add(
        "gated",
        {"agent": "sleep 1000", "health": {"readiness": probe}, "install": 'touch "$WORKSPACE_PATH/open"'},
        {"scripts/ready.sh": '#!/bin/sh\ntest -e "$WORKSPACE_PATH/open"\n'},
    )
    await start(stage, "gated")
    async with watching(stage) as reconciler:
        await until(reconciler, "gated", ready)
        stage.work_file("gated", "open").unlink()
        status = await until(reconciler, "gated", unready)
        assert status is not None
        assert (status.health, status.state) == (Health.NOT_READY, AgentState.RUNNING)
        assert "scripts/ready.sh" in status.reason
        stage.work_file("gated", "open").touch()
        await until(reconciler, "gated", ready)


async def test_a_failed_liveness_probe_restarts_the_command(stage: Stage) -> None:
    probe = {"script": "scripts/alive.sh", "interval": 0.1, "retries": 2}
    alive = '#!/bin/sh\ntest ! -e "$WORKSPACE_PATH/sick"\n'
    main = "sh -c 'rm -f $WORKSPACE_PATH/sick; exec sleep 1000'"
    stage.add("frail", {"agent": main, "health": {"liveness": probe}}, {"scripts/alive.sh": alive})
    await start(stage, "frail")
    async with watching(stage) as reconciler:
        first = await until(reconciler, "frail", ready)
        assert first is not None
        stage.work_file("frail", "sick").touch()
        again = await until(reconciler, "frail", lambda s: ready(s) and s is not None and s.restarts == 1)
        assert again is not None
        assert again.pid != first.pid
        assert not stage.work_file("frail", "sick").exists()


async def test_one_slow_agent_delays_no_other(stage: Stage) -> None:
    slow = {"script": "scripts/slow.sh", "interval": 0.1, "timeout": 30}
    stage.add(
        "slow",
        {"agent": "sleep 1000", "health": {"readiness": slow}, "install": 'touch "$WORKSPACE_PATH/quick"'},
        {"scripts/slow.sh": '#!/bin/sh\nrm "$WORKSPACE_PATH/quick" && exit 0\nsleep 1000\n'},
    )
    stage.add("quick", {"agent": "sleep 1000"})
    await start(stage, "slow")
    await start(stage, "quick")
    async with watching(stage) as reconciler:
        with anyio.fail_after(10):
            await until(reconciler, "quick", ready)
        assert not reconciler.statuses()["slow"].ready


async def test_an_agent_with_a_port_is_ready_when_it_listens(stage: Stage) -> None:
    port = free_port()
    stage.add(
        "server", {"agent": "python3 /code/server.py", "ports": [f"{port}:{port}"]}, {"server.py": SERVER}
    )
    await start(stage, "server")
    async with watching(stage) as reconciler:
        await until(reconciler, "server", ready)


async def test_an_agent_that_cannot_be_restarted_is_tried_again_and_then_failed(stage: Stage) -> None:
    stage.add("one", {"agent": "sleep 1000"})
    await start(stage, "one")
    manifest = stage.folder("one") / "manifest.json"
    whole = manifest.read_text()
    async with watching(stage) as reconciler:
        await until(reconciler, "one", ready)
        manifest.write_text("{")
        await stage.ctx.runtime.stop(stage.entry("one").container_name, grace_s=0)
        failed = await until(reconciler, "one", lambda s: s is not None and "after 5 restarts" in s.reason)
        assert failed is not None
        assert (failed.state, failed.health) == (AgentState.FAILED, Health.STOPPED)
        assert "the text ends too early" in failed.reason
        manifest.write_text(whole)
        await collect(start_agent(stage.ctx, "one"))
        await until(reconciler, "one", ready)


async def test_a_command_that_keeps_ending_is_failed_and_its_sandbox_stopped(stage: Stage) -> None:
    main = "sh -c 'test -e $WORKSPACE_PATH/well && exec sleep 1000; exit 5'"
    stage.add("one", {"agent": main, "install": 'touch "$WORKSPACE_PATH/well"'})
    await start(stage, "one")
    async with watching(stage, most=2) as reconciler:
        status = await until(reconciler, "one", ready)
        assert status is not None
        stage.work_file("one", "well").unlink()
        await inside(stage, "one", f"kill -9 {status.pid}")
        await until(reconciler, "one", lambda s: s is not None and s.health is Health.RESTARTING)
        failed = await until(reconciler, "one", lambda s: s is not None and s.state is AgentState.FAILED)
        assert failed is not None
        assert "exit code 5" in failed.reason
    sandbox = await stage.ctx.runtime.inspect(stage.entry("one").container_name)
    assert sandbox is not None
    assert sandbox.state is SandboxState.EXITED


async def test_the_log_of_a_running_agent_is_bounded(stage: Stage) -> None:
    stage.add("chatty", {"agent": f"sh -c 'head -c {MAX_SIZE + 1} /dev/zero; exec sleep 1000'"})
    await start(stage, "chatty")
    log = stage.layout.agent_log("chatty")
    async with watching(stage):

        async def emptied() -> bool:
            return log.with_name("chatty.log.1").exists()

        await wait_until(emptied, what="the log to be emptied", timeout_s=30)
    assert log.stat().st_size == 0
