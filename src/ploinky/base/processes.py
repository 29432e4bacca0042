"""Programs of the host: one way to run one to its end.

``run`` is for short commands with bounded output. How to know a process again later is in ``process_id``.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.abc

from ploinky.base.errors import DeadlineError, PloinkyError
from ploinky.base.process_id import ProcessId

__all__ = ["DEFAULT_MAX_OUTPUT", "Completed", "ProcessId", "run"]

DEFAULT_MAX_OUTPUT = 4 * 1024 * 1024


@dataclass(frozen=True)
class Completed:
    """How a program ended. ``returncode`` is negative for a signal, as in the standard library."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        return self.stdout.decode("utf-8", "replace")

    @property
    def error_text(self) -> str:
        return self.stderr.decode("utf-8", "replace")


async def run(
    argv: Sequence[str],
    *,
    timeout_s: float,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    max_output: int = DEFAULT_MAX_OUTPUT,
) -> Completed:
    """Run a program of the host to its end; its process group ends with this call, whatever happens.

    ``env`` replaces the environment when given. Output past ``max_output`` bytes per stream is dropped.

    Raises:
        PloinkyError: ``COMMAND_NOT_FOUND`` if the program is missing or may not be run.
        DeadlineError: ``COMMAND_TIMEOUT`` after ``timeout_s``.
    """
    given = None if env is None else dict(env)  # uvloop takes nothing but a dict
    try:
        process = await anyio.open_process(list(argv), cwd=cwd, env=given, start_new_session=True)
    except (FileNotFoundError, PermissionError, NotADirectoryError) as error:
        raise PloinkyError(
            "COMMAND_NOT_FOUND", f"Cannot run {argv[0]!r}: {error.strerror}.", details={"command": argv[0]}
        ) from error
    output = bytearray()
    errors = bytearray()
    try:
        with anyio.fail_after(timeout_s):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_feed, process, stdin)
                tasks.start_soon(_drain, process.stdout, output, max_output)
                tasks.start_soon(_drain, process.stderr, errors, max_output)
            returncode = await process.wait()
    except TimeoutError as error:
        raise DeadlineError(f"{argv[0]!r} to end", timeout_s, code="COMMAND_TIMEOUT") from error
    finally:
        _kill_group(process.pid)
        with anyio.CancelScope(shield=True):
            await process.aclose()
    return Completed(tuple(argv), returncode, bytes(output), bytes(errors))


async def _feed(process: anyio.abc.Process, data: bytes) -> None:
    assert process.stdin is not None
    try:
        if data:
            await process.stdin.send(data)
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        pass  # the program did not want all of its input
    finally:
        await process.stdin.aclose()


async def _drain(stream: anyio.abc.ByteReceiveStream | None, into: bytearray, limit: int) -> None:
    assert stream is not None
    async for chunk in stream:
        into.extend(chunk[: max(0, limit - len(into))])


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
