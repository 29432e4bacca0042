"""A call of ``/bin/cat`` through the router beside spawning it directly, in one run."""

from __future__ import annotations

import http.client
import json
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bench.report import Table, median, percentile, verdict
from bench.workspace import bench_workspace

CALLS = 400  # per way with one client
CLIENTS = (16, 64)
CALLS_AT_ONCE = 1600  # per way and number of clients: enough that one call in a thousand is seen
ROUNDS = 4
LINE = b'{"tool":"cat","input":{"text":"hello"},"metadata":{}}\n'

MakeCall = Callable[[], Callable[[], object]]


class Client:
    """One kept-open connection that speaks the stateless revision by hand: no client library's cost."""

    def __init__(self, host: str, port: int, token: str) -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=60)
        self._token = token

    def call(self, path: str, tool: str, arguments: dict[str, str]) -> str:
        """The text of the tool's answer; ends the benchmark if there is none."""
        body = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {
                "name": tool,
                "arguments": arguments,
                "_meta": {
                    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
                    "io.modelcontextprotocol/clientCapabilities": {},
                },
            },
        }
        headers = {
            "Authorization": f"Bearer {self._token}",
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2026-07-28",
            "Mcp-Method": "tools/call",
            "Mcp-Name": tool,
        }
        self._connection.request("POST", path, json.dumps(body), headers)
        response = self._connection.getresponse()
        data = response.read()
        answer = json.loads(data)
        if response.status != 200 or answer["result"].get("isError"):
            raise SystemExit(f"{path} {tool}: {response.status} {data.decode(errors='replace')}")
        return str(answer["result"]["content"][0]["text"])


def spawn_directly() -> None:
    subprocess.run(["/bin/cat"], input=LINE, capture_output=True, check=True)


def latencies(call: Callable[[], object], count: int) -> list[float]:
    taken = []
    for _ in range(count):
        began = time.perf_counter()
        call()
        taken.append((time.perf_counter() - began) * 1000)
    return taken


@dataclass(frozen=True)
class Load:
    """What several clients at once got: calls per second, and how long each call took."""

    per_second: float
    taken: list[float]


def load(make_call: MakeCall, clients: int, count: int) -> Load:
    """``clients`` threads, each with a call function of its own that has been called once."""
    calls = [make_call() for _ in range(clients)]
    for call in calls:
        call()
    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        taken = list(pool.map(lambda call: latencies(call, count // clients), calls))
    elapsed = time.perf_counter() - began
    return Load(count / elapsed, [each for some in taken for each in some])


def loads(ways: dict[str, MakeCall], clients: int) -> dict[str, Load]:
    """Each way's median rate and all its latencies, the ways taking turns."""
    seen: dict[str, list[Load]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, make in ways.items():
            seen[name].append(load(make, clients, CALLS_AT_ONCE // ROUNDS))
    return {
        name: Load(median([one.per_second for one in some]), [each for one in some for each in one.taken])
        for name, some in seen.items()
    }


def one_by_one(ways: dict[str, MakeCall]) -> dict[str, list[float]]:
    """Latencies with a single client, the ways taking turns."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, make in ways.items():
            call = make()
            call()
            taken[name] += latencies(call, CALLS // ROUNDS)
    return taken


def run(_runtimes: tuple[str, ...]) -> Table:
    """Latency with one client; latency and throughput with many. The floor is Python's own ``subprocess``."""
    with bench_workspace("sandbox", 1) as workspace:
        workspace.ploinky("start", workspace.names[0])
        address = workspace.router()

        def through(path: str) -> MakeCall:
            def make() -> Callable[[], object]:
                client = Client(*address)
                return lambda: client.call(path, "cat", {"text": "hello"})

            return make

        ways: dict[str, MakeCall] = {
            "spawned directly": lambda: spawn_directly,
            "through /mcps/<agent>/mcp": through(f"/mcps/{workspace.names[0]}/mcp"),
            "through /mcp": through("/mcp"),
        }
        alone = one_by_one(ways)
        crowds = {clients: loads(ways, clients) for clients in CLIENTS}
    rows = tuple(row(name, "1", Load(1000 / median(taken), taken)) for name, taken in alone.items()) + tuple(
        row(name, str(clients), each) for clients, some in crowds.items() for name, each in some.items()
    )
    beyond = median(alone["through /mcp"]) - median(alone["spawned directly"])
    bars = (verdict("router beyond a direct spawn, p50", beyond, 2, "ms"),)
    columns = ("way", "clients", "p50 ms", "p99 ms", "longest ms", "calls/s")
    return Table("A call of /bin/cat", columns, rows, bars)


def row(name: str, clients: str, each: Load) -> tuple[str, ...]:
    figures = (median(each.taken), percentile(each.taken, 0.99), max(each.taken))
    return (name, clients, *(f"{figure:.2f}" for figure in figures), f"{each.per_second:.0f}")
