"""A call of ``/bin/cat`` through the router beside spawning it directly, in one run."""

from __future__ import annotations

import http.client
import json
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from bench.report import Table, median, percentile, verdict
from bench.workspace import bench_workspace

CALLS = 400
LINE = b'{"tool":"cat","input":{"text":"hello"},"metadata":{}}\n'


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


def per_second(make_call: Callable[[], Callable[[], object]], clients: int) -> float:
    """Calls per second of ``clients`` threads, each with a call function of its own."""
    calls = [make_call() for _ in range(clients)]
    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(lambda call: latencies(call, CALLS // clients), calls))
    return CALLS / (time.perf_counter() - began)


def run(_runtimes: tuple[str, ...]) -> Table:
    """Latency with one client and throughput with 16, alternated between the ways."""
    with bench_workspace("sandbox", 1) as workspace:
        workspace.ploinky("start", workspace.names[0])
        address = workspace.router()

        def through(path: str) -> Callable[[], Callable[[], object]]:
            def make() -> Callable[[], object]:
                client = Client(*address)
                return lambda: client.call(path, "cat", {"text": "hello"})

            return make

        ways: dict[str, Callable[[], Callable[[], object]]] = {
            "spawned directly": lambda: spawn_directly,
            "through /mcps/<agent>/mcp": through(f"/mcps/{workspace.names[0]}/mcp"),
            "through /mcp": through("/mcp"),
        }
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(4):
            for name, make in ways.items():
                taken[name] += latencies(make(), CALLS // 4)
        rates = {name: per_second(make, 16) for name, make in ways.items()}
    rows = tuple(
        (name, f"{median(each):.2f}", f"{percentile(each, 0.99):.2f}", f"{rates[name]:.0f}")
        for name, each in taken.items()
    )
    beyond = median(taken["through /mcp"]) - median(taken["spawned directly"])
    bars = (verdict("router beyond a direct spawn, p50", beyond, 2, "ms"),)
    return Table("A call of /bin/cat", ("way", "p50 ms", "p99 ms", "calls/s, 16 clients"), rows, bars)
