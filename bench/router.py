"""The router beside a server of its own kind, plain proxies and another gateway, in one run, taking turns.

The tool is a kept ``/bin/cat``, on either side. ``direct`` is a plain ASGI application on uvicorn over eight
of them; ``direct, asyncio.Protocol`` the same without a web server; ``direct, no program`` answers in the
protocol's callback and does no work: a bound of Python, and what the proxies stand before. FastMCP's proxy is
measured if ``BENCH_FASTMCP`` names a Python that has it (``requirements/bench.txt``), nginx if it is
installed. ``BENCH_CALLS`` makes so many calls at the end and tells whether the gateway grew.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.report import Table, verdict
from bench.workspace import BenchWorkspace, bench_workspace, free_port

CLIENTS = (1, 16, 64)
SECONDS = 3.0
ROUNDS = 3
AGENTS = (1, 10, 100)
DIRECT: Mapping[str, tuple[str, ...]] = {
    "direct": ("bench.direct_asgi",),
    "direct, asyncio.Protocol": ("bench.direct_server", "kept"),
    "direct, no program": ("bench.direct_server", "inside"),
}
REMARK = """\
The tool is a kept `/bin/cat`, eight processes on either side. *direct* is a plain ASGI application on
uvicorn (uvloop, httptools) that hands a line to one of them by a pipe and checks nothing; the bars are
held against it. *direct, asyncio.Protocol* does the same without a web server. *direct, no program*
answers at once and does no work: the bound of Python, and what the proxies stand before. Made by `make
bench BENCH='router --write'` with `BENCH_FASTMCP=PYTHON` (an environment of `requirements/bench.txt`) and
nginx installed; compare within one run on an otherwise idle machine, for every call needs three processes
and the clients, on two cores."""
VERSION = "2026-07-28"


@dataclass
class Way:
    """One way to the tool: where, what is sent, which process works for it."""

    name: str
    port: int
    request: bytes
    pid: int
    taken: dict[int, list[int]] = field(default_factory=dict)
    rates: dict[int, list[float]] = field(default_factory=dict)
    cpu_us: dict[int, list[float]] = field(default_factory=dict)
    failed: int = 0

    def measure(self, clients: int, seconds: float = SECONDS) -> None:
        before = cpu_s(self.pid)
        argv = [sys.executable, "-m", "bench.load", "127.0.0.1", str(self.port), str(clients), str(seconds)]
        done = subprocess.run(argv, input=self.request, capture_output=True, check=True)
        seen = json.loads(done.stdout)
        count = max(1, seen["count"])
        self.taken.setdefault(clients, []).extend(seen["taken"])
        self.rates.setdefault(clients, []).append(seen["count"] / seen["seconds"])
        self.cpu_us.setdefault(clients, []).append((cpu_s(self.pid) - before) / count * 1e6)
        self.failed += seen["failed"]

    def rate(self, clients: int) -> float:
        return max(self.rates.get(clients, [0.0]))

    def percentile_ms(self, clients: int, fraction: float) -> float:
        ordered = sorted(self.taken[clients])
        return ordered[min(len(ordered) - 1, int(len(ordered) * fraction))] / 1000 if ordered else 0.0

    def row(self, clients: int) -> tuple[str, ...]:
        return (
            self.name,
            str(clients),
            f"{self.percentile_ms(clients, 0.5):.2f}",
            f"{self.percentile_ms(clients, 0.99):.2f}",
            f"{self.rate(clients):.0f}",
            f"{min(self.cpu_us[clients]):.0f}",
            f"{rss_mb(self.pid):.0f}",
        )


def run(_runtimes: tuple[str, ...]) -> Table:
    with contextlib.ExitStack() as stack:
        ways = [stack.enter_context(direct(name, *words)) for name, words in DIRECT.items()]
        upstream = f"http://127.0.0.1:{ways[-1].port}/mcp"
        ways += list(others(stack, upstream))
        agents = tuple(number for number in AGENTS if number <= int(os.environ.get("BENCH_AGENTS", "100")))
        for number in agents:
            ways += stack.enter_context(ploinky(number))
        for _ in range(ROUNDS):
            for clients in CLIENTS:
                for way in ways:
                    way.measure(clients)
        rows = tuple(way.row(clients) for clients in CLIENTS for way in ways)
        bars = tuple(verdicts({way.name: way for way in ways}, agents))
    columns = ("way", "clients", "p50 ms", "p99 ms", "calls/s", "CPU us/call", "RSS MB")
    return Table("The router beside other ways", columns, rows, bars, REMARK)


def verdicts(ways: dict[str, Way], agents: tuple[int, ...]) -> Iterator[str]:
    direct_way, own = ways["direct"], ways["/mcp, 1 agent"]
    beyond = own.percentile_ms(1, 0.5) - direct_way.percentile_ms(1, 0.5)
    yield verdict("beyond the direct server, p50 with 1 client", beyond, 0.5, "ms")
    yield verdict("direct rate over ours at 64 clients", direct_way.rate(64) / own.rate(64), 1 / 0.3, "times")
    yield verdict("memory of the gateway", rss_mb(own.pid), 80, "MB")
    if len(agents) > 1:
        most = ways[f"/mcp, {agents[-1]} agents"]
        cost = most.percentile_ms(1, 0.5) / own.percentile_ms(1, 0.5)
        yield verdict(f"p50 with {agents[-1]} agents over 1", cost, 1.1, "times")
    if "FastMCP's proxy" in ways:
        yield verdict(
            "30 of FastMCP's proxy over ours at 64 clients",
            30 * ways["FastMCP's proxy"].rate(64) / own.rate(64),
            1,
            "times",
        )
    calls = int(os.environ.get("BENCH_CALLS", "0"))
    if calls:
        before, done = rss_mb(own.pid), 0.0
        while done < calls:
            own.measure(64, 30.0)
            done += own.rates[64][-1] * 30
        yield verdict(f"memory after {done:.0f} more calls", rss_mb(own.pid) / before, 1.1, "times")


@contextlib.contextmanager
def direct(name: str, *words: str) -> Iterator[Way]:
    port = free_port()
    with served([sys.executable, "-m", *words, str(port)], port) as pid:
        yield Way(name, port, request("/mcp", "cat", port, ""), pid)


@contextlib.contextmanager
def ploinky(number: int) -> Iterator[list[Way]]:
    """The gateway with so many running agents; the first one's tool is called, by its own name if alone."""
    with bench_workspace("sandbox", number) as workspace:
        for name in workspace.names:
            workspace.ploinky("start", name)
        _, port, token = workspace.router()
        pid = gateway_pid(workspace)
        first = workspace.names[0]
        public = "kept" if number == 1 else f"{first}__kept"
        ways = [
            Way(f"/mcp, {number} agent{'s' * (number > 1)}", port, request("/mcp", public, port, token), pid)
        ]
        if number == 1:
            own = request(f"/mcps/{first}/mcp", "kept", port, token)
            ways.append(Way("/mcps/<agent>/mcp", port, own, pid))
        yield ways


