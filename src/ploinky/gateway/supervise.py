"""The process that keeps the gateway running: starts it, and starts it again when it dies.

Small on purpose (it lives as long as the gateway and imports next to nothing). Pauses between starts double
from 0.2 s to 10 s and begin anew once a gateway has run for a while. A gateway that ends well, or cannot
start for a reason that will not pass, ends the supervisor too. TERM ends the gateway, then the supervisor.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ploinky.base.clock import now_iso
from ploinky.base.errors import EXIT_DONE, EXIT_NEEDS_APPROVAL, EXIT_NOT_FOUND, EXIT_USAGE, PloinkyError
from ploinky.base.files import FileLock
from ploinky.base.process_id import ProcessId
from ploinky.operations.endpoint import supervisor_file, write_supervisor
from ploinky.workspace.layout import Layout

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 10.0
STEADY_S = 30.0
GRACE_S = 10.0
FINAL_CODES = (EXIT_DONE, EXIT_USAGE, EXIT_NOT_FOUND, EXIT_NEEDS_APPROVAL)

_FRUGAL = {"MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": "65536"}
"""For glibc: threads that help for a moment take no memory of their own, what is free goes back."""

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_AWAITED = (*_ENDING, signal.SIGCHLD)


def supervise(layout: Layout, argv: Sequence[str]) -> int:
    """Keep ``argv`` running; the exit code. A second supervisor of one workspace ends at once."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
    try:
        with FileLock(layout.lock("supervisor"), timeout_s=0.0):
            own = ProcessId.find(os.getpid())
            assert own is not None
            write_supervisor(layout, own)
            try:
                return _keep(list(argv))
            finally:
                supervisor_file(layout).unlink(missing_ok=True)
    except PloinkyError as error:
        _say(error.message)
        return error.exit_code


def _keep(argv: list[str]) -> int:
    pause_s = FIRST_PAUSE_S
    while True:
        began = time.monotonic()
        pid = os.posix_spawn(argv[0], argv, {**_FRUGAL, **os.environ}, setsigmask=[])
        code = _watch(pid)
        if code is None:
            return EXIT_DONE
        if code in FINAL_CODES:
            return code
        if time.monotonic() - began > STEADY_S:
            pause_s = FIRST_PAUSE_S
        _say(f"the gateway ended ({_how(code)}); it is started again in {pause_s:g} s")
        if signal.sigtimedwait(_ENDING, pause_s) is not None:
            return EXIT_DONE
        pause_s = min(LONGEST_PAUSE_S, pause_s * 2)


def _watch(pid: int) -> int | None:
    """The exit code of the gateway, or None when it was ended because the supervisor was told to end."""
    while True:
        received = signal.sigwaitinfo(_AWAITED)
        if received.si_signo != signal.SIGCHLD:
            _end(pid)
            return None
        done, status = os.waitpid(pid, os.WNOHANG)
        if done == pid:
            return os.waitstatus_to_exitcode(status)


def _end(pid: int) -> None:
    deadline = time.monotonic() + GRACE_S
    os.kill(pid, signal.SIGTERM)
    while (left := deadline - time.monotonic()) > 0:
        done, _ = os.waitpid(pid, os.WNOHANG)
        if done == pid:
            return
        signal.sigtimedwait((signal.SIGCHLD,), left)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _how(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"


def _say(text: str) -> None:
    sys.stderr.write(f"{now_iso()} supervisor: {text}\n")
    sys.stderr.flush()


def main() -> int:
    """``python -m ploinky.gateway.supervise ROOT PROGRAM ARGS...``"""
    root, *argv = sys.argv[1:]
    os.chdir(root)
    return supervise(Layout(Path(root)), argv)


if __name__ == "__main__":
    sys.exit(main())
