"""This process's terminal joined to a program's: bytes both ways, window size, raw mode while it lasts."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import termios
import tty
from collections.abc import AsyncIterator, Iterator

import anyio
import anyio.abc
import anyio.lowlevel

from ploinky.channel.model import Exit
from ploinky.channel.program import Program

_CHUNK = 64 * 1024
_STDIN = 0


def window_size() -> tuple[int, int] | None:
    """Rows and columns if both ends of this process are a terminal, else None."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return None
    size = shutil.get_terminal_size((80, 24))
    return size.lines, size.columns


async def join(program: Program, *, pty: bool) -> Exit:
    """Pass input and output until the program ends. A terminal's modes are as before when this returns."""
    with _raw_mode() if pty else contextlib.nullcontext():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_pass_input, program)
            if pty:
                await tasks.start(_follow_window, program)
            async for chunk in program:
                _write(2 if chunk.stream == "stderr" else 1, chunk.data)
            ended = await program.wait()
            tasks.cancel_scope.cancel()
    return ended


def exit_code(ended: Exit) -> int:
    """The code as shells have it: 128 and the signal's number for a program that a signal ended."""
    if ended.code is not None:
        return ended.code
    return 128 + (ended.signal or 0)


async def _pass_input(program: Program) -> None:
    async for data in _input():
        await program.send(data)
    await program.end_input()


async def _input() -> AsyncIterator[bytes]:
    while True:
        try:
            await anyio.wait_readable(_STDIN)
        except PermissionError:
            await anyio.lowlevel.checkpoint()  # a plain file is always ready and cannot be waited for
        data = os.read(_STDIN, _CHUNK)
        if not data:
            return
        yield data


async def _follow_window(program: Program, *, task_status: anyio.abc.TaskStatus[None]) -> None:
    with anyio.open_signal_receiver(signal.SIGWINCH) as changes:
        task_status.started()
        async for _ in changes:
            size = window_size()
            if size is not None:
                await program.resize(*size)


@contextlib.contextmanager
def _raw_mode() -> Iterator[None]:
    before = termios.tcgetattr(_STDIN)
    try:
        tty.setraw(_STDIN)
        yield
    finally:
        termios.tcsetattr(_STDIN, termios.TCSADRAIN, before)


def _write(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
