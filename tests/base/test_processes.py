"""Programs run to their end, never longer than allowed, and a pid alone names nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import anyio
import pytest

from ploinky.base.errors import DeadlineError, PloinkyError
from ploinky.base.processes import ProcessId, run
from ploinky.base.waits import wait_until


async def test_output_input_and_exit_code_come_through(tmp_path: Path) -> None:
    done = await run(
        ["sh", "-c", 'cat; pwd; echo "$WORD" >&2; exit 3'],
        timeout_s=10,
        cwd=tmp_path,
        env={"WORD": "said", "PATH": os.environ["PATH"]},
        stdin=b"given\n",
    )
    assert (done.returncode, done.error_text) == (3, "said\n")
    assert done.text == f"given\n{tmp_path}\n"


async def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(PloinkyError) as caught:
        await run(["/no/such/program"], timeout_s=5)
    assert caught.value.code == "COMMAND_NOT_FOUND"
    assert "/no/such/program" in caught.value.message


async def test_a_program_over_its_time_is_killed_with_all_its_children(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    with pytest.raises(DeadlineError) as caught:
        await run(["sh", "-c", f"sleep 600 & echo $! > {note}; wait"], timeout_s=0.3)
    assert caught.value.code == "COMMAND_TIMEOUT"
    child = int(note.read_text())

    async def gone() -> bool:
        return ProcessId.find(child) is None

    await wait_until(gone, what="the child to end", timeout_s=5)


async def test_more_output_than_allowed_is_dropped_and_does_not_block() -> None:
    done = await run(["sh", "-c", "head -c 300000 /dev/zero"], timeout_s=10, max_output=1000)
    assert (done.returncode, len(done.stdout)) == (0, 1000)


async def test_a_program_that_does_not_read_its_input_does_no_harm() -> None:
    done = await run(["true"], timeout_s=10, stdin=b"x" * 1_000_000)
    assert done.returncode == 0


async def test_giving_up_the_wait_ends_the_program(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    with anyio.move_on_after(0.3):
        await run(["sh", "-c", f"echo $$ > {note}; exec sleep 600"], timeout_s=600)
    assert ProcessId.find(int(note.read_text())) is None


async def test_a_signal_that_ended_a_program_shows_as_a_negative_code() -> None:
    done = await run(["sh", "-c", "kill -TERM $$"], timeout_s=10)
    assert done.returncode == -signal.SIGTERM


def test_this_process_is_found_and_alive() -> None:
    found = ProcessId.find(os.getpid())
    assert found is not None
    assert found.alive


def test_another_process_under_the_same_pid_is_not_the_same() -> None:
    found = ProcessId.find(os.getpid())
    assert found is not None
    former = ProcessId(found.pid, found.started - 1)
    assert not former.alive
    assert not former.signal(signal.SIGKILL)  # or this test would not live to tell


def test_a_signal_reaches_the_process_and_a_dead_one_counts_as_none() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        found = ProcessId.find(process.pid)
        assert found is not None
        assert found.signal(signal.SIGKILL)
        deadline = time.monotonic() + 5
        while found.alive:  # a zombie at the latest, which nobody has waited for yet
            assert time.monotonic() < deadline
        process.wait()
        assert ProcessId.find(process.pid) is None
        assert not found.signal(signal.SIGTERM)
