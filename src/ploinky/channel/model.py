"""What is asked of a launcher and what it answers, as values."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Literal, NamedTuple


class Limit(IntEnum):
    """Resources of one process that ``SpawnRequest.limits`` may bound, with the protocol's numbers."""

    OPEN_FILES = 1
    PROCESSES = 2
    ADDRESS_SPACE = 3
    CORE_SIZE = 4
    FILE_SIZE = 5
    CPU_SECONDS = 6


@dataclass(frozen=True)
class SpawnRequest:
    """A program to run. ``argv[0]`` without a slash is looked up in the PATH of ``env``.

    ``env`` is the whole environment. ``pty`` is (rows, columns) of a terminal to give it; its stderr is
    then its stdout. After ``timeout_s`` or ``max_output`` bytes (stdout and stderr together) the group
    gets TERM, and KILL when ``grace_s`` is over. ``no_stdin``: its input is ``/dev/null``.
    """

    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()
    cwd: str = "/"
    pty: tuple[int, int] | None = None
    timeout_s: float | None = None
    max_output: int | None = None
    grace_s: float = 2.0
    merge_stderr: bool = False
    no_stdin: bool = False
    limits: tuple[tuple[Limit, int], ...] = ()


class RestartPolicy(StrEnum):
    """When a main command (or sidecar) that ended is started again. ``ON_FAILURE``: unless it exited 0."""

    ALWAYS = "always"
    ON_FAILURE = "on-failure"
    NEVER = "never"


@dataclass(frozen=True)
class LaunchRequest:
    """The agent's own command and its sidecar; ``main`` None: the launcher only serves programs.

    The pause before a restart starts at ``backoff_first_s``, doubles to ``backoff_max_s`` and starts anew
    after a run of at least ``backoff_max_s``.
    """

    main: tuple[str, ...] | None = None
    sidecar: tuple[str, ...] | None = None
    env: tuple[tuple[str, str], ...] = ()
    cwd: str = "/"
    restart: RestartPolicy = RestartPolicy.ALWAYS
    backoff_first_s: float = 0.1
    backoff_max_s: float = 30.0
    grace_s: float = 5.0


@dataclass(frozen=True)
class Exit:
    """How a program ended: a code or a signal, and whether one of its limits ended it."""

    code: int | None
    signal: int | None
    timed_out: bool = False
    output_limited: bool = False

    @property
    def ok(self) -> bool:
        return self.code == 0 and not self.timed_out and not self.output_limited

    def __str__(self) -> str:
        if self.timed_out:
            return "ran out of time"
        if self.output_limited:
            return "printed more than it may"
        if self.signal is not None:
            try:
                return f"was ended by {signal.Signals(self.signal).name}"
            except ValueError:
                return f"was ended by signal {self.signal}"
        return f"exited with code {self.code}"


class ProgramChunk(NamedTuple):
    """Some bytes that a program printed."""

    stream: Literal["stdout", "stderr"]
    data: bytes


@dataclass(frozen=True)
class Finished:
    """A program that ran to its end, with what it printed (see ``Channel.run`` for how much of it)."""

    exit: Exit
    stdout: bytes
    stderr: bytes


class LauncherState(StrEnum):
    """WAITING for LAUNCH; SERVING: launched without a main command; RUNNING: it runs; BACKOFF: it ended
    and will be started again; ENDED: it ended for good; STOPPING: everything is being ended."""

    WAITING = "waiting"
    SERVING = "serving"
    RUNNING = "running"
    BACKOFF = "backoff"
    ENDED = "ended"
    STOPPING = "stopping"


@dataclass(frozen=True)
class LauncherStatus:
    """The state of a sandbox's first process. ``last_*`` tell how the main command last ended;
    ``programs`` counts programs that run for clients."""

    state: LauncherState
    main_pid: int | None = None
    restarts: int = 0
    last_code: int | None = None
    last_signal: int | None = None
    uptime_s: float | None = None
    next_restart_s: float | None = None
    sidecar_state: LauncherState | None = None
    sidecar_pid: int | None = None
    sidecar_restarts: int = 0
    programs: int = 0


@dataclass(frozen=True)
class RemoteFile:
    """A file of the sandbox. ``size`` is the whole file's; ``data`` may be less of it."""

    data: bytes
    size: int
    mtime_ns: int

    @property
    def truncated(self) -> bool:
        return len(self.data) < self.size


def milliseconds(seconds: float) -> int:
    """A duration as the protocol has it: whole, not negative."""
    return max(0, round(seconds * 1000))
