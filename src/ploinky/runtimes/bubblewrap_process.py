"""Start and end the processes of one sandbox.

A start is: a shell enters the control groups and leaves bwrap behind as an orphan in a session of its own,
which makes the sandbox, writes the launcher's pid to the status file and waits; then limits are set, the
run is recorded, and bwrap is let go. Killed at any point, the starter leaves a locked status file by which
``end_leftover`` finds and ends what was begun.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import anyio

from ploinky.base.clock import now_iso
from ploinky.base.processes import ProcessId
from ploinky.base.waits import wait_until
from ploinky.runtimes import errors
from ploinky.runtimes.bubblewrap_args import LAUNCHER_ARGV
from ploinky.runtimes.bubblewrap_records import Run, SandboxFolder, boot_id
from ploinky.runtimes.cgroups import Limit
from ploinky.runtimes.sandbox_limits import LimitPlan
from ploinky.runtimes.spec import Resources

_SPAWN_TIMEOUT_S = 10.0
_KILL_TIMEOUT_S = 10.0
_SHELL = 'while [ "$1" != -- ]; do echo 0 > "$1" || exit 97; shift; done; shift; "$@" &'


@dataclass(frozen=True)
class SpawnPlan:
    """What a start needs; ``seccomp`` is a filter program or None, ``held`` are open files of ``args``."""

    bwrap: Path
    args: tuple[str, ...]
    log_path: Path
    log_offset: int
    limits: LimitPlan
    resources: Resources
    seccomp: bytes | None = None
    held: tuple[int, ...] = ()


async def spawn(folder: SandboxFolder, plan: SpawnPlan, gate: int) -> Run:
    """Begin the sandbox up to the point where it waits to read a byte from ``gate``.

    Raises:
        PloinkyError: ``CONTAINER_START_FAILED`` with what bwrap said.
    """
    await anyio.to_thread.run_sync(_spawn_detached, folder, plan, gate)

    async def begun() -> bool:
        return folder.monitor_status().child_pid is not None or not folder.monitor_alive()

    await wait_until(
        begun,
        what=f"bwrap to make {folder.name}",
        timeout_s=_SPAWN_TIMEOUT_S,
        first_pause_s=0.001,
        longest_pause_s=0.02,
    )
    child = folder.monitor_status().child()
    if child is None:
        raise errors.start_failed(folder.name, said_since(plan.log_path, plan.log_offset))
    _set_limits(child, plan)
    return Run(
        boot=boot_id(),
        pid=child.pid,
        ticks=child.started,
        started_at=now_iso(),
        log_offset=plan.log_offset,
        cgroups=plan.limits.groups,
        limits=plan.limits.text,
    )


async def end(run: Run, *, grace_s: float, name: str) -> None:
    """End a run: TERM to the launcher, after the grace KILL, which ends all of its namespace.

    Raises:
        PloinkyError: ``CONTAINER_STOP_FAILED`` if it cannot be ended.
    """
    if run.boot != boot_id():
        return
    if grace_s > 0 and run.process.signal(signal.SIGTERM):
        with anyio.move_on_after(grace_s):
            await ended(run.process)
    await kill(run.process, name)


async def end_leftover(folder: SandboxFolder) -> None:
    """End what a killed or cancelled starter began; returns when bwrap's monitor is gone too.

    Raises:
        PloinkyError: ``CONTAINER_STOP_FAILED`` if something stays.
    """

    async def settled() -> bool:
        return folder.monitor_status().child() is not None or not folder.monitor_alive()

    await wait_until(settled, what=f"bwrap to make {folder.name}", timeout_s=_SPAWN_TIMEOUT_S)
    child = folder.monitor_status().child()
    if child is not None:
        await kill(child, folder.name)
    await monitor_gone(folder)


async def kill(process: ProcessId, name: str) -> None:
    """Kill the first process of a sandbox and wait until all of its namespace is gone."""
    if not process.signal(signal.SIGKILL):
        return
    with anyio.move_on_after(_KILL_TIMEOUT_S):
        await ended(process)
        return
    raise errors.stop_failed(
        name, f"process {process.pid} does not end.", hint="It may wait for a disk or a network file system."
    )


async def ended(process: ProcessId) -> None:
    """Return when a process has ended; without a deadline of its own."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    try:
        if process.alive:
            await anyio.wait_readable(descriptor)
    finally:
        os.close(descriptor)


async def monitor_gone(folder: SandboxFolder) -> None:
    """Wait until bwrap has written the exit code and ended (it does at once after the launcher)."""

    async def gone() -> bool:
        return not folder.monitor_alive()

    await wait_until(
        gone, what=f"the monitor of {folder.name} to end", timeout_s=_KILL_TIMEOUT_S, first_pause_s=0.001
    )


def said_since(log_path: Path, offset: int) -> str:
    """The last lines that were printed from ``offset`` of a log on, for an error."""
    try:
        with log_path.open("rb") as log:
            log.seek(offset)
            text = log.read(65536).decode("utf-8", "replace")
    except OSError:
        text = ""
    return "; ".join(text.strip().splitlines()[-5:]) or "bwrap ended without a word."


def _spawn_detached(folder: SandboxFolder, plan: SpawnPlan, gate: int) -> None:
    with contextlib.ExitStack() as stack:
        status = _opened(stack, folder.status_file, os.O_RDWR | os.O_APPEND | os.O_TRUNC | os.O_CREAT)
        fcntl.flock(status, fcntl.LOCK_EX)
        log = _opened(stack, plan.log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW)
        args = [*plan.args, "--json-status-fd", str(status), "--block-fd", str(gate)]
        passed = [status, gate, *plan.held]
        if plan.seccomp is not None:
            passed.append(_in_memory(stack, plan.seccomp))
            args += ["--seccomp", str(passed[-1])]
        passed.append(_in_memory(stack, b"".join(f"{each}\0".encode() for each in args)))
        bwrap = [str(plan.bwrap), "--args", str(passed[-1]), "--", *LAUNCHER_ARGV]
        entries = [str(each) for each in plan.limits.entries]
        subprocess.run(
            ["/bin/sh", "-c", _SHELL, "ploinky-sandbox", *entries, "--", *bwrap],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={},
            cwd="/",
            pass_fds=passed,
            start_new_session=True,
            check=False,
            timeout=_SPAWN_TIMEOUT_S,
        )


def _opened(stack: contextlib.ExitStack, path: Path, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    stack.callback(os.close, descriptor)
    return descriptor


def _in_memory(stack: contextlib.ExitStack, data: bytes) -> int:
    descriptor = os.memfd_create("ploinky", os.MFD_CLOEXEC)
    stack.callback(os.close, descriptor)
    os.write(descriptor, data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _set_limits(child: ProcessId, plan: SpawnPlan) -> None:
    """Per process what no control group limits. Address space would break programs that reserve much of
    it (Node, Java), so memory is limited as data; processes count in the sandbox's user namespace."""
    wanted = {
        Limit.MEMORY: (resource.RLIMIT_DATA, plan.resources.memory),
        Limit.PIDS: (resource.RLIMIT_NPROC, plan.resources.pids),
    }
    for limit, (number, value) in wanted.items():
        if limit in plan.limits.per_process and value is not None:
            _, most = resource.prlimit(child.pid, number)
            allowed = value if most == resource.RLIM_INFINITY else min(value, most)
            resource.prlimit(child.pid, number, (allowed, allowed))
    resource.prlimit(child.pid, resource.RLIMIT_CORE, (0, 0))
