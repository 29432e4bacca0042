"""The bounds of a run hold against programs that go for them, and nothing is left when it ends.

No program here can take more than a bounded part of the machine, even where a bound would not hold.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import anyio
import pytest

from ploinky.base.waits import wait_until
from ploinky.runtimes.cgroups import find_cgroup_home
from ploinky.skills.owner import own_mark
from ploinky.skills.runs import Bounds, Ending
from tests import engines
from tests.skills.sandboxes import ENGINES, Trial, trial

__all__ = ["trial"]

FORKS = """\
import os, time
made = 0
for _ in range(1500):
    try:
        if os.fork() == 0:
            time.sleep(20); os._exit(0)
        made += 1
    except OSError:
        break
print(made)
"""
MEMORY = """\
held = []
for _ in range(16):
    held.append(bytearray(b"x" * 64 * 1024 * 1024))
print("held all")
"""
MEMORY_OF_MANY = """\
import os, sys, time
children = []
for _ in range(8):
    pid = os.fork()
    if pid == 0:
        held = bytearray(b"x" * 100 * 1024 * 1024); time.sleep(3); os._exit(0)
    children.append(pid)
ends = [os.waitpid(pid, 0)[1] for pid in children]
print(sum(end == 0 for end in ends))
"""
NAMELESS = """\
import os
held = []
for number in range(60):
    held.append(os.open("f", os.O_RDWR | os.O_CREAT)); os.unlink("f")
    os.write(held[-1], os.urandom(1) * 15_000_000); os.fsync(held[-1])
print("wrote all")
"""
CHURN = """\
import os, threading
def churn(name):
    while True:
        open(name, "w").close(); os.unlink(name)
for number in range(4):
    threading.Thread(target=churn, args=(f"a{number}",), daemon=True).start()
for number in range(200):
    open(f"z{number}", "wb").write(b"x" * 1_000_000)
print("wrote all")
"""
DAEMONS = """\
import os, signal, sys, time
for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM):
    signal.signal(each, signal.SIG_IGN)
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execv("/bin/sh", ["sh", "-c", "while :; do sleep 1; done", sys.argv[1]])
        os._exit(0)
