"""MCP servers of manifests and of ``mcpServers``: real sandboxes, the real command, added and removed hot."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ploinky.operations.endpoint import find_endpoint, owner_token
from tests.cli.stage import Stage, eventually

pytestmark = pytest.mark.bubblewrap
PROGRAM = Path(__file__).parents[1] / "data" / "pipe_server.py"
RESTLESS = Path(__file__).parents[1] / "peers" / "restless_server.py"


def write_servers(stage: Stage, servers: dict[str, Any]) -> None:
    file = stage.layout.config_file
    settings = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps({**settings, "mcpServers": servers}), "utf-8")


def agents_with_tools(stage: Stage) -> set[str]:
    return {row["name"] for row in stage.run("tools", "--json").json}


def test_servers_of_the_settings_come_and_go_while_the_gateway_runs(stage: Stage) -> None:
    shutil.copy(PROGRAM, stage.layout.shared / "server.py")
    pipe = {"command": "python3", "args": ["/shared/server.py"], "env": {"GREETING": "hello ${NOT_SET}"}}
    write_servers(stage, {"pipe": pipe})
    stage.run("start")
    eventually(lambda: "whereami" in agents_with_tools(stage), "the tools of the server")
    said = json.loads(stage.run("call", "pipe.whereami").out)
    assert said["greeting"] == "hello ${NOT_SET}"
    assert said["calls"] == 1

    write_servers(stage, {"pipe": pipe, "other": {**pipe, "env": {"GREETING": "other"}}})
    eventually(lambda: "other__whereami" in agents_with_tools(stage), "the second server's tools")
    assert json.loads(stage.run("call", "other.whereami").out)["greeting"] == "other"

    write_servers(stage, {"other": {**pipe, "env": {"GREETING": "other"}}})
    eventually(lambda: agents_with_tools(stage) == {"whereami"}, "the first server to be gone")
    assert "pipe" not in {row["agent"] for row in stage.run("status", "--json").json["agents"]}


def test_an_agent_is_an_mcp_server_by_its_manifest(stage: Stage) -> None:
    folder = stage.layout.repo("crew") / "pipe"
    (folder / "code").mkdir(parents=True)
    shutil.copy(PROGRAM, folder / "code" / "server.py")
    manifest = {
        "container": "debian:stable",
        "mcp": {"command": "python3 server.py", "env": {"GREETING": "m"}},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    stage.run("start", "pipe")
    eventually(lambda: "whereami" in agents_with_tools(stage), "the tools of the server")
    first, second = (json.loads(stage.run("call", "pipe.whereami").out) for _ in range(2))
    assert first["greeting"] == "m"
    assert (first["calls"], second["calls"]) == (1, 1), "two clients never share a process"


def test_a_wrong_entry_is_named(stage: Stage) -> None:
    write_servers(stage, {"bad": {"command": "x", "url": "http://localhost/mcp"}})
    refused = stage.run("start", code=None)
    assert refused.code != 0
    assert "mcpServers.bad" in refused.err
    assert "either 'command' or 'url'" in refused.err


@contextlib.contextmanager
def streaming(stage: Stage) -> Iterator[http.client.HTTPResponse]:
    """A call of ``steps`` in a session of its own, whose progress comes without end."""
    path = "/mcps/restless/mcp"
    headers = {
        "Authorization": f"Bearer {owner_token(stage.layout)}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
    }
    first = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    call = {"name": "steps", "arguments": {}, "_meta": {"progressToken": 1}}
    connection = http.client.HTTPConnection("127.0.0.1", stage.endpoint.port, timeout=20)
    with contextlib.closing(connection):
        for number, (method, params) in enumerate([("initialize", first), ("tools/call", call)]):
            body = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            connection.request("POST", path, json.dumps(body), headers)
            answer = connection.getresponse()
            assert answer.status == 200
            if method == "initialize":
                answer.read()
                headers["Mcp-Session-Id"] = answer.headers["Mcp-Session-Id"]
                headers["MCP-Protocol-Version"] = "2025-11-25"
        yield answer


def processes_with(word: str) -> set[int]:
    """Processes that were started with this word."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if word.encode() in (folder / "cmdline").read_bytes().split(b"\0"):
                found.add(int(folder.name))
    return found


def test_a_gateway_killed_under_servers_and_streams_leaves_nothing_of_them_and_the_next_one_serves(
    stage: Stage,
) -> None:
    shutil.copy(RESTLESS, stage.layout.shared / "server.py")
    own = str(stage.layout.root / "here")  # told to the server, so that its processes are known by it
    write_servers(stage, {"restless": {"command": "python3", "args": ["/shared/server.py", "/shared", own]}})
    stage.run("start")

    eventually(lambda: "steps" in agents_with_tools(stage), "the tools of the server")
    before = stage.endpoint
    with streaming(stage) as answer:
        lines = [answer.readline() for _ in range(12)]
        assert any(b"notifications/progress" in line for line in lines)
        servers = processes_with(own)
        assert len(servers) >= 2, "the one that is looked at, and the one of the session"
        before.process.signal(signal.SIGKILL)
        with contextlib.suppress(OSError, http.client.HTTPException):
            while answer.readline():
                pass
    eventually(lambda: find_endpoint(stage.layout) not in (None, before), "the next gateway")
    eventually(lambda: stage.run("call", "restless.recall", code=None).out == "[]\n", "the tools to be back")
    eventually(lambda: not servers & processes_with(own), "what the dead gateway had started to end")
    stage.run("shutdown")
    eventually(lambda: stage.leftovers() == [], "all processes and sockets to be gone")
