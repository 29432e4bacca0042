"""SIGKILL of the real `ploinky start` at each of the twelve steps, on each runtime: the next one recovers."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from tests import engines
from tests.cli.stage import PLOINKY, Stage, eventually

STEPS = range(1, 13)
HOOKS = (
    "hosthook_preinstall",
    "hosthook_aftercreation",
    "preinstall",
    "install",
    "postinstall",
    "hosthook_postinstall",
)


@pytest.fixture(scope="module")
def stage(workspace: Stage, runtime: str, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """An agent with every hook, none of which ends at once, so that a kill meets a step under way."""
    repo = tmp_path_factory.mktemp("repo")
    (repo / "slow" / "scripts").mkdir(parents=True)
    (repo / "slow" / "code").mkdir()
    script = repo / "slow" / "scripts" / "pause.sh"
    script.write_text('#!/bin/sh\necho "$1"\nsleep 0.15\n', encoding="utf-8")
    script.chmod(0o755)
    manifest = {
        "container": engines.image(runtime) if runtime != "sandbox" else "busybox:stable",
        "agent": "sh -c 'while :; do sleep 1; done'",
        "health": {"readiness": {"protocol": "none"}},
        "profiles": {"default": {hook: f"scripts/pause.sh {hook}" for hook in HOOKS}},
    }
    (repo / "slow" / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    workspace.run("add", "repo", "crew", str(repo))
    workspace.run("enable", "agent", "slow")
    return workspace


def kill_at(stage: Stage, step: int) -> None:
    """Start the agent and kill the command when it says that the step has begun."""
    with subprocess.Popen(
        [*PLOINKY, "--trust", "start", "slow", "--json"],
        cwd=stage.root,
        env=stage.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            if (event.get("kind"), event.get("step")) == ("step_started", step):
                process.send_signal(signal.SIGKILL)
                break
        process.wait(timeout=60)
    assert process.returncode == -signal.SIGKILL, f"step {step} never began"


def processes_with(text: str) -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if text in line:
            found.append(line)
    return found


def nothing_is_left(stage: Stage, runtime: str) -> None:
    """No process, socket, container or network of the workspace."""
    eventually(lambda: processes_with("scripts/pause.sh") == [], "hooks of the killed start to end")
    assert stage.leftovers() == []
    if runtime == "podman":
        for kind in (("ps", "--all"), ("network", "ls")):
            argv = ["podman", *kind, "--quiet", "--filter", f"label=ploinky.workspace={stage.layout.id}"]
            listed = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
            assert listed.stdout == "", kind


@pytest.mark.parametrize("step", STEPS)
def test_a_start_that_is_killed_at_a_step_is_done_by_the_next_command(
    stage: Stage, runtime: str, step: int
) -> None:
    kill_at(stage, step)
    rows = {row["name"]: row for row in stage.run("status", "--json").json["agents"]}
    assert set(rows) == {"slow"}

    stage.run("--trust", "start", "slow")
    row = stage.run("status", "--json").json["agents"][0]
    assert (row["state"].lower(), row["ready"]) == ("running", True)
    assert stage.run("exec", "slow", "--", "echo", "well").out == "well\n"

    stage.run("shutdown")
    nothing_is_left(stage, runtime)


@pytest.mark.parametrize("step", [3, 5, 9, 12])
def test_what_a_killed_start_left_is_removed_without_another_start(
    stage: Stage, runtime: str, step: int
) -> None:
    kill_at(stage, step)
    stage.run("shutdown")
    nothing_is_left(stage, runtime)
