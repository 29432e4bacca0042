"""Async tools by the command line: followed to their end, ended with the command, failed with the gateway."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ploinky.operations.endpoint import find_endpoint, owner_token
from tests.cli.stage import Stage, eventually, give_back, make_stage

pytestmark = pytest.mark.bubblewrap

SECRET = "a-value-that-nobody-may-keep"
PROGRAMS = {
    "steps": "for n in 1 2 3; do echo '{\"progress\": '$n', \"total\": 3}' >&2; sleep 0.2; done; echo done",
    "tell": 'echo "$JOB_KEY"; echo "$JOB_KEY" >&2',
    "stay": "echo x >> $WORKSPACE_PATH/runs; echo $$ > $WORKSPACE_PATH/pid; exec sleep 60",
}


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage where an agent with async tools runs."""
    runtime = Path(tempfile.mkdtemp(prefix="pt-", dir="/tmp"))
    stage = make_stage(tmp_path_factory.mktemp("jobs"), runtime)
    folder = stage.layout.repo("crew") / "jobs"
    (folder / "code").mkdir(parents=True)
    for name, script in PROGRAMS.items():
        file = folder / "code" / f"{name}.sh"
        file.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        file.chmod(0o755)
    tools = [{"name": name, "command": f"{name}.sh", "async": True} for name in PROGRAMS]
    (folder / "code" / "mcp-config.json").write_text(json.dumps({"tools": tools}), encoding="utf-8")
    manifest = {"container": "busybox:stable", "env": ["JOB_KEY"]}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    stage.run("var", "JOB_KEY", stdin=SECRET)
    stage.run("start", "jobs")
    yield stage
    give_back(stage)
    shutil.rmtree(runtime)


@pytest.fixture(autouse=True)
def nothing_ran_yet(jobs: Stage) -> None:
    for name in ("runs", "pid"):
        (jobs.layout.work_dir("jobs") / name).unlink(missing_ok=True)


def tasks(stage: Stage) -> list[tuple[str, str]]:
    """Id and state of every task, as they lie on the disk."""
    with sqlite3.connect(f"file:{stage.layout.tasks_file}?mode=ro", uri=True) as db:
        return db.execute("SELECT id, state FROM tasks ORDER BY created").fetchall()


def record(stage: Stage, task_id: str) -> Any:
    """What the older address tells of a task."""
    request = urllib.request.Request(
        f"{stage.endpoint.url}/mcps/jobs/task?taskId={task_id}",
        headers={"Authorization": f"Bearer {owner_token(stage.layout)}"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read())["task"]


def alive(pid_file: Path, folder: Path) -> Callable[[], bool]:
    """Whether a program of the agent still runs; its pid is one of the sandbox, so its folder tells."""

    def check() -> bool:
        return any(
            (each / "cmdline").read_bytes().startswith(b"sleep\x0060")
            and str(folder) in (each / "environ").read_text(errors="replace")
            for each in Path("/proc").iterdir()
            if each.name.isdigit() and (each / "cmdline").exists()
        )

    return check


def test_a_task_is_followed_and_its_secrets_are_not_kept(jobs: Stage) -> None:
    assert "(async)" in jobs.run("tools", "jobs").out
    done = jobs.run("call", "jobs.steps")
    assert done.out == "done\n"
    assert "67 %" in done.err or "33 %" in done.err, done.err
    assert jobs.run("call", "jobs.tell").out.strip() == "[redacted]"
    (_, first), (task_id, state) = tasks(jobs)[-2:]
    assert (first, state) == ("completed", "completed")
    assert record(jobs, task_id)["logTail"].strip() == "[redacted]"
    kept = b"".join(file.read_bytes() for file in jobs.layout.control.glob("tasks.sqlite*"))
    assert SECRET.encode() not in kept


def test_an_interrupted_call_ends_its_task(jobs: Stage) -> None:
    folder = jobs.layout.work_dir("jobs")
    with jobs.running("call", "jobs.stay") as call:
        eventually((folder / "pid").exists, "the program")
        call.send_signal(signal.SIGINT)
        assert call.wait(timeout=20) == 130
    eventually(lambda: tasks(jobs)[-1][1] == "cancelled", "the task's end")
    eventually(lambda: not alive(folder / "pid", folder)(), "the program's end")


def test_a_gateway_that_is_killed_fails_what_ran_and_runs_nothing_twice(jobs: Stage) -> None:
    folder = jobs.layout.work_dir("jobs")
    with jobs.running("call", "jobs.stay") as call:
        eventually((folder / "pid").exists, "the program")
        before = jobs.endpoint
        before.process.signal(signal.SIGKILL)
        assert call.wait(timeout=30) == 1
        assert call.stderr is not None
        assert "gateway" in call.stderr.read().lower()
    eventually(lambda: find_endpoint(jobs.layout) not in (None, before), "the next gateway")
    task_id, state = tasks(jobs)[-1]
    assert state == "failed"
    eventually(lambda: jobs.run("call", "jobs.steps", code=None).out == "done\n", "the tools to be back")
    told = record(jobs, task_id)
    assert (told["status"], "not run again" in told["error"]) == ("failed", True)
    assert (folder / "runs").read_text("ascii") == "x\n"
    eventually(lambda: not alive(folder / "pid", folder)(), "the program's end")


def test_a_task_is_left_to_itself_found_again_waited_for_and_ended(jobs: Stage) -> None:
    task_id = jobs.run("call", "jobs.steps", "--detach").out.strip()
    assert [task_id] == [row["taskId"] for row in jobs.run("tasks", "list", "--json").json][:1]
    assert jobs.run("tasks", "result", task_id).out == "done\n"
    shown = jobs.run("tasks", "get", task_id, "--json").json
    assert (shown["state"], shown["tool"], shown["text"]) == ("completed", "steps", "done")
    stays = jobs.run("call", "jobs.stay", "--detach", "--json").json["taskId"]
    late = jobs.run("tasks", "result", stays, "--timeout", "0.3", code=1)
    assert "goes on" in late.err
    assert stays in jobs.run("tasks", "list").out
    assert "cancelled" in jobs.run("tasks", "cancel", stays).err
    failed = jobs.run("tasks", "result", stays, code=1)
    assert "cancelled" in failed.err
    assert jobs.run("tasks", "get", "made-up", code=3).err
    jobs.run("start", "echo")
    assert "no tasks" in jobs.run("call", "echo.mood", "--detach", code=2).err
