"""The gateway's process: it comes back, it is alone, it ends; agents outlive it and clients find it again."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from ploinky.operations.endpoint import find_endpoint, find_supervisor, gateway_log, owner_token
from tests.cli.stage import Stage, eventually

pytestmark = pytest.mark.bubblewrap


def mcp_call(stage: Stage, tool: str) -> Any:
    """One call through ``/mcp`` as any client would make it, by the plain HTTP of the session-free era."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
    }
    params = {"name": tool, "arguments": {}, "_meta": meta}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    request = urllib.request.Request(
        f"{stage.endpoint.url}/mcp",
        data=json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {owner_token(stage.layout)}",
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2026-07-28",
            "Mcp-Method": "tools/call",
            "Mcp-Name": tool,
        },
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read())


def uptime_pid(stage: Stage) -> str:
    """The agent's own first process, which must outlive gateways."""
    return stage.run("exec", "worker", "--", "sh", "-c", "cat /proc/1/stat | cut -d' ' -f22").out


def test_a_killed_gateway_is_restarted_and_its_agents_live_on(stage: Stage) -> None:
    stage.run("start", "worker")
    stage.run("start", "echo")
    before, born = stage.endpoint, uptime_pid(stage)
    before.process.signal(signal.SIGKILL)
    eventually(lambda: find_endpoint(stage.layout) not in (None, before), "the next gateway")
    assert stage.endpoint.port == before.port
    eventually(lambda: stage.run("call", "echo.mood", code=None).out == "cheerful\n", "the tools to be back")
    assert mcp_call(stage, "mood")["result"]["content"][0]["text"].strip() == "cheerful"
    assert uptime_pid(stage) == born
    assert "it is started again" in gateway_log(stage.layout).read_text(encoding="utf-8")


def test_calls_during_a_kill_fail_or_succeed_and_the_next_ones_succeed(stage: Stage) -> None:
    stage.run("start", "echo")
    gateway, outcomes, enough = stage.endpoint, [], threading.Event()

    def keep_calling() -> None:
        while not enough.is_set():
            try:
                outcomes.append(mcp_call(stage, "mood")["result"]["content"][0]["text"].strip())
            except (
                OSError,
                http.client.HTTPException,
                AssertionError,
                KeyError,
            ):  # a key: the answer says why not
                outcomes.append("broken")

    callers = [threading.Thread(target=keep_calling) for _ in range(4)]
    for caller in callers:
        caller.start()
    eventually(lambda: outcomes.count("cheerful") > 20, "the first calls")
    gateway.process.signal(signal.SIGKILL)
    eventually(lambda: find_endpoint(stage.layout) not in (None, gateway), "the next gateway")
    done = outcomes.count("cheerful")
    eventually(lambda: outcomes.count("cheerful") > done + 20, "calls to succeed again")
    enough.set()
    for caller in callers:
        caller.join()
    assert set(outcomes) <= {"cheerful", "broken"}


def test_with_gateway_and_supervisor_killed_the_next_start_makes_new_ones(stage: Stage) -> None:
    stage.run("start", "echo")
    before = stage.gateway_processes
    assert len(before) == 2
    for process in before:
        process.signal(signal.SIGKILL)
    eventually(lambda: not any(process.alive for process in before), "both to be gone")
    shown = stage.run("status", "--json").json
    assert shown["router"]["state"] == "stopped"
    assert shown["agents"][0]["state"] == "RUNNING"
    stage.run("start")
    assert len(stage.gateway_processes) == 2
    assert stage.run("call", "echo.mood").out == "cheerful\n"


def test_a_gateway_without_its_supervisor_is_stopped_too(stage: Stage) -> None:
    stage.run("start", "echo")
    supervisor = find_supervisor(stage.layout)
    assert supervisor is not None
    supervisor.signal(signal.SIGKILL)
    eventually(lambda: not supervisor.alive, "the supervisor to be gone")
    assert stage.run("call", "echo.mood").out == "cheerful\n"
    gateway = stage.endpoint.process
    stage.run("stop")
    assert not gateway.alive
    stage.run("shutdown")
    assert stage.leftovers() == []


def test_serve_runs_in_the_foreground_until_interrupted(stage: Stage) -> None:
    with stage.running("serve") as serving:
        eventually(lambda: find_endpoint(stage.layout) is not None, "the gateway to listen")
        assert stage.endpoint.process.pid == serving.pid
        assert "runs already" in stage.run("serve", code=2).err
        stage.run("start", "echo")
        assert find_supervisor(stage.layout) is None
        assert stage.run("call", "echo.mood").out == "cheerful\n"
        serving.send_signal(signal.SIGINT)
        assert serving.wait(20) == 0
    assert not stage.layout.running.joinpath("gateway.json").exists()
    assert stage.run("status", "--json").json["agents"][0]["state"] == "RUNNING"


def test_an_agent_that_dies_is_seen_and_brought_back(stage: Stage) -> None:
    stage.run("start", "worker")
    born = uptime_pid(stage)
    with stage.running("events", "-f", "--json") as events:
        assert events.stdout is not None
        eventually(lambda: stage.run("status", "--json").json["agents"][0]["ready"], "the worker to be ready")
        # "[.]" keeps the script from finding itself
        victim = (
            "for each in $(grep -l 'work[.]sh' /proc/[0-9]*/cmdline | cut -d/ -f3); do kill -KILL $each; done"
        )
        stage.run("exec", "worker", "--", "sh", "-c", victim, code=None)
        line = json.loads(events.stdout.readline())
    assert line["kind"] == "state_changed"
    assert line["agent"] == "worker"
    eventually(lambda: stage.run("status", "--json").json["agents"][0]["ready"], "the worker to be back")
    assert uptime_pid(stage) == born


