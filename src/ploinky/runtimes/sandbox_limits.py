"""Which of a sandbox's limits hold here, and by what: a control group, or rlimits of each process.

What does not hold is said, never pretended: ``LimitPlan.text`` is shown by ``inspect`` and ``doctor``.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ploinky.runtimes.cgroups import CgroupHome, Limit, entry_files, make_group
from ploinky.runtimes.spec import Resources


class Enforcer(StrEnum):
    """``PROCESS``: each process for itself (memory) or by its user (processes)."""

    CGROUP = "cgroup"
    PROCESS = "process"
    NONE = "none"
    UNLIMITED = "unlimited"


@dataclass(frozen=True)
class LimitPlan:
    """``entries`` are files to enter the group by, ``groups`` its folders."""

    enforcers: dict[Limit, Enforcer]
    groups: tuple[Path, ...] = ()
    entries: tuple[Path, ...] = ()

    @property
    def per_process(self) -> frozenset[Limit]:
        return frozenset(limit for limit, by in self.enforcers.items() if by is Enforcer.PROCESS)

    @property
    def text(self) -> str:
        """``memory=cgroup pids=cgroup cpu=none``"""
        return " ".join(f"{limit}={self.enforcers[limit]}" for limit in Limit)


def plan_limits(home: CgroupHome | None, name: str, resources: Resources) -> LimitPlan:
    """Make the sandbox's control group where one can be had, and say what holds how."""
    if home is not None:
        try:
            held = make_group(home, name, resources)
        except OSError:
            for folder in home.folders(name):
                with contextlib.suppress(OSError):
                    folder.rmdir()
        else:
            enforcers = _enforcers(held, resources)
            return LimitPlan(enforcers, home.folders(name), entry_files(home, name))
    return LimitPlan(_enforcers(frozenset(), resources))


def expected_limits(home: CgroupHome | None) -> str:
    """The text for a sandbox that asks for every limit."""
    held = home.limits if home is not None else frozenset()
    return LimitPlan(_enforcers(held, Resources(cpus=1, memory=1, pids=1))).text


def _enforcers(held: frozenset[Limit], resources: Resources) -> dict[Limit, Enforcer]:
    wanted = {
        Limit.MEMORY: resources.memory is not None,
        Limit.PIDS: resources.pids is not None,
        Limit.CPU: resources.cpus is not None,
    }
    return {
        limit: _enforcer(limit, limit in held) if wanted[limit] else Enforcer.UNLIMITED for limit in Limit
    }


def _enforcer(limit: Limit, held: bool) -> Enforcer:
    if held:
        return Enforcer.CGROUP
    if limit is Limit.MEMORY:
        return Enforcer.PROCESS
    # the kernel does not count the processes of the host's uid 0
    if limit is Limit.PIDS and os.geteuid() != 0:
        return Enforcer.PROCESS
    return Enforcer.NONE
