"""Looking into agents over the web: a shell, a followed log, live use, who needs whom, sums of calls."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from websockets.sync.client import ClientConnection

from ploinky.gateway.statistics import call_statistics
from tests.cli.stage import Stage, eventually
from tests.gateway.test_rpc import open_socket
from tests.gateway.web import Web

pytestmark = pytest.mark.bubblewrap


def read_until(wire: ClientConnection, wanted: str) -> str:
    text = ""
    while wanted not in text:
        message = wire.recv(20)
        text += message if isinstance(message, str) else message.decode()
    return text


def test_a_terminal_is_inside_the_agent_and_follows_its_window(web: Web) -> None:
    with open_socket(web, path="/ws/terminal?agent=echo&rows=30&cols=100") as wire:
        wire.send(b"stty size; id -u; ls /code; echo done-$((40+2))\n")
        text = read_until(wire, "done-42")
        assert "30 100" in text
        assert "say.sh" in text
        wire.send(json.dumps({"resize": [40, 120]}))
        wire.send(b"stty size; exit 7\n")
        text = read_until(wire, '"exit"')
        assert "40 120" in text
        assert '{"exit":7}' in text


def test_a_terminal_into_nothing_says_so(web: Web) -> None:
    for query, code in (("agent=nobody", "AGENT_NOT_ENABLED"), ("agent=echo&rows=0", "BAD_QUERY")):
        with open_socket(web, path=f"/ws/terminal?{query}") as wire:
            assert json.loads(wire.recv(20))["error"]["code"] == code


def test_a_shell_ends_with_its_browser(town: Stage, web: Web) -> None:
    with open_socket(web, path="/ws/terminal?agent=echo") as wire:
        wire.send(b"echo ready-$((1+1)); sleep 4321\n")
        read_until(wire, "ready-2")

    def sleeps() -> bool:
        words = "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '"
        return "sleep 4321" in town.run("exec", "echo", "--", "sh", "-c", words, code=None).out

    eventually(lambda: not sleeps(), "the shell's programs to end")


def test_a_log_is_followed(town: Stage, web: Web) -> None:
    with open_socket(web, path="/ws/logs?agent=echo") as wire:
        town.run("exec", "echo", "--", "sh", "-c", "echo news-from-inside > /proc/1/fd/1")
        assert "news-from-inside" in read_until(wire, "news-from-inside")
    with open_socket(web, path="/ws/logs?agent=router") as wire:
        assert "listening on" in read_until(wire, "listening on")


def test_live_use_is_told_to_those_who_watch(web: Web) -> None:
    with web.events("?topics=usage") as events:
        samples = [next(events)[1]["data"]["agents"]["echo"] for _ in range(2)]
    assert all(100_000 < sample["memory"] < 500_000_000 for sample in samples)
    assert all(0 <= sample["cpu"] < 64 for sample in samples)


def test_the_graph_shows_who_needs_whom(town: Stage, web: Web) -> None:
    town.run("enable", "agent", "team")
    graph = web.call("agents.graph")
    assert {"team", "echo", "second"} <= set(graph["nodes"])
    assert {"from": "team", "to": "second"} in [
        {"from": edge["from"], "to": edge["to"]} for edge in graph["edges"]
    ]
    town.run("disable", "agent", "team")


def test_calls_are_summed_by_time_and_agent(web: Web) -> None:
    for _ in range(3):
        web.call("tools.call", agent="echo", tool="say", arguments={"text": "x"})
    web.call("tools.call", agent="echo", tool="fail")
    sums = web.call("calls.statistics", hours=1, spans=4)
    echo = next(row for row in sums["agents"] if row["agent"] == "echo")
    assert (echo["calls"], echo["errors"]) == (4, 1)
    assert [row["calls"] for row in sums["spans"]] == [0, 0, 0, 4]
    assert 0 < echo["p50Ms"] <= echo["p95Ms"]


def test_sums_leave_out_what_is_old_or_no_call() -> None:
    now = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
    records: list[Any] = [
        {"at": "2026-11-24T11:59:00+00:00", "event": "tool", "what": "a.x", "outcome": "ok", "ms": 10},
        {"at": "2026-11-24T11:58:00+00:00", "event": "rpc", "what": "agents.list", "outcome": "ok", "ms": 1},
        {"at": "nonsense", "event": "tool"},
        {"at": "2026-11-24T11:10:00+00:00", "event": "tool", "what": "b.y", "outcome": "E", "ms": 30},
        {"at": "2026-11-24T10:59:00+00:00", "event": "tool", "what": "c.z", "outcome": "ok", "ms": 30},
    ]
    sums: Any = call_statistics(records, now=now, hours=1, spans=2)
    assert [row["calls"] for row in sums["spans"]] == [1, 1]
    assert [(row["agent"], row["errors"]) for row in sums["agents"]] == [("a", 0), ("b", 1)]