def test_an_agent_that_is_not_ready_leaves_the_tools_and_comes_back(stage: Stage) -> None:
    stage.run("enable", "agent", "moody")
    ready = stage.root / "agents" / "moody" / "ready"
    ready.touch()
    stage.run("start", "moody")

    def tools() -> list[str]:
        return [row["name"] for row in stage.run("tools", "--json").json]

    eventually(lambda: tools() == ["sulk"], "the tool")
    ready.unlink()
    eventually(lambda: tools() == [], "the tool to go")
    assert stage.run("status", "--json").json["agents"][0]["ready"] is False
    ready.touch()
    eventually(lambda: tools() == ["sulk"], "the tool to come back")


def test_names_of_tools_do_not_depend_on_who_runs_even_after_a_restart_of_the_gateway(stage: Stage) -> None:
    crew = stage.layout.repo("crew")
    shutil.copy(crew / "moody" / "code" / "mcp-config.json", crew / "guarded" / "mcp-config.json")
    for words in (("echo",), ("echo", "as", "parrot"), ("moody",), ("guarded",)):
        stage.run("enable", "agent", *words)
    (stage.root / "agents" / "moody" / "ready").touch()
    for agent in ("echo", "parrot", "moody"):
        stage.run("start", agent)

    def names() -> set[str]:
        return {row["name"] for row in stage.run("tools", "--json").json}

    both = {f"{agent}__{tool}" for agent in ("echo", "parrot") for tool in ("say", "fail", "mood", "wait")}
    eventually(lambda: names() == both | {"moody__sulk"}, "the names of all")  # guarded never ran: no secret
    stage.run("stop", "parrot")
    alone = {name for name in both if name.startswith("echo__")} | {"moody__sulk"}
    eventually(lambda: names() == alone, "the names of those that run")
    stage.run("restart", "router")
    eventually(lambda: names() == alone, "the same names behind the next gateway")
    assert mcp_call(stage, "echo__mood")["result"]["content"][0]["text"].strip() == "cheerful"
    stage.run("disable", "agent", "parrot")
    eventually(lambda: "mood" in names(), "the plain name, as nobody else is configured to have it")


def status_and_heavy_imports(stage: Stage) -> list[str]:
    """What ``status`` printed, and in the last line the heavy modules that it loaded."""
    program = (
        "import atexit, sys\n"
        "heavy = ('pydantic', 'asyncio', 'anyio', 'http.client', 'ssl')\n"
        "atexit.register(lambda: print([name for name in heavy if name in sys.modules]))\n"
        "from ploinky.cli.main import main\nmain(['status'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=stage.root,
        env=stage.environ,
    )
    return done.stdout.splitlines()


def test_status_asks_a_running_gateway_without_heavy_imports(town: Stage) -> None:
    *lines, heavy = status_and_heavy_imports(town)
    assert heavy == "[]"
    assert any(line.split()[:3] == ["echo", "running", "ready"] for line in lines)
    assert any(line.startswith(f"Router     {town.endpoint.url}") for line in lines)


def test_status_of_what_does_not_run_needs_no_heavy_imports(stage: Stage) -> None:
    stage.run("enable", "agent", "echo")
    for state in ("enabled", "stopped"):
        *lines, heavy = status_and_heavy_imports(stage)
        assert heavy == "[]"
        assert any(line.split()[:3] == ["echo", state, "stopped"] for line in lines)
        stage.run("start", "echo")
        stage.run("stop")


def test_a_gateway_loads_only_what_it_uses(town: Stage) -> None:
    """Keys of authorization servers and the analysis of skills are for those who use them."""
    mapped = Path(f"/proc/{town.endpoint.process.pid}/maps").read_text("utf-8")
    assert "uvloop" in mapped
    assert "cryptography" not in mapped


def test_the_routing_file_tells_who_is_ready(town: Stage) -> None:
    facts = json.loads(town.layout.routing_file.read_text(encoding="utf-8"))
    assert facts["port"] == town.endpoint.port
    assert facts["routes"]["echo"] == {"mcp": "/mcps/echo/mcp", "ready": True}


def test_the_token_is_in_no_command_line_and_in_no_log(town: Stage) -> None:
    token = owner_token(town.layout)
    assert token
    for process in town.gateway_processes:
        assert token not in Path(f"/proc/{process.pid}/cmdline").read_text(encoding="utf-8")
    assert token not in gateway_log(town.layout).read_text(encoding="utf-8")


def test_a_stale_file_of_a_dead_gateway_is_not_believed(stage: Stage) -> None:
    stage.layout.running.joinpath("gateway.json").write_text(
        json.dumps({"pid": 1, "started": 1, "host": "127.0.0.1", "port": 9}), encoding="utf-8"
    )
    assert stage.run("status", "--json").json["router"]["state"] == "stopped"
    stage.run("start", "echo")
    assert stage.endpoint.process.pid != 1
