"""A lock keeps other processes out, and a dead holder keeps nobody out."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ploinky.base.errors import DeadlineError, PloinkyError
from ploinky.base.files import FileLock

HOLDER = """
import sys, time
from pathlib import Path
from ploinky.base.files import FileLock
with FileLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder_of(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until its input ends."""
    argv = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_lock_held_by_another_process_runs_into_the_deadline(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with holder_of(path), pytest.raises(DeadlineError) as caught, FileLock(path, timeout_s=0.05):
        pass
    assert caught.value.code == "FILE_LOCKED"
    assert str(path) in caught.value.message


def test_a_lock_of_a_process_that_was_killed_is_free(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with holder_of(path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        with FileLock(path, timeout_s=0.05):
            assert path.exists()


def test_a_lock_given_back_can_be_had_again(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "made" / "on" / "the" / "way", timeout_s=0.05)
    for _ in range(2):
        with lock:
            pass


def test_an_error_inside_gives_the_lock_back(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with pytest.raises(KeyError), FileLock(path):
        raise KeyError
    with FileLock(path, timeout_s=0.05):
        pass


def test_a_lock_that_cannot_be_made_names_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    path = tmp_path / "file" / "lock"
    with pytest.raises(PloinkyError, match=str(path)) as caught, FileLock(path):
        pass
    assert caught.value.code == "FILE_LOCK"
