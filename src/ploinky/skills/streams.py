"""A run's standard streams as three pipes: fed, drained up to a bound, and a folder watched meanwhile.

The inner ends go to whatever runs the program; ``converse`` keeps the outer ones until it ended or went over
a bound. Knows no sandbox.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import anyio.to_thread

from ploinky.skills.runs import Bounds, Ending

_CHUNK = 64 * 1024
_WATCH_S = 0.1
_LAST_WORDS_S = 5.0


class Pipes:
    """Three pipes. ``inner`` are stdin, stdout and stderr of the program."""

    def __init__(self) -> None:
        ends = [os.pipe() for _ in range(3)]
        self.inner = (ends[0][0], ends[1][1], ends[2][1])
        self._outer = (ends[0][1], ends[1][0], ends[2][0])
        self._open = {*self.inner, *self._outer}
        for each in self._outer:
            os.set_blocking(each, False)

    def __enter__(self) -> Pipes:
        return self

    def __exit__(self, *_: object) -> None:
        for each in tuple(self._open):
            self._close(each)

    def close_inner(self) -> None:
        """The program has them now."""
        for each in self.inner:
            self._close(each)

    async def feed(self, data: bytes) -> None:
        """Write the input and end it; a program that reads no more is no failure."""
        left = memoryview(data)
        try:
            while left:
                await anyio.wait_writable(self._outer[0])
                with contextlib.suppress(BlockingIOError):
                    left = left[os.write(self._outer[0], left[:_CHUNK]) :]
        except BrokenPipeError:
            pass
        finally:
            self._close(self._outer[0])

    async def drain(self, which: int, into: bytearray, limit: int) -> None:
        """Read stdout (1) or stderr (2) to its end; ``limit`` bytes are kept."""
        while True:
            await anyio.wait_readable(self._outer[which])
            try:
                chunk = os.read(self._outer[which], _CHUNK)
            except BlockingIOError:
                continue
            if not chunk:
                return
            into.extend(chunk[: max(0, limit - len(into))])

    def _close(self, descriptor: int) -> None:
        if descriptor in self._open:
            self._open.discard(descriptor)
            os.close(descriptor)


async def converse(
    pipes: Pipes,
    folder: Path,
    stdin: bytes,
    bounds: Bounds,
    *,
    ended: Callable[[], Awaitable[None]],
    end: Callable[[], Awaitable[None]],
) -> tuple[bytes, bytes, Ending]:
    """Serve a program until ``ended`` returns, or ``end`` it when it is over its time or its folder too full.

    ``end`` is called in any case and ends every process of the run.
    """
    output, errors = bytearray(), bytearray()
    ending = Ending.EXIT
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pipes.feed, stdin)
        async with anyio.create_task_group() as drains:
            drains.start_soon(pipes.drain, 1, output, bounds.output)
            drains.start_soon(pipes.drain, 2, errors, bounds.output)
            try:
                with anyio.move_on_after(bounds.timeout_s) as scope:
                    if await _ends_or_fills(ended, folder, bounds):
                        ending = Ending.DISK
                if scope.cancelled_caught:
                    ending = Ending.TIME
            finally:
                with anyio.CancelScope(shield=True):
                    await end()
            drains.cancel_scope.deadline = anyio.current_time() + _LAST_WORDS_S
        tasks.cancel_scope.cancel()
    return bytes(output), bytes(errors), ending


async def _ends_or_fills(ended: Callable[[], Awaitable[None]], folder: Path, bounds: Bounds) -> bool:
    """Whether the run took more of the disk than it may before ``ended`` returned."""
    full = False
    free = _free_bytes(folder)

    async with anyio.create_task_group() as tasks:

        async def watch() -> None:
            nonlocal full
            while not full:
                used = await anyio.to_thread.run_sync(used_bytes, folder, bounds.disk)
                # a file that is open but has no name any more is in no folder, only on the disk
                lost = free - _free_bytes(folder)
                full = used > bounds.disk or lost > bounds.disk + bounds.others
                await anyio.sleep(0 if full else _WATCH_S)
            tasks.cancel_scope.cancel()

        tasks.start_soon(watch)
        await ended()
        tasks.cancel_scope.cancel()
    return full


def _free_bytes(folder: Path) -> int:
    told = os.statvfs(folder)
    return told.f_bavail * told.f_frsize


def used_bytes(folder: Path, enough: int) -> int:
    """Bytes below ``folder``, counted until there are more than ``enough``."""
    used = 0
    pending = [str(folder)]
    while pending and used <= enough:
        try:
            entries = list(os.scandir(pending.pop()))
        except OSError:
            continue  # removed meanwhile
        for entry in entries:
            with contextlib.suppress(OSError):  # the same
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                used += entry.stat(follow_symlinks=False).st_blocks * 512 + 256
            if used > enough:
                break
    return used
