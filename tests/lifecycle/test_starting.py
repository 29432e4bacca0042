"""One agent's start on real bubblewrap: the order of the steps, reuse, and who waits for whom."""

from __future__ import annotations

import json

import anyio
import pytest

from ploinky.base.errors import PloinkyError
from ploinky.lifecycle.options import StartOptions
from ploinky.lifecycle.starting import start_agent
from ploinky.lifecycle.stopping import remove_agent, stop_agent
from ploinky.lifecycle.transcript import start_log
from ploinky.runtimes.protocol import SandboxState
from ploinky.wire.events import Event, Notice, Output, StateChanged, StepDone, StepStarted, parse_event
from ploinky.workspace.states import AgentState, Desired
from tests.lifecycle.stage import Stage, collect, steps_done

pytestmark = pytest.mark.bubblewrap

MARK = '#!/bin/sh\necho "$1" >> "$WORKSPACE_PATH/marks"\n'
HOST_MARK = '#!/bin/sh\necho "$1" >> "$PLOINKY_CWD/agents/$PLOINKY_AGENT_NAME/marks"\n'
EVERY_HOOK = {
    "agent": "sh -c 'echo launch >> \"$WORKSPACE_PATH/marks\"; exec sleep 1000'",
    "hosthook_preinstall": "scripts/host.sh hosthook_preinstall",
    "hosthook_aftercreation": "scripts/host.sh hosthook_aftercreation",
    "preinstall": "scripts/mark.sh preinstall",
    "install": ["scripts/mark.sh install-1", "scripts/mark.sh install-2"],
    "postinstall": "scripts/mark.sh postinstall",
    "hosthook_postinstall": "scripts/host.sh hosthook_postinstall",
}
FILES = {"scripts/mark.sh": MARK, "scripts/host.sh": HOST_MARK}
ORDER = [
    "hosthook_preinstall",
    "hosthook_aftercreation",
    "preinstall",
    "install-1",
    "install-2",
    "postinstall",
    "hosthook_postinstall",
    "launch",
]
TRUSTING = StartOptions(trust=True)


def marks(stage: Stage, agent: str) -> list[str]:
    return stage.work_file(agent, "marks").read_text().split()


async def started(stage: Stage, key: str, options: StartOptions = TRUSTING) -> list[Event]:
    return await collect(start_agent(stage.ctx, key, options))


async def test_the_twelve_steps_come_in_order_and_each_does_its_work(stage: Stage) -> None:
    stage.add("all", EVERY_HOOK, FILES)
    entry = await stage.enable("all")
    seen: dict[int, SandboxState | None] = {}
    order: list[int] = []
    async for event in start_agent(stage.ctx, "all", TRUSTING):
        if isinstance(event, StepStarted):
            sandbox = await stage.ctx.runtime.inspect(entry.container_name)
            seen[event.step] = sandbox.state if sandbox else None
            order.append(event.step)
    assert order == list(range(1, 13))
    assert [seen[step] for step in (1, 2, 3)] == [None, None, None]
    assert [seen[step] for step in (4, 5)] == [SandboxState.CREATED, SandboxState.CREATED]
    assert {seen[step] for step in range(6, 13)} == {SandboxState.RUNNING}
    assert marks(stage, "all") == ORDER
    assert stage.entry("all").state is AgentState.RUNNING


async def test_states_follow_each_other_and_are_kept_with_their_reasons(stage: Stage) -> None:
    stage.add("plain", {})
    await stage.enable("plain")
    events = await started(stage, "plain")
    told = [event.state for event in events if isinstance(event, StateChanged)]
    assert told == ["CREATING", "STARTING", "RUNNING"]
    history = stage.entry("plain").history
    assert [(change.state, change.reason) for change in history] == [
        (AgentState.ENABLED, "enabled"),
        (AgentState.CREATING, "start"),
        (AgentState.STARTING, "created"),
        (AgentState.RUNNING, "ready"),
    ]
    assert stage.entry("plain").desired is Desired.RUNNING


