"""How to know a process again later: a pid alone names nothing, because pids are reused.

``ProcessId`` pairs the pid with the kernel's start time. Imports nothing heavy.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path


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


def _stat_fields(pid: int) -> list[str] | None:
    """Fields of /proc/PID/stat from the third (state) on, or None when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(")") + 2 :].split()
