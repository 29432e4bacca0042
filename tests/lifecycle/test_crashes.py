"""A start that is killed with SIGKILL, at every step: the next command goes on or cleans up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ploinky.lifecycle.disabling import disable_agent
from ploinky.lifecycle.journal import JournalFile
from ploinky.lifecycle.options import StartOptions
from ploinky.lifecycle.starting import start_agent
from ploinky.lifecycle.stopping import stop_agent
from ploinky.runtimes.protocol import SandboxState
from ploinky.workspace.states import AgentState
from tests.lifecycle.stage import Stage, collect, steps_done
from tests.lifecycle.test_starting import EVERY_HOOK, FILES, ORDER, marks

pytestmark = pytest.mark.bubblewrap

REPOSITORY = Path(__file__).parents[2]
HOOK_STEPS = {
    2: "hosthook_preinstall",
    4: "hosthook_aftercreation",
    8: "preinstall",
    9: "install",
    10: "postinstall",
    11: "hosthook_postinstall",
}
LINGERS = '#!/bin/sh\necho busy\nsetsid sleep "$1" &\nexec sleep "$1"\n'


def die(stage: Stage, key: str, point: str, number: int) -> None:
    """Run a start in a process of its own that is killed at the given point."""
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.lifecycle.dying_start",
            str(stage.layout.root),
            str(stage.ctx.runtime_dir),
            key,
            point,
            str(number),
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr


def processes_with(argument: str) -> list[str]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if argument.encode() in words:
                found.append(folder.name)
    return found


@pytest.mark.parametrize("step", range(1, 13))
async def test_a_start_killed_at_a_step_is_done_by_the_next_one(stage: Stage, step: int) -> None:
    stage.add("all", EVERY_HOOK, FILES)
    await stage.enable("all")
    die(stage, "all", "step", step)
    before = marks(stage, "all") if stage.work_file("all", "marks").exists() else []
    events = await collect(start_agent(stage.ctx, "all", StartOptions(trust=True)))
    assert stage.entry("all").state is AgentState.RUNNING
    sandboxes = await stage.ctx.runtime.list(stage.layout.id)
    assert [sandbox.state for sandbox in sandboxes] == [SandboxState.RUNNING]
    assert JournalFile(stage.layout, "all").read() is None
    if step == 12:  # everything was installed: go on from there
        assert steps_done(events) == [1, 2, 12]
        assert marks(stage, "all") == ORDER
    else:
        assert marks(stage, "all") == [*before, *ORDER]


@pytest.mark.parametrize("step", sorted(HOOK_STEPS))
async def test_what_a_hook_of_a_killed_start_left_running_is_ended(stage: Stage, step: int) -> None:
    seconds = f"7{step:02}{os.getpid()}"
    hooks = {HOOK_STEPS[step]: f"scripts/linger.sh {seconds}"}
    stage.add("left", hooks, {"scripts/linger.sh": LINGERS})
    await stage.enable("left")
    die(stage, "left", "output", step)
    await collect(stop_agent(stage.ctx, "left"))
    assert processes_with(seconds) == []
    assert await stage.ctx.runtime.list(stage.layout.id) == []
    assert stage.entry("left").state in (AgentState.ENABLED, AgentState.STOPPED)


@pytest.mark.parametrize("step", [3, 5, 9, 12])
async def test_disabling_after_a_killed_start_leaves_nothing(stage: Stage, step: int) -> None:
    stage.add("all", EVERY_HOOK, FILES)
    await stage.enable("all")
    die(stage, "all", "done" if step == 3 else "step", step)
    await disable_agent(stage.ctx, "all", purge=True)
    assert await stage.ctx.runtime.list(stage.layout.id) == []
    assert stage.ctx.registry.read() == {}
    assert not stage.layout.work_dir("all").exists()
    assert not stage.layout.code_link("all").is_symlink()
    assert list(stage.ctx.runtime_dir.iterdir()) == []
    left = [path.name for path in stage.layout.running.rglob("*all*") if not path.name.endswith(".lock")]
    assert left == []


async def test_a_start_killed_while_it_made_an_agent_anew_does_not_use_the_half_made_one(
    stage: Stage,
) -> None:
    stage.add("all", EVERY_HOOK, FILES)
    await stage.enable("all")
    await collect(start_agent(stage.ctx, "all", StartOptions(trust=True)))
    stage.add("all", {**EVERY_HOOK, "env": {"COLOUR": "blue"}}, FILES)
    die(stage, "all", "step", 9)
    events = await collect(start_agent(stage.ctx, "all", StartOptions(trust=True)))
    assert 9 in steps_done(events)
    assert stage.entry("all").state is AgentState.RUNNING


async def test_a_running_agent_outlives_a_start_that_is_killed_while_it_checks(stage: Stage) -> None:
    stage.add("all", EVERY_HOOK, FILES)
    entry = await stage.enable("all")
    await collect(start_agent(stage.ctx, "all", StartOptions(trust=True)))
    before = await stage.ctx.runtime.inspect(entry.container_name)
    die(stage, "all", "step", 2)
    events = await collect(start_agent(stage.ctx, "all", StartOptions(trust=True)))
    assert steps_done(events) == [1, 2]
    assert await stage.ctx.runtime.inspect(entry.container_name) == before
