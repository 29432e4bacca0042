"""The fault matrix: every hook and every install fails, hangs and is killed, in a sandbox and in a container.

After each fault nothing runs and nothing half-made is there, the agent is FAILED with the reason, its data is
kept, and it starts once the fault is gone.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

import pytest

from ploinky.base.errors import PloinkyError
from ploinky.lifecycle.dependencies import find_marker
from ploinky.lifecycle.journal import JournalFile
from ploinky.lifecycle.options import StartOptions
from ploinky.lifecycle.starting import start_agent
from ploinky.manifest.values import HookName
from ploinky.workspace.states import AgentState
from tests.lifecycle.stage import Stage, collect
from tests.lifecycle.test_crashes import processes_with

LONG = f"9{os.getpid()}"
PATIENCE_S = 0.7


@dataclass(frozen=True)
class Fault:
    """A shell script that goes wrong, and what is said of it."""

    name: str
    script: str
    said: tuple[str, ...]


FAULTS = [
    Fault("fails", "#!/bin/sh\necho on its way\nexit 7\n", ("Exit code: 7", "on its way")),
    Fault("hangs", f"#!/bin/sh\nsleep {LONG} &\nexec sleep {LONG}\n", (f"time limit of {PATIENCE_S:g} s",)),
    # a shell that started the script tells of the signal by its exit code
    Fault("is killed", "#!/bin/sh\necho on its way\nkill -9 $$\n", ("on its way",)),
]
OPTIONS = StartOptions(trust=True, hook_timeout_s=PATIENCE_S, install_timeout_s=PATIENCE_S)
each_fault = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)


async def fails(stage: Stage, key: str, code: str, fault: Fault) -> str:
    """Start, and see that it fails as it must; what was said."""
    with pytest.raises(PloinkyError) as caught:
        await collect(start_agent(stage.ctx, key, OPTIONS))
    assert caught.value.code == code
    for text in fault.said:
        assert text in caught.value.message
    if fault.name == "is killed":
        assert "signal 9" in caught.value.message or "Exit code: 137" in caught.value.message
    entry = stage.entry(key)
    assert entry.state is AgentState.FAILED
    assert entry.state_reason
    assert await stage.ctx.runtime.list(stage.layout.id) == []
    assert processes_with(LONG) == []
    assert JournalFile(stage.layout, key).read() is None
    return caught.value.message


@each_fault
async def test_a_hook_of_any_kind_that_goes_wrong(either: Stage, fault: Fault) -> None:
    files = {"scripts/fault.sh": fault.script, "scripts/well.sh": "#!/bin/sh\ntrue\n"}
    either.add("all", {}, files)
    await either.enable("all")
    either.work_file("all", "data.txt").write_text("kept")
    for hook in HookName:
        either.add("all", {hook.value: ["scripts/well.sh", "scripts/fault.sh", "scripts/well.sh"]}, files)
        said = await fails(either, "all", "HOOK_FAILED", fault)
        assert f"Profile hook '{hook.value}' failed for profile 'dev'" in said
        assert "scripts/fault.sh (step 2 of 3)" in said
    either.add("all", {hook.value: "scripts/well.sh" for hook in HookName}, files)
    await collect(start_agent(either.ctx, "all", OPTIONS))
    assert either.entry("all").state is AgentState.RUNNING
    assert either.work_file("all", "data.txt").read_text() == "kept"


@each_fault
async def test_an_install_of_either_step_that_goes_wrong(either: Stage, fault: Fault) -> None:
    """The package manager is a script of our own: a real one cannot be made to hang at a given step."""
    base = either.layout.control / "package.base.json"
    base.write_text(json.dumps({"dependencies": {"core-word": "file:/agent/core"}}))
    either.add("node", {}, {"package.json": json.dumps({"dependencies": {"word": "file:/agent/word"}})})
    await either.enable("node")
    npm = either.work_file("node", "venv/bin/npm")
    npm.parent.mkdir(parents=True)
    marker = find_marker(either.layout, "node")
    half = "mkdir -p node_modules/half\n"
    for phase, script in (
        ("Core dependencies (step 6)", fault.script.replace("\n", f"\n{half}", 1)),
        (
            "Agent dependencies (step 7): npm",
            fault.script.replace("\n", f"\ngrep -q '\"word\"' package.json || exit 0\n{half}", 1),
        ),
    ):
        npm.write_text(script)
        npm.chmod(0o755)
        said = await fails(either, "node", "DEPENDENCY_INSTALL_FAILED", fault)
        assert f"Phase: {phase}" in said
        assert not marker.exists()
    npm.write_text("#!/bin/sh\ntest ! -e node_modules/half && mkdir -p node_modules/word\n")
    await collect(start_agent(either.ctx, "node", OPTIONS))
    assert either.entry("node").state is AgentState.RUNNING
    assert marker.exists()


@each_fault
async def test_a_python_install_that_goes_wrong_halfway(either: Stage, fault: Fault) -> None:
    """``uv`` is a script of our own, on the path of the agent, so that each of its calls can go wrong."""
    either.add("py", {}, {"code/requirements.txt": "word\n"})
    await either.enable("py")
    uv = either.work_file("py", "node_modules/.bin/uv")
    uv.parent.mkdir(parents=True)
    marker = find_marker(either.layout, "py")
    for when in ("venv", "pip"):
        half = f'[ "$1" = {when} ] || exit 0\nmkdir -p venv/half\n'
        uv.write_text(fault.script.replace("\n", f"\n{half}", 1))
        uv.chmod(0o755)
        said = await fails(either, "py", "DEPENDENCY_INSTALL_FAILED", fault)
        assert "Phase: Agent dependencies (step 7): " in said
        assert not marker.exists()
    uv.write_text("#!/bin/sh\ntest ! -e venv/half && mkdir -p venv/bin\n")
    await collect(start_agent(either.ctx, "py", OPTIONS))
    assert either.entry("py").state is AgentState.RUNNING
    assert marker.exists()


@pytest.mark.bubblewrap
@pytest.mark.parametrize(
    ("backend", "limit_s", "said"),
    [
        ("raise SystemExit('broken for good')", 120, "broken for good"),
        (f"import time; time.sleep({LONG})", 6, "time limit of 6 s"),
        ("import os; os.kill(os.getppid(), 9)", 120, "Killed by signal 9"),
    ],
    ids=["fails", "hangs", "is killed"],
)
async def test_a_python_install_that_goes_wrong(
    stage: Stage, backend: str, limit_s: float, said: str
) -> None:
    folder = stage.add("py", {}, {"code/requirements.txt": "probe @ file:///code/probe\n"})
    probe = folder / "code" / "probe"
    probe.mkdir()
    (probe / "backend.py").write_text(backend)
    system = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    (probe / "pyproject.toml").write_text(system)
    await stage.enable("py")
    with pytest.raises(PloinkyError) as caught:
        await collect(start_agent(stage.ctx, "py", StartOptions(install_timeout_s=limit_s)))
    assert caught.value.code == "DEPENDENCY_INSTALL_FAILED"
    assert said in caught.value.message
    assert await stage.ctx.runtime.list(stage.layout.id) == []
    assert not find_marker(stage.layout, "py").exists()
    (folder / "code" / "requirements.txt").write_text("# nothing\n")
    await collect(start_agent(stage.ctx, "py"))
    assert stage.entry("py").state is AgentState.RUNNING