async def test_an_agent_that_runs_unchanged_is_left_alone(stage: Stage) -> None:
    stage.add("all", EVERY_HOOK, FILES)
    entry = await stage.enable("all")
    await started(stage, "all")
    before = await stage.ctx.runtime.inspect(entry.container_name)
    events = await started(stage, "all")
    assert steps_done(events) == [1, 2]
    assert marks(stage, "all") == ORDER
    assert await stage.ctx.runtime.inspect(entry.container_name) == before


async def test_a_stopped_unchanged_agent_starts_again_without_its_installs(stage: Stage) -> None:
    stage.add("all", EVERY_HOOK, FILES)
    await stage.enable("all")
    await started(stage, "all")
    await collect(stop_agent(stage.ctx, "all"))
    assert stage.entry("all").state is AgentState.STOPPED
    events = await started(stage, "all")
    assert steps_done(events) == [1, 2, 5, 12]
    assert marks(stage, "all") == [*ORDER, "hosthook_preinstall", "launch"]


@pytest.mark.parametrize(
    "change",
    ["manifest", "script", "variable"],
)
async def test_a_change_makes_the_agent_anew(stage: Stage, change: str) -> None:
    stage.add("all", EVERY_HOOK, FILES)
    await stage.enable("all")
    await started(stage, "all")
    first = stage.entry("all").container_id
    changed: dict[str, dict[str, object]] = {
        "manifest": {"resources": {"pids": 100}},
        "script": {},
        "variable": {"env": {"COLOUR": "blue"}},
    }
    files = {**FILES, "scripts/mark.sh": MARK + "# changed\n"} if change == "script" else FILES
    stage.add("all", {**EVERY_HOOK, **changed[change]}, files)
    events = await started(stage, "all")
    assert steps_done(events)[:3] == [1, 2, 3]
    assert any(isinstance(event, Notice) and "has changed" in event.message for event in events)
    assert marks(stage, "all") == [*ORDER, *ORDER]
    assert stage.entry("all").container_id != first
    assert stage.entry("all").state is AgentState.RUNNING


async def test_two_starters_of_one_agent_take_turns(stage: Stage) -> None:
    stage.add("all", EVERY_HOOK, FILES)
    await stage.enable("all")
    results: list[list[int]] = []

    async def run() -> None:
        results.append(steps_done(await started(stage, "all")))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        tasks.start_soon(run)
    assert sorted(results, key=len) == [[1, 2], [1, 2, 3, 4, 5, 8, 9, 10, 11, 12]]
    assert marks(stage, "all") == ORDER


async def test_whoever_waits_too_long_for_another_command_is_told(stage: Stage) -> None:
    stage.add("slow", {"install": "sleep 30"})
    await stage.enable("slow")
    installing = anyio.Event()

    async def first(scope: anyio.CancelScope) -> None:
        with scope:
            async for event in start_agent(stage.ctx, "slow"):
                if isinstance(event, StepStarted) and event.step == 9:
                    installing.set()

    scope = anyio.CancelScope()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(first, scope)
        await installing.wait()
        with pytest.raises(PloinkyError) as caught:
            await started(stage, "slow", StartOptions(lock_timeout_s=0.1))
        scope.cancel()
    assert caught.value.code == "AGENT_BUSY"
    assert stage.entry("slow").state is AgentState.FAILED
    assert await stage.ctx.runtime.list(stage.layout.id) == []


async def test_missing_secrets_stop_a_start_before_anything_is_made(stage: Stage) -> None:
    stage.add("needy", {"secrets": ["FIRST_KEY", "SECOND_KEY"]})
    await stage.enable("needy")
    with pytest.raises(PloinkyError) as caught:
        await started(stage, "needy")
    assert caught.value.code == "MISSING_SECRETS"
    assert "FIRST_KEY" in caught.value.message
    assert "SECOND_KEY" in caught.value.message
    assert await stage.ctx.runtime.list(stage.layout.id) == []
    assert stage.entry("needy").state is AgentState.FAILED