print("ready", flush=True)
time.sleep(60)
"""
RUNNER = """\
import anyio, os, sys
from pathlib import Path
from ploinky.skills.runs import RunPlan
from ploinky.skills.sandbox import Sandbox
from ploinky.workspace.settings import SandboxSettings
engine, folder, mark = sys.argv[1:]
plan = RunPlan(("python3", "attack.py", mark), Path(folder))
sandbox = Sandbox(os.environ, settings=SandboxSettings.model_validate({"engine": engine}))
anyio.run(sandbox.run, plan)
"""


def _alive(mark: str) -> list[str]:
    return [str(each) for each in Path("/proc").glob("[0-9]*/cmdline") if mark.encode() in _bytes(each)]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _require_groups(trial: Trial) -> None:
    """Bounds of all processes together want a control group; with bubblewrap it is found or not."""
    if trial.engine == "bubblewrap" and find_cgroup_home() is None:
        engines.absent("cgroups", "this user may make none")


async def test_processes_are_bounded(trial: Trial) -> None:
    _require_groups(trial)
    ran = await trial.python(FORKS, bounds=Bounds(timeout_s=90, processes=40))
    assert 0 < int(ran.stdout) <= 40


async def test_memory_of_one_process_is_bounded(trial: Trial) -> None:
    ran = await trial.python(MEMORY, bounds=Bounds(timeout_s=90, memory=256 * 1024**2))
    assert b"held all" not in ran.stdout
    assert not ran.succeeded


async def test_memory_of_many_processes_is_bounded(trial: Trial) -> None:
    _require_groups(trial)
    ran = await trial.python(MEMORY_OF_MANY, bounds=Bounds(timeout_s=90, memory=256 * 1024**2))
    assert int(ran.stdout or b"0") < 4, ran


async def test_memory_that_looks_like_files_is_bounded(trial: Trial) -> None:
    script = (
        "for d in /tmp /dev/shm; do head -c 400000000 /dev/zero > $d/f && echo filled $d; rm -f $d/f; done"
    )
    ran = await trial.shell(script, bounds=Bounds(timeout_s=90, memory=256 * 1024**2))
    assert b"filled" not in ran.stdout


async def test_files_without_a_name_count_too(trial: Trial) -> None:
    bounds = Bounds(timeout_s=90, disk=40_000_000, others=100_000_000)
    ran = await trial.python(NAMELESS, bounds=bounds)
    assert ran.ending is Ending.DISK, ran
    assert b"wrote all" not in ran.stdout


async def test_a_folder_that_changes_all_the_time_is_counted(trial: Trial) -> None:
    ran = await trial.python(CHURN, bounds=Bounds(timeout_s=90, disk=30_000_000))
    assert ran.ending is Ending.DISK, ran


async def test_endless_output_costs_neither_memory_nor_time(trial: Trial) -> None:
    started = time.monotonic()
    ran = await trial.shell("yes & yes >&2", bounds=Bounds(timeout_s=3, output=100_000))
    assert (len(ran.stdout), len(ran.stderr), ran.ending) == (100_000, 100_000, Ending.TIME)
    assert time.monotonic() - started < 60


async def test_programs_that_left_every_group_end_with_the_time(trial: Trial) -> None:
    mark = f"ploinky-daemon-{trial.engine}-{os.getpid()}"
    ran = await trial.python(DAEMONS, mark, bounds=Bounds(timeout_s=4))
    assert (ran.stdout, ran.ending) == (b"ready\n", Ending.TIME)
    assert _alive(mark) == []


async def test_cancelling_a_run_ends_all_of_it(trial: Trial) -> None:
    mark = f"ploinky-cancelled-{trial.engine}-{os.getpid()}"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(trial.python, DAEMONS, mark)
        await wait_until(_number_of(mark, 3), what="the daemons to run", timeout_s=60)
        tasks.cancel_scope.cancel()
    assert _alive(mark) == []


async def test_killing_the_command_ends_what_it_ran(trial: Trial) -> None:
    mark = f"ploinky-killed-{trial.engine}-{os.getpid()}"
    (trial.folder / "attack.py").write_text(DAEMONS, encoding="utf-8")
    with subprocess.Popen([sys.executable, "-c", RUNNER, trial.engine, str(trial.folder), mark]) as runner:
        await wait_until(_number_of(mark, 4), what="the daemons to run", timeout_s=60)
        runner.send_signal(signal.SIGKILL)
        runner.wait(30)

    async def gone() -> bool:
        return _alive(mark) == []

    await wait_until(gone, what="everything to end", timeout_s=60)
    await trial.shell("true")
    assert list(Path(tempfile.gettempdir()).glob(f"ps-{runner.pid}-*")) == []


def _number_of(mark: str, wanted: int) -> Callable[[], Awaitable[bool]]:
    async def enough() -> bool:
        return len(_alive(mark)) >= wanted

    return enough


async def test_what_runs_as_its_owner_does_not_come_out(trial: Trial) -> None:
    ran = await trial.shell("cp /bin/sh s; chmod 6755 s; mkdir d; cp /bin/sh d/s; chmod u+s d/s; ls -l s")
    assert b"rws" in ran.stdout
    assert [(trial.folder / name).stat().st_mode & 0o6000 for name in ("s", "d/s")] == [0, 0]


async def test_files_that_a_run_made_are_this_users(trial: Trial) -> None:
    await trial.shell("umask 077; mkdir d; echo x > d/f; ln -s /etc/passwd l; mkfifo p")
    owners = {(trial.folder / name).lstat().st_uid for name in ("d", "d/f", "l", "p", ".home")}
    assert owners == {os.geteuid()}


@pytest.mark.parametrize("trial", ENGINES[1:], indirect=True)
async def test_containers_do_not_outlive_their_runs(trial: Trial) -> None:
    await trial.shell("true", bounds=Bounds(timeout_s=60))
    asked = [
        trial.engine,
        "ps",
        "--all",
        "--format",
        "{{.Names}}",
        "--filter",
        f"label=ploinky.run={own_mark()}",
    ]
    listed = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=True)
    assert listed.stdout.strip() == ""


@pytest.mark.parametrize("trial", ENGINES[1:], indirect=True)
async def test_the_engine_never_has_a_key(trial: Trial) -> None:
    """What the engine tells of a running container, and keeps of it, has no variable of the program."""
    key = f"planted-{os.getpid()}"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(trial.run, "sh", "-c", "echo > ready; sleep 60", env={"TIDE_KEY": key}))

        async def ready() -> bool:
            return (trial.folder / "ready").exists()

        await wait_until(ready, what="the program to run", timeout_s=60)
        listed = _engine(
            trial, "ps", "--quiet", "--no-trunc", "--filter", f"label=ploinky.run={own_mark()}"
        ).split()
        told = [_engine(trial, "inspect", name) for name in listed]
        tasks.cancel_scope.cancel()
    assert len(told) == 1
    assert key not in told[0]


def _engine(trial: Trial, *words: str) -> str:
    done = subprocess.run([trial.engine, *words], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout
