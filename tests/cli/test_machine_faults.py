"""A machine that fails the command: the disk is full, a holder of a lock died, the clock jumps."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ploinky.workspace.registry import LOCK_NAME, Registry
from tests import engines
from tests.cli.stage import Stage, give_back, make_stage

pytestmark = pytest.mark.bubblewrap

HOLDS = """
import sys, time
from pathlib import Path
from ploinky.base.files import FileLock
with FileLock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def small(tmp_path: Path, short_folder: Path) -> Iterator[Stage]:
    """A workspace on a disk of its own that has 3 MB."""
    if os.geteuid() != 0:
        pytest.skip("a disk of its own is mounted, which takes root")
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "ploinky-test", str(disk)], check=True)
    try:
        made = make_stage(disk, short_folder)
        try:
            yield made
        finally:
            give_back(made)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def fill(stage: Stage) -> Path:
    """Leave no byte free on the stage's disk; the file that takes it."""
    path = stage.root.parent / "filler"
    with path.open("wb", buffering=0) as filler, pytest.raises(OSError, match="No space"):
        write_without_end(filler)
    return path


def write_without_end(file: io.RawIOBase) -> None:
    while True:
        file.write(b"x" * 4096)


def test_a_full_disk_fails_commands_tears_nothing_and_is_over_when_it_is_over(small: Stage) -> None:
    small.run("enable", "agent", "echo")
    small.run("var", "COLOUR", "blue")
    kept = {path: path.read_bytes() for path in (small.layout.registry_file, small.layout.secrets_file)}
    filler = fill(small)
    for words in (("var", "OTHER", "x" * 9000), ("enable", "agent", "worker"), ("start", "echo")):
        failed = small.run(*words, code=1)
        assert "No space left on device" in failed.err, words
        assert "Traceback" not in failed.err
    assert {path: path.read_bytes() for path in kept} == kept
    assert small.run("status").code == 0
    filler.unlink()
    small.run("start", "echo")
    assert small.run("call", "echo.say", "-p", "text=after").out.strip()
    assert [path.name for path in small.layout.control.rglob("*.tmp*")] == []


def test_an_install_that_fills_the_disk_fails_and_leaves_nothing_running(small: Stage) -> None:
    folder = small.layout.repo("crew") / "greedy"
    folder.mkdir()
    command = "echo begun; cat /dev/zero > $WORKSPACE_PATH/much"
    (folder / "manifest.json").write_text(json.dumps({"container": "busybox", "install": command}))
    small.run("enable", "agent", "greedy")
    failed = small.run("start", "greedy", code=1)
    assert "No space left on device" in failed.err
    assert "Traceback" not in failed.err
    (small.layout.work_dir("greedy") / "much").unlink()
    assert [each for each in small.leftovers() if str(small.root) in each] == []
    (folder / "manifest.json").write_text(json.dumps({"container": "busybox"}))
    small.run("start", "greedy")


def test_a_registry_whose_lock_holder_died_is_free(stage: Stage) -> None:
    lock = stage.layout.lock(LOCK_NAME)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(lock)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        holder.send_signal(signal.SIGKILL)
    stage.run("enable", "agent", "echo")
    assert list(Registry(stage.layout).read()) == ["echo"]


@pytest.fixture(scope="module")
def moved_clock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that moves the wall clock of the programs it is preloaded into."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        engines.absent("cc", "no C compiler is installed")
    made = tmp_path_factory.mktemp("clock") / "clock.so"
    source = Path(__file__).parents[1] / "data" / "clock_that_jumps.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(made), str(source), "-ldl"], check=True)
    return made


@pytest.mark.parametrize("days", [400, -400])
def test_a_clock_that_jumps_between_commands_and_under_the_gateway(
    stage: Stage, moved_clock: Path, days: int
) -> None:
    clock = stage.runtime / "clock"
    clock.write_text("0")
    moved = {"LD_PRELOAD": str(moved_clock), "CLOCK_FILE": str(clock)}
    stage.run("start", "echo", environ=moved)
    before = stage.run("status", "--json").json["agents"][0]
    clock.write_text(str(days * 86400))
    for environ in ({}, moved):
        assert stage.run("call", "echo.say", "-p", "text=again", environ=environ).out.count("again") == 1
        now = stage.run("status", "--json", environ=environ).json["agents"][0]
        assert (now["state"], now["started_at"]) == ("RUNNING", before["started_at"])
    stage.run("restart", "echo")
    stage.run("restart", "echo", environ=moved)
    assert stage.run("call", "echo.say", "-p", "text=again").out.count("again") == 1
    stage.run("stop")
    assert stage.gateway_processes == []