async def test_a_command_that_does_not_exist_fails_at_once_and_nothing_is_left_running(stage: Stage) -> None:
    stage.add("lost", {"agent": "no-such-program --serve"})
    entry = await stage.enable("lost")
    with anyio.fail_after(20), pytest.raises(PloinkyError) as caught:
        await started(stage, "lost")
    assert caught.value.code == "PROGRAM_NOT_FOUND"
    sandbox = await stage.ctx.runtime.inspect(entry.container_name)
    assert sandbox is not None
    assert sandbox.state is SandboxState.EXITED


async def test_a_command_that_keeps_ending_fails_with_its_last_words(stage: Stage) -> None:
    # it is asked by TCP, so that no slow machine takes a command that is about to end for one that runs
    stage.add("brief", {"agent": "sh -c 'echo it is broken; exit 3'", "ports": ["7433"]})
    await stage.enable("brief")
    with anyio.fail_after(30), pytest.raises(PloinkyError) as caught:
        await started(stage, "brief")
    assert caught.value.code == "AGENT_CRASHED"
    assert "exit code 3" in caught.value.message
    assert "it is broken" in caught.value.message
    assert stage.entry("brief").state is AgentState.FAILED


async def test_an_agent_that_never_becomes_ready_fails_after_its_time(stage: Stage) -> None:
    stage.add("silent", {"agent": "sleep 1000", "ports": ["7431"]})
    await stage.enable("silent")
    with pytest.raises(PloinkyError) as caught:
        await started(stage, "silent", StartOptions(timeout_s=0.5))
    assert caught.value.code == "HEALTH_CHECK_TIMEOUT"
    assert stage.entry("silent").state is AgentState.FAILED


async def test_a_failed_agent_starts_again_once_the_fault_is_gone(stage: Stage) -> None:
    stage.add("mended", {"install": "exit 1"})
    await stage.enable("mended")
    with pytest.raises(PloinkyError):
        await started(stage, "mended")
    stage.add("mended", {"install": "true"})
    await started(stage, "mended")
    assert stage.entry("mended").state is AgentState.RUNNING


async def test_output_is_shown_live_and_kept_without_secrets(stage: Stage) -> None:
    told = stage.with_environ(LOUD_TOKEN="s3cr3t-value-9000")
    told.add("loud", {"env": ["LOUD_TOKEN"], "install": 'echo "key=$LOUD_TOKEN"; printf "no line end"'})
    await told.enable("loud")
    events = await started(told, "loud")
    shown = "".join(event.text for event in events if isinstance(event, Output))
    kept = (told.layout.logs / "loud.start.log").read_text()
    for text in (shown, kept):
        assert "key=[redacted]" in text
        assert "no line end" in text
        assert "s3cr3t-value-9000" not in text


async def test_remove_leaves_nothing_but_the_enabled_agent(stage: Stage) -> None:
    stage.add("gone", {"agent": "sleep 1000"})
    entry = await stage.enable("gone")
    await started(stage, "gone")
    await collect(remove_agent(stage.ctx, "gone"))
    assert await stage.ctx.runtime.inspect(entry.container_name) is None
    assert stage.entry("gone").state is AgentState.ENABLED
    assert list(stage.ctx.runtime_dir.iterdir()) == []


async def test_every_event_survives_the_wire(stage: Stage) -> None:
    stage.add("plain", {"install": "echo hello"})
    await stage.enable("plain")
    for event in await started(stage, "plain"):
        assert parse_event(json.loads(event.to_json())) == event


async def test_durations_are_told_with_every_step(stage: Stage) -> None:
    stage.add("timed", {"install": "sleep 0.2"})
    await stage.enable("timed")
    events = await started(stage, "timed")
    seconds = {event.step: event.seconds for event in events if isinstance(event, StepDone)}
    assert seconds[9] >= 0.2
    assert sum(seconds.values()) < 10


async def test_a_log_that_cannot_be_written_is_told_and_ends_no_start(stage: Stage) -> None:
    stage.add("plain", {"install": "echo said"})
    await stage.enable("plain")
    start_log(stage.layout, "plain").mkdir(parents=True)
    events = await started(stage, "plain")
    warnings = [event for event in events if isinstance(event, Notice) and event.level == "warning"]
    assert ["plain.start.log" in each.message for each in warnings] == [True]
    assert stage.entry("plain").state is AgentState.RUNNING
