"""MCP servers of manifests and of ``mcpServers``: real sandboxes, the real command, added and removed hot."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.cli.stage import Stage, eventually

pytestmark = pytest.mark.bubblewrap
PROGRAM = Path(__file__).parents[1] / "data" / "pipe_server.py"


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
