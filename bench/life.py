"""Start of 1, 4 and 16 agents to their first good call, and stop, beside the engine's own floor."""

from __future__ import annotations

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from bench.calls import Client
from bench.report import Table, median, verdict
from bench.workspace import IMAGE, BenchWorkspace, bench_workspace

SIZES = (1, 4, 16)
FLOORS: dict[str, tuple[str, ...]] = {
    "sandbox": (
        "bwrap", "--tmpfs", "/", "--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink",
        "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64", "--dev", "/dev", "--proc", "/proc",
        "--unshare-user", "--unshare-pid", "--unshare-ipc", "/bin/true",
    ),
    "podman": ("podman", "run", "--rm", "--network", "none", IMAGE, "/bin/true"),
}  # fmt: skip


def floor_s(runtime: str, count: int) -> float:
    """Wall seconds of the engine alone running ``true`` in ``count`` sandboxes side by side."""
    began = time.perf_counter()
    with ThreadPoolExecutor(count) as pool:
        list(
            pool.map(lambda _: subprocess.run(FLOORS[runtime], check=True, capture_output=True), range(count))
        )
    return time.perf_counter() - began


def start_to_first_call_s(workspace: BenchWorkspace, names: tuple[str, ...]) -> tuple[float, float]:
    """Wall seconds of the start of all agents, and until every one answered a call."""
    began = time.perf_counter()
    workspace.ploinky("start")
    started_s = time.perf_counter() - began
    client = Client(*workspace.router())
    for name in names:
        client.call(f"/mcps/{name}/mcp", "cat", {"text": "x"})
    return started_s, time.perf_counter() - began


def beside_others_s(workspace: BenchWorkspace) -> float:
    """Wall seconds of one agent more, to its first call, while the gateway and the others run."""
    name = workspace.names[-1]
    workspace.ploinky("stop", name)
    began = time.perf_counter()
    workspace.ploinky("start", name)
    Client(*workspace.router()).call(f"/mcps/{name}/mcp", "cat", {"text": "x"})
    return time.perf_counter() - began


def measure(runtime: str, count: int) -> tuple[float, float, float, float, float]:
    """Floor, first start, start again (unchanged), one agent while the gateway runs, stop: wall seconds."""
    floor = median([floor_s(runtime, count) for _ in range(3)])
    command = "sh -c 'trap \"exit 0\" TERM; while :; do sleep 1 & wait; done'"
    with bench_workspace(runtime, count, command=command) as workspace:
        for name in workspace.names:
            workspace.ploinky("enable", "agent", name)
        _, first = start_to_first_call_s(workspace, workspace.names)
        stop = workspace.ploinky("stop").wall_s
        _, again = start_to_first_call_s(workspace, workspace.names)
        beside = median([beside_others_s(workspace) for _ in range(5)])
        stops = [stop, workspace.ploinky("stop").wall_s]
    return floor, first, again, beside, median(stops)


def run(runtimes: tuple[str, ...]) -> Table:
    """Start to the first good call of every agent, and stop, on each runtime."""
    rows = []
    bars = []
    for runtime in runtimes:
        for count in SIZES:
            floor, first, again, beside, stop = measure(runtime, count)
            figures = (f"{figure:.2f}" for figure in (floor, first, again, beside, stop))
            rows.append((runtime, str(count), *figures))
            if count == 1:
                if runtime == "sandbox":
                    bars.append(
                        verdict("sandbox, 1 agent, start to first good call", beside, 0.5 + floor, "s")
                    )
                bars.append(verdict(f"{runtime}, 1 agent, stop", stop, 1, "s"))
    columns = (
        "runtime", "agents", "engine's floor", "first start, with the gateway's", "start again, the same",
        "one agent, gateway running", "stop of all",
    )  # fmt: skip
    return Table(
        "Life of agents, seconds from the command to every agent's first call",
        columns,
        tuple(rows),
        tuple(bars),
    )
