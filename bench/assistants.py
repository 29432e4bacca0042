"""Assistants: a trivial RPC, reading and appending to threads, the first word beside the model server's
own."""

from __future__ import annotations

import contextlib
import functools
import http.client
import json
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.model_server import WORDS
from bench.report import Table, median, percentile, verdict
from bench.workspace import BenchWorkspace, bench_workspace

CALLS = 160  # a caller may read so often at once
CLIENTS = 16
STREAMS = 100
REFILL_S = 9.0
_MEASURED: tuple[tuple[str, str, dict[str, str], float | None, float | None], ...] = (
    ("trivial RPC", "heartbeat.getFile", {}, 0.5, None),
    ("thread of 20", "chat.getThread", {"sessionId": "20"}, None, None),
    ("thread of 1000", "chat.getThread", {"sessionId": "1000"}, 3.0, 25.0),
)


class Rpc:
    """One kept-open connection."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}

    def call(self, method: str, **params: object) -> dict[str, object]:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        self._connection.request("POST", "/rpc", body, self._headers)
        answer: dict[str, object] = json.loads(self._connection.getresponse().read())
        if "result" not in answer:
            sys.exit(f"{method}: {answer}")
        found = answer["result"]
        return found if isinstance(found, dict) else {"rows": found}

    def events(self, session: str) -> Iterator[tuple[str, float]]:
        """Kinds of events and when they came."""
        self._connection.request("GET", f"/events/default?sessionId={session}&after=0", headers=self._headers)
        answer = self._connection.getresponse()
        while line := answer.readline():
            if line.startswith(b"event: "):
                yield line[7:].decode().strip(), time.perf_counter()


def run(runtimes: tuple[str, ...]) -> Table:
    """The table; assistants are the same under every runtime."""
    rows: list[tuple[str, ...]] = []
    bars: list[str] = []
    with bench_workspace("sandbox", 1) as place, _model_server() as port:
        _configure(place, port)
        place.ploinky("start")

        def rpc() -> Rpc:
            return Rpc(place.port, place.token)

        _threads(place, rpc())
        for name, method, params, bar, bar_many in _MEASURED:
            call = functools.partial(_call, method=method, params=params)
            alone = _latencies(rpc(), call, CALLS)
            time.sleep(REFILL_S)
            many = _at_once(rpc, call)
            time.sleep(REFILL_S)
            rows.append(
                (name, f"{median(alone):.2f}", f"{percentile(alone, 0.95):.2f}", f"{median(many):.1f}")
            )
            bars += [verdict(f"{name}, one client", median(alone), bar, "ms")] if bar else []
            bars += [verdict(f"{name}, {CLIENTS} clients", median(many), bar_many, "ms")] if bar_many else []
        rows.append(_append_row(place))
        first, direct = _first_words(rpc, port)
        rows.append(("first word, through", f"{first:.1f}", "", ""))
        rows.append(("first word, direct", f"{direct:.1f}", "", ""))
        bars.append(verdict("first word beyond the model server's own", first - direct, 10.0, "ms"))
        stall, total = _streams(rpc)
        rows.append((f"{STREAMS} streams at once, longest silence", f"{stall:.0f}", "", ""))
        rows.append((f"{STREAMS} streams at once, from first to last", f"{total:.0f}", "", ""))
        bars.append(verdict(f"{STREAMS} streams, longest silence", stall, 200.0, "ms"))
    return Table("Assistants", ("ms", "p50", "p95", f"p50, {CLIENTS} clients"), tuple(rows), tuple(bars))


@contextlib.contextmanager
def _model_server() -> Iterator[int]:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.model_server"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _configure(place: BenchWorkspace, port: int) -> None:
    file = place.root / ".ploinky" / "config.json"
    document = json.loads(file.read_text()) if file.is_file() else {}
    document["models"] = {
        "bench": {
            "provider": "openai-compatible",
            "baseURL": f"http://127.0.0.1:{port}/v1",
            "openaiModelId": "bench",
            "maxContextTokens": 32000,
        }
    }
    document["defaultModel"] = "bench"
    file.write_text(json.dumps(document))


def _threads(place: BenchWorkspace, rpc: Rpc) -> None:
    for count in (20, 1000):
        messages = [
            {"role": "user" if number % 2 == 0 else "assistant", "content": f"message {number} " + "x" * 80}
            for number in range(count)
        ]
        rpc.call("thread.set", sessionId=str(count), messages=messages)


def _call(rpc: Rpc, method: str, params: dict[str, str]) -> object:
    return rpc.call(method, **params)


def _latencies(rpc: Rpc, call: Callable[[Rpc], object], count: int) -> list[float]:
    taken = []
    for _ in range(count):
        began = time.perf_counter()
        call(rpc)
        taken.append((time.perf_counter() - began) * 1000)
    return taken


def _at_once(rpc: Callable[[], Rpc], call: Callable[[Rpc], object]) -> list[float]:
    with ThreadPoolExecutor(CLIENTS) as pool:
        parts = pool.map(lambda _: _latencies(rpc(), call, CALLS // CLIENTS), range(CLIENTS))
        return [value for part in parts for value in part]


def _append_row(place: BenchWorkspace) -> tuple[str, ...]:
    """Appends of eight processes to one thread, to the store itself."""
    script = (Path(__file__).parent / "append_messages.py").read_text()
    path = place.root / "assistants" / "default" / "state.db"
    each = 1000
    began = time.perf_counter()
    processes = [
        subprocess.Popen([sys.executable, "-c", script, str(path), f"w{n}", str(each)]) for n in range(8)
    ]
    for process in processes:
        process.wait()
    took_ms = (time.perf_counter() - began) * 1000
    with contextlib.closing(sqlite3.connect(path)) as database:
        kept = database.execute("SELECT count(*) FROM messages WHERE session = 'bench'").fetchone()[0]
    if kept != 8 * each:
        sys.exit(f"{8 * each - kept} appends were lost")
    return ("append, 8 processes at once, each", f"{took_ms / each:.2f}", "", f"{8 * each} kept")


def _first_words(rpc: Callable[[], Rpc], port: int) -> tuple[float, float]:
    through, direct = [], []
    for number in range(12):
        client, watcher = rpc(), rpc()
        session = f"first{number}"
        began = time.perf_counter()
        client.call("agent.run", session={"sessionId": session}, messages=[{"content": "hello"}])
        through.append(_first_word(watcher, session) - began)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        began = time.perf_counter()
        connection.request("POST", "/v1/chat/completions", json.dumps({"messages": []}))
        answer = connection.getresponse()
        answer.readline()
        direct.append(time.perf_counter() - began)
        connection.close()
    return median(through[2:]) * 1000, median(direct[2:]) * 1000


def _first_word(watcher: Rpc, session: str) -> float:
    """When it came; the turn is followed to its end, so that the next one has the gateway for itself."""
    first = None
    for kind, at in watcher.events(session):
        if kind == "assistant_delta" and first is None:
            first = at
        if kind == "done":
            break
    assert first is not None
    return first


def _streams(rpc: Callable[[], Rpc]) -> tuple[float, float]:
    """The longest silence of any of many streams, and how long all took."""
    silences: list[float] = []
    lock = threading.Lock()

    def one(number: int) -> None:
        client, watcher = rpc(), rpc()
        session = f"stream{number}"
        client.call("agent.run", session={"sessionId": session}, messages=[{"content": "hello"}])
        last: float | None = None
        worst = 0.0
        for kind, at in watcher.events(session):
            if kind == "assistant_delta":
                worst = max(worst, at - last if last is not None else 0.0)
                last = at
            if kind == "done":
                break
        with lock:
            silences.append(worst * 1000)

    began = time.perf_counter()
    with ThreadPoolExecutor(STREAMS) as pool:
        list(pool.map(one, range(STREAMS)))
    assert WORDS
    return max(silences), (time.perf_counter() - began) * 1000
