"""Programs of the host: one way to run one to its end, and how to know one again later.

``run`` is for short commands with bounded output. A pid alone names nothing, because pids are reused;
``ProcessId`` pairs it with the kernel's start time.
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


@dataclass(frozen=True)
class ProcessId:
    """A process of this boot: its pid and its start time in clock ticks since boot (/proc/PID/stat, 22)."""

    pid: int
    started: int

    @classmethod
    def find(cls, pid: int) -> ProcessId | None:
        """The running process with this pid, or None if there is none (a zombie counts as none)."""
        fields = _stat_fields(pid)
        if fields is None or fields[0] in ("Z", "X"):
            return None
        return cls(pid, int(fields[19]))

    @property
    def alive(self) -> bool:
        return ProcessId.find(self.pid) == self

    def signal(self, number: signal.Signals) -> bool:
        """Send a signal if this very process still runs; whether it was sent. Race-free by pidfd."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            if not self.alive:
                return False
            signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(descriptor)
        return True


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
    try:
        process = await anyio.open_process(list(argv), cwd=cwd, env=env, start_new_session=True)
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


def _stat_fields(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the third (state) on, or None when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(")") + 2 :].split()
