"""Run modes, two instances of one agent, ports and what the registry tells of them."""

from __future__ import annotations

import json

import pytest

from ploinky.lifecycle.starting import start_agent
from ploinky.lifecycle.waves import start_agents
from ploinky.manifest.refs import RunMode
from ploinky.workspace.states import AgentState
from tests.lifecycle.stage import REPO, Stage, collect

# every place that some agent may write; what it makes beside its mounts never reaches the host
LOOK = (
    'for place in "$PLOINKY_CWD" "$PLOINKY_CWD/.ploinky" /shared "$WORKSPACE_PATH" /agent "$1"; do'
    ' touch "$place/mark-$AGENT_NAME" 2>/dev/null; done; true'
)


async def test_each_mode_has_its_project_and_may_write_it(either: Stage) -> None:
    root, source, shared = either.layout.root, either.folder("one"), either.layout.shared
    files = {"code/main.sh": "true\n", "scripts/look.sh": f"#!/bin/sh\n{LOOK}\n"}
    either.add("one", {"install": f"scripts/look.sh {source}"}, files)
    projects = {
        "one as alone": (RunMode.ISOLATED, either.layout.work_dir("alone")),
        "one global as wide": (RunMode.GLOBAL, root),
        f"one devel {REPO} as own": (RunMode.DEVEL, source),
    }
    for words, (mode, project) in projects.items():
        entry = await either.enable(words)
        assert (entry.run_mode, entry.project_path) == (mode, str(project))
    await collect(start_agents(either.ctx, ["alone", "wide", "own"]))
    written = {key: {path.parent for path in root.rglob(f"mark-{key}")} for key in ("alone", "wide", "own")}
    assert written == {
        "alone": {either.layout.work_dir("alone"), shared},
        "wide": {either.layout.work_dir("wide"), shared, root},
        "own": {either.layout.work_dir("own"), shared, source},
    }


async def test_two_instances_of_one_agent_run_side_by_side(either: Stage) -> None:
    either.add("one", {"install": 'echo "$AGENT_NAME" > "$WORKSPACE_PATH/name"', "agent": "sleep 1000"})
    first, second = await either.enable("one as left"), await either.enable("one as right")
    assert first.container_name != second.container_name
    await collect(start_agents(either.ctx, ["left", "right"]))
    for key in ("left", "right"):
        assert either.entry(key).state is AgentState.RUNNING
        assert either.work_file(key, "name").read_text().strip() == key
    assert len(await either.ctx.runtime.list(either.layout.id)) == 2


async def test_the_registry_tells_how_an_agent_is_bound(either: Stage) -> None:
    either.add("one", {"ports": ["9000"], "health": {"readiness": {"protocol": "none"}}})
    await either.enable("one")
    await collect(start_agent(either.ctx, "one"))
    stored = json.loads(either.layout.registry_file.read_text())["one"]
    work = str(either.layout.work_dir("one"))
    assert {"source": work, "target": work, "ro": False} in stored["binds"]
    (port,) = stored["ports"]
    assert (port["containerPort"], port["hostIp"], port["protocol"]) == (9000, "127.0.0.1", "tcp")
    assert port["hostPort"] > 0


@pytest.mark.podman
async def test_ports_of_every_form_are_offered_as_written(pods: Stage) -> None:
    forms = ["9000", "0.0.0.0::9001", "9002/udp", "127.0.0.2::9003", "9010-9011"]
    pods.add("one", {"ports": forms, "health": {"readiness": {"protocol": "none"}}})
    await pods.enable("one")
    await collect(start_agent(pods.ctx, "one"))
    bound = {(p.container_port, p.protocol): (p.host_ip, p.host_port) for p in pods.entry("one").ports}
    assert {key: ip for key, (ip, _) in bound.items()} == {
        (9000, "tcp"): "127.0.0.1",
        (9001, "tcp"): "0.0.0.0",
        (9002, "udp"): "127.0.0.1",
        (9003, "tcp"): "127.0.0.2",
        (9010, "tcp"): "127.0.0.1",
        (9011, "tcp"): "127.0.0.1",
    }
    assert all(port > 0 for _, port in bound.values())
