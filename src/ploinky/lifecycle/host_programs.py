"""A program of the host that a start runs: streamed, with a deadline, and nothing of it left behind."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.abc

from ploinky.base.errors import PloinkyError
from ploinky.lifecycle.transcript import StreamName

Feed = Callable[[StreamName, bytes], Awaitable[None]]
_DRAIN_S = 1.0


@dataclass(frozen=True)
class HostExit:
    """``code`` is negative for a signal; None: the deadline passed and the program was killed."""

    code: int | None

    @property
    def ok(self) -> bool:
        return self.code == 0


async def run_host_program(
    argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout_s: float, feed: Feed
) -> HostExit:
    """Run a program with no input to its end; its process group ends with this call.

    Raises:
        PloinkyError: COMMAND_NOT_FOUND if it cannot be run.
    """
    try:
        process = await anyio.open_process(
            list(argv), cwd=cwd, env=env, stdin=subprocess.DEVNULL, start_new_session=True
        )
    except OSError as error:
        raise PloinkyError("COMMAND_NOT_FOUND", f"Cannot run {argv[0]!r}: {error.strerror}.") from error
    code: int | None = None
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_drain, process.stdout, "stdout", feed)
            tasks.start_soon(_drain, process.stderr, "stderr", feed)
            with anyio.move_on_after(timeout_s):
                code = await process.wait()
            _kill_group(process.pid)
            tasks.cancel_scope.deadline = anyio.current_time() + _DRAIN_S
    finally:
        _kill_group(process.pid)
        with anyio.CancelScope(shield=True):
            await process.aclose()
    return HostExit(code)


async def _drain(stream: anyio.abc.ByteReceiveStream | None, name: StreamName, feed: Feed) -> None:
    assert stream is not None
    async for chunk in stream:
        await feed(name, chunk)


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
