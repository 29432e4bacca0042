"""Logs that lie in files of the workspace, for engines that keep none of their own.

The sandbox appends; nobody else writes. A file that has grown past ``MAX_SIZE`` is put aside as
``<name>.1``, replacing the one before it: moved before a start, copied and emptied while it is written.
"""

from __future__ import annotations

import codecs
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path

import anyio

from ploinky.base.files import write_atomic

MAX_SIZE = 10 * 1024 * 1024
_CHUNK = 64 * 1024
_POLL_S = 0.05
_LONGEST_TAIL = 16 * 1024 * 1024


def begin_log(path: Path) -> int:
    """Make the log's folder, put a big log aside; the offset at which the next run's output begins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    size = _size(path)
    if size > MAX_SIZE:
        path.replace(path.with_name(f"{path.name}.1"))
        return 0
    return size


def bound_log(path: Path) -> bool:
    """Copy the end of a log that has grown too big aside and empty it; whether that was done.

    What is written between the two is lost. The sandbox goes on appending to the same file.
    """
    if _size(path) <= MAX_SIZE:
        return False
    with path.open("r+b") as log:
        end = log.seek(0, os.SEEK_END)
        log.seek(max(0, end - MAX_SIZE))
        write_atomic(path.with_name(f"{path.name}.1"), log.read(MAX_SIZE), mode=0o600)
        log.truncate(0)
    return True


def since_offset(path: Path, since: str | None, run_started: str | None, run_offset: int) -> int:
    """Where to read from so that nothing since a moment (ISO 8601) is missed.

    Lines carry no time, so this is exact per run only: the offset of the run when it began before the
    moment, the end when nothing was written since, else the beginning.
    """
    if since is None:
        return 0
    moment = datetime.fromisoformat(since).timestamp()
    try:
        if path.stat().st_mtime < moment:
            return _size(path)
    except FileNotFoundError:
        return 0
    if run_started is not None and datetime.fromisoformat(run_started).timestamp() <= moment:
        return run_offset
    return 0


async def read_log(
    path: Path, *, start: int, tail: int | None, follow: bool, running: Callable[[], bool]
) -> AsyncIterator[bytes]:
    """Chunks of a log from an offset on, or its last ``tail`` lines after it.

    With ``follow`` it goes on until ``running`` is false and everything was given.
    """
    position = start if tail is None else max(start, _tail_offset(path, tail))
    while True:
        last_look = not (follow and running())
        if _size(path) < position:
            position = 0  # put aside by a new start
        while chunk := _read(path, position):
            position += len(chunk)
            yield chunk
        if last_look:
            return
        await anyio.sleep(_POLL_S)


async def decoded(chunks: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """Chunks as text; a character that two chunks share stays whole."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    try:
        async for chunk in chunks:
            if text := decoder.decode(chunk):
                yield text
    finally:
        close = getattr(chunks, "aclose", None)
        if close is not None:
            with contextlib.suppress(RuntimeError):
                await close()
    if text := decoder.decode(b"", final=True):
        yield text


def _read(path: Path, position: int) -> bytes:
    try:
        with path.open("rb") as log:
            log.seek(position)
            return log.read(_CHUNK)
    except FileNotFoundError:
        return b""


def _tail_offset(path: Path, lines: int) -> int:
    """The offset at which the last ``lines`` lines begin; what lies far back is not looked for, because
    the sandbox can make its log as long as it likes without writing it."""
    if lines <= 0:
        return _size(path)
    try:
        with path.open("rb") as log:
            end = position = log.seek(0, os.SEEK_END)
            floor = max(0, end - _LONGEST_TAIL)
            wanted = lines
            while position > floor:
                step = min(_CHUNK, position - floor)
                position -= step
                log.seek(position)
                block = log.read(step)
                if position + step == end and block.endswith(b"\n"):
                    wanted += 1  # the newline that ends the last line begins none
                for at in range(len(block) - 1, -1, -1):
                    if block[at] == 0x0A:
                        wanted -= 1
                        if wanted == 0:
                            return position + at + 1
            return floor
    except FileNotFoundError:
        return 0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