def others(stack: contextlib.ExitStack, upstream: str) -> Iterator[Way]:
    port = free_port()
    argv = [sys.executable, "-m", "bench.proxies", "aiohttp", str(port), upstream]
    pid = stack.enter_context(served(argv, port))
    yield Way("aiohttp, plain proxy", port, request("/mcp", "cat", port, ""), pid)
    python = os.environ.get("BENCH_FASTMCP")
    if python:
        port = free_port()
        pid = stack.enter_context(
            served([python, "-m", "bench.proxies", "fastmcp", str(port), upstream], port)
        )
        yield Way("FastMCP's proxy", port, request("/mcp", "cat", port, ""), pid)
    if shutil.which("nginx"):
        port = free_port()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ploinky-nginx-")))
        argv = [
            "nginx",
            "-p",
            str(folder),
            "-c",
            str(nginx_conf(folder, port, upstream)),
            "-g",
            "daemon off; master_process off;",
        ]
        pid = stack.enter_context(served(argv, port))
        yield Way("nginx", port, request("/mcp", "cat", port, ""), pid)


def nginx_conf(folder: Path, port: int, upstream: str) -> Path:
    server = upstream.removeprefix("http://").removesuffix("/mcp")
    conf = folder / "nginx.conf"
    conf.write_text(
        "worker_processes 1; pid nginx.pid; error_log stderr error; events { worker_connections 1024; }\n"
        f"http {{ access_log off; upstream up {{ server {server}; keepalive 128; }}\n"
        f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://up; proxy_http_version 1.1;\n"
        'proxy_set_header Connection ""; } } }\n',
        encoding="utf-8",
    )
    return conf


@contextlib.contextmanager
def served(argv: list[str], port: int) -> Iterator[int]:
    """A process that listens on ``port``; its pid."""
    root = Path(__file__).parents[1]
    env = {**os.environ, "PYTHONPATH": str(root)}
    with subprocess.Popen(argv, cwd=root, env=env, stdout=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 60
            while True:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                if process.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"{' '.join(argv)} does not listen")
                time.sleep(0.05)
            yield process.pid
        finally:
            process.terminate()
            process.wait(20)


def request(path: str, tool: str, port: int, token: str) -> bytes:
    """A whole call of the stateless era."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"name": tool, "arguments": {"text": "hello"}, "_meta": meta}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {token}\r\n"
        "content-type: application/json\r\naccept: application/json, text/event-stream\r\n"
        f"mcp-protocol-version: {VERSION}\r\nmcp-method: tools/call\r\nmcp-name: {tool}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def gateway_pid(workspace: BenchWorkspace) -> int:
    facts = json.loads((workspace.root / ".ploinky" / "running" / "gateway.json").read_text("utf-8"))
    return int(facts["pid"])


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
