"""Live CPU and memory of the agents, told on the topic ``usage`` while somebody watches it.

An agent's share is that of its sandbox's first process and all that descend from it, read from ``/proc``.
CPU is in cores (1.0: one core all the time), memory is resident bytes; a page that two processes share
counts twice.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread

from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonObject
from ploinky.gateway.hub import EventHub
from ploinky.lifecycle.context import LifecycleContext

EVERY_S = 2.0
_PROC = Path("/proc")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PPID, _UTIME, _STIME = 1, 11, 12  # fields of stat behind the name


@dataclass(frozen=True)
class _Process:
    parent: int
    ticks: int


@dataclass(frozen=True)
class Usage:
    """``cpu_s``: seconds of CPU used so far by the processes that live now; ``memory``: bytes."""

    cpu_s: float
    memory: int


class UsageMeter:
    """Asks the engine for the sandboxes' first processes, and the machine for the rest."""

    def __init__(self, ctx: LifecycleContext, hub: EventHub) -> None:
        self._ctx = ctx
        self._hub = hub
        self._last: tuple[float, Mapping[str, Usage]] | None = None

    async def run(self) -> None:
        """Tell again and again, while somebody watches."""
        while True:
            await anyio.sleep(EVERY_S)
            if not self._hub.is_watched("usage"):
                self._last = None
                continue
            try:
                await self._tell()
            except PloinkyError:
                self._last = None  # the engine does not answer; it is asked again

    async def _tell(self) -> None:
        pids = await self._first_processes()
        now, usages = time.monotonic(), await anyio.to_thread.run_sync(measure, pids)
        before = self._last
        self._last = (now, usages)
        agents: JsonObject = {}
        for key, usage in usages.items():
            earlier = before[1].get(key) if before is not None else None
            cpu = 0.0
            if before is not None and earlier is not None:
                cpu = max(0.0, (usage.cpu_s - earlier.cpu_s) / (now - before[0]))
            agents[key] = {"cpu": round(cpu, 3), "memory": usage.memory}
        self._hub.publish("usage", "sample", {"agents": agents})

    async def _first_processes(self) -> Mapping[str, int]:
        names = {entry.container_name: key for key, entry in self._ctx.registry.read().items()}
        sandboxes = await self._ctx.runtime.list(self._ctx.layout.id)
        return {
            names[sandbox.name]: sandbox.pid
            for sandbox in sandboxes
            if sandbox.pid is not None and sandbox.name in names
        }


def measure(pids: Mapping[str, int]) -> Mapping[str, Usage]:
    """What each of these processes uses with its descendants; those that are gone are left out."""
    known = _processes()
    children: defaultdict[int, list[int]] = defaultdict(list)
    for pid, process in known.items():
        children[process.parent].append(pid)
    return {key: _sum(pid, known, children) for key, pid in pids.items() if pid in known}


def _sum(pid: int, known: Mapping[int, _Process], children: Mapping[int, list[int]]) -> Usage:
    ticks, resident, waiting = 0, 0, [pid]
    while waiting:
        each = waiting.pop()
        ticks += known[each].ticks
        resident += _resident(each)
        waiting += children.get(each, [])
    return Usage(ticks / _TICKS_PER_S, resident)


def _resident(pid: int) -> int:
    """Bytes, from ``statm``: newer kernels round what ``stat`` says of a small program to nothing."""
    try:
        return int((_PROC / str(pid) / "statm").read_text(encoding="ascii").split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0  # it ended meanwhile


def _processes() -> dict[int, _Process]:
    found = {}
    for entry in os.scandir(_PROC):
        if entry.name.isdigit():
            try:
                text = (_PROC / entry.name / "stat").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue  # it ended meanwhile
            fields = text.rpartition(")")[2].split()
            ticks = int(fields[_UTIME]) + int(fields[_STIME])
            found[int(entry.name)] = _Process(int(fields[_PPID]), ticks)
    return found
