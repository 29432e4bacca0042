"""What the command line costs: CPU of ``status`` and ``--help``, wall time of ``enable``."""

from __future__ import annotations

import sys

from bench.report import Table, median, verdict
from bench.workspace import BenchWorkspace, bench_workspace


def cpu_ms(workspace: BenchWorkspace, *words: str, rounds: int = 15) -> float:
    return median([workspace.ploinky(*words).cpu_s * 1000 for _ in range(rounds)])


def run(_runtimes: tuple[str, ...]) -> Table:
    """CPU in ms of the commands that people type most, with and without a running gateway."""
    with bench_workspace("sandbox", 4) as workspace:
        enable_s = median([workspace.ploinky("enable", "agent", name).wall_s for name in workspace.names])
        idle = cpu_ms(workspace, "status")
        workspace.ploinky("start")
        running = cpu_ms(workspace, "status")
        help_ms = cpu_ms(workspace, "--help")
    rows = (
        ("ploinky --help", f"{help_ms:.0f} ms CPU"),
        ("ploinky status, nothing runs", f"{idle:.0f} ms CPU"),
        ("ploinky status, 4 agents run", f"{running:.0f} ms CPU"),
        ("ploinky enable agent", f"{enable_s * 1000:.0f} ms wall"),
    )
    bars = (
        verdict("status, CPU", max(idle, running), 150, "ms"),
        verdict("enable, wall", enable_s, 0.3, "s"),
    )
    return Table(f"Commands (Python {sys.version.split()[0]})", ("command", "median"), rows, bars)
