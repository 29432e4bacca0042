"""Logs in files: tails, moments, files put aside."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ploinky.runtimes.log_files import MAX_SIZE, begin_log, bound_log, read_log, since_offset


async def read(path: Path, *, start: int = 0, tail: int | None = None) -> bytes:
    return b"".join(
        [chunk async for chunk in read_log(path, start=start, tail=tail, follow=False, running=lambda: False)]
    )


@pytest.mark.parametrize(
    ("text", "tail", "expected"),
    [
        (b"a\nb\nc\n", 2, b"b\nc\n"),
        (b"a\nb\nc", 2, b"b\nc"),
        (b"a\nb\n", 5, b"a\nb\n"),
        (b"a\n", 0, b""),
        (b"", 3, b""),
        (b"\n\n\n", 2, b"\n\n"),
        (b"x" * 200_000 + b"\nlast\n", 1, b"last\n"),
        (b"first\n" + b"x" * 200_000 + b"\n", 1, b"x" * 200_000 + b"\n"),
    ],
)
async def test_a_tail_is_the_last_lines(tmp_path: Path, text: bytes, tail: int, expected: bytes) -> None:
    log = tmp_path / "log"
    log.write_bytes(text)
    assert await read(log, tail=tail) == expected


async def test_the_tail_of_a_log_that_was_only_made_long_is_found_soon(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"first\n")
    os.truncate(log, 1 << 40)
    with log.open("ab") as end:
        end.write(b"last\n")
    began = time.monotonic()
    found = await read(log, tail=1)
    assert found.endswith(b"last\n")
    assert len(found) < 64 * 1024 * 1024
    assert time.monotonic() - began < 20


async def test_a_log_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert await read(tmp_path / "none", tail=3) == b""


def test_a_big_log_is_put_aside_before_a_start(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "a.log"
    assert begin_log(log) == 0
    log.write_bytes(b"small")
    assert begin_log(log) == 5
    with log.open("r+b") as stream:
        stream.truncate(MAX_SIZE + 1)
    assert begin_log(log) == 0
    assert not log.exists()
    assert (tmp_path / "logs" / "a.log.1").stat().st_size == MAX_SIZE + 1


def test_a_log_that_is_written_is_emptied_and_its_end_kept(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("ab") as writer:
        writer.write(b"first\n" + b"x" * MAX_SIZE)
        writer.flush()
        assert bound_log(log)
        writer.write(b"next\n")
    assert log.read_bytes() == b"next\n"
    assert (tmp_path / "log.1").read_bytes() == b"x" * MAX_SIZE
    assert not bound_log(log)


async def test_following_goes_on_after_the_file_was_put_aside(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"old output\n")
    seen = bytearray()

    def running() -> bool:
        return b"new" not in seen

    async for chunk in read_log(log, start=0, tail=None, follow=True, running=running):
        seen += chunk
        if chunk == b"old output\n":
            log.rename(tmp_path / "log.1")
            log.write_bytes(b"new\n")
    assert seen == b"old output\nnew\n"


def test_since_is_the_run_that_began_before_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"0123456789")
    now = datetime.now(UTC)

    def at(seconds: float) -> str:
        return (now + timedelta(seconds=seconds)).isoformat()

    os.utime(log, (now.timestamp(), now.timestamp()))
    assert since_offset(log, None, at(-10), 4) == 0
    assert since_offset(log, at(-5), at(-10), 4) == 4
    assert since_offset(log, at(-20), at(-10), 4) == 0
    assert since_offset(log, at(20), at(-10), 4) == 10
    assert since_offset(tmp_path / "none", at(0), at(-10), 4) == 0
