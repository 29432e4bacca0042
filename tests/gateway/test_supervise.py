"""The supervisor: restarts what dies, gives up where it must, is alone, and takes its program with it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ploinky.operations.endpoint import find_supervisor, supervisor_file
from ploinky.workspace.layout import Layout


@contextmanager
def supervising(layout: Layout, script: str) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-m", "ploinky.gateway.supervise", str(layout.root), "/bin/sh", "-c", script]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def eventually(check: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20
    while not check():
        assert time.monotonic() < deadline, f"gave up waiting for {what}"
        time.sleep(0.01)


def lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def test_a_program_that_dies_is_started_again(layout: Layout) -> None:
    log = layout.root / "log"
    with supervising(layout, f"echo $$ >> {log}; kill -KILL $$"):
        eventually(lambda: len(lines(log)) >= 3, "three starts")
    assert len(set(lines(log))) == len(lines(log))


@pytest.mark.parametrize("code", [0, 2, 3, 4])
def test_an_end_that_will_not_get_better_ends_the_supervisor(code: int, layout: Layout) -> None:
    with supervising(layout, f"exit {code}") as process:
        assert process.wait(20) == code
    assert not supervisor_file(layout).exists()


def test_term_ends_the_program_and_then_the_supervisor(layout: Layout) -> None:
    log = layout.root / "log"
    with supervising(
        layout, f"trap 'echo ended >> {log}; exit 0' TERM; echo up >> {log}; sleep 60 & wait"
    ) as process:
        eventually(lambda: lines(log) == ["up"], "the program")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert lines(log) == ["up", "ended"]
    assert find_supervisor(layout) is None


def test_term_in_a_pause_ends_at_once(layout: Layout) -> None:
    with supervising(layout, "exit 1") as process:
        assert process.stderr is not None
        while "in 0.8 s" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0


def test_a_second_supervisor_of_a_workspace_leaves_the_first_alone(layout: Layout) -> None:
    log = layout.root / "log"
    with supervising(layout, f"echo up >> {log}; exec sleep 60") as first:
        eventually(lambda: lines(log) == ["up"], "the program")
        with supervising(layout, f"echo second >> {log}") as second:
            assert second.wait(20) == 1
        found = find_supervisor(layout)
        assert found is not None
        assert found.pid == first.pid
        first.send_signal(signal.SIGTERM)
        first.wait(20)
    assert lines(log) == ["up"]
