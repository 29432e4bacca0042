"""The same lifecycle in real containers: the order of the steps, what inspect shows, what is left."""

from __future__ import annotations

import subprocess

import pytest

from ploinky.lifecycle.options import StartOptions
from ploinky.lifecycle.planner import plan_agent
from ploinky.lifecycle.starting import start_agent
from ploinky.lifecycle.stopping import remove_agent, stop_agent
from ploinky.lifecycle.waves import start_agents
from ploinky.runtimes.protocol import SandboxState
from ploinky.runtimes.spec import LABEL_DIGEST
from ploinky.wire.events import StepStarted
from ploinky.workspace.states import AgentState
from tests.lifecycle.stage import Stage, collect, steps_done
from tests.lifecycle.test_starting import EVERY_HOOK, FILES, ORDER, marks

pytestmark = pytest.mark.podman

VALUE = "pod-passphrase-1729"
HOST_MARK = """#!/bin/sh
echo "$1" >> "$WORKSPACE_PATH/marks"
podman inspect --format '{{.State.Status}}' "$PLOINKY_CONTAINER_ID" > "$WORKSPACE_PATH/$1.state" 2>/dev/null
exit 0
"""
TRUSTING = StartOptions(trust=True)


def podman(*argv: str) -> str:
    return subprocess.run(
        ["podman", *argv], capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()


async def test_the_twelve_steps_in_a_real_container(pods: Stage) -> None:
    pods.add("all", EVERY_HOOK, {**FILES, "scripts/host.sh": HOST_MARK})
    entry = await pods.enable("all")
    events = await collect(start_agent(pods.ctx, "all", TRUSTING))
    order = [event.step for event in events if isinstance(event, StepStarted)]
    assert order == list(range(1, 13))
    assert marks(pods, "all") == ORDER
    states = {
        hook: pods.work_file("all", f"{hook}.state").read_text().strip()
        for hook in ("hosthook_preinstall", "hosthook_aftercreation", "hosthook_postinstall")
    }
    assert states == {
        "hosthook_preinstall": "",
        "hosthook_aftercreation": "created",
        "hosthook_postinstall": "running",
    }
    label = podman(
        "inspect", "--format", f'{{{{index .Config.Labels "{LABEL_DIGEST}"}}}}', entry.container_name
    )
    assert label == plan_agent(pods.ctx, pods.entry("all")).spec.digest


async def test_inspect_and_the_stored_configuration_show_no_secret(pods: Stage) -> None:
    pods.ctx.secrets.kept.set("SHOP_PASSPHRASE", VALUE)
    pods.add(
        "shop",
        {
            "secrets": ["SHOP_PASSPHRASE"],
            "install": 'test "$SHOP_PASSPHRASE" && touch "$WORKSPACE_PATH/has-it"',
            "agent": "sleep 1000",
        },
    )
    entry = await pods.enable("shop")
    await collect(start_agent(pods.ctx, "shop"))
    assert pods.work_file("shop", "has-it").exists()
    assert VALUE not in podman("inspect", entry.container_name)
    assert VALUE not in podman("top", entry.container_name, "args")


async def test_an_unchanged_container_starts_again_without_its_installs(pods: Stage) -> None:
    pods.add("all", EVERY_HOOK, FILES)
    entry = await pods.enable("all")
    await collect(start_agent(pods.ctx, "all", TRUSTING))
    first = podman("inspect", "--format", "{{.Id}}", entry.container_name)
    await collect(stop_agent(pods.ctx, "all"))
    sandbox = await pods.ctx.runtime.inspect(entry.container_name)
    assert sandbox is not None
    assert sandbox.state is SandboxState.EXITED
    events = await collect(start_agent(pods.ctx, "all", TRUSTING))
    assert steps_done(events) == [1, 2, 5, 12]
    assert podman("inspect", "--format", "{{.Id}}", entry.container_name) == first
    pods.add("all", {**EVERY_HOOK, "resources": {"pids": 77}}, FILES)
    await collect(start_agent(pods.ctx, "all", TRUSTING))
    assert podman("inspect", "--format", "{{.Id}}", entry.container_name) != first


async def test_a_new_image_under_the_same_name_makes_the_agent_anew(pods: Stage) -> None:
    name = f"localhost/ploinky-test-moving:{pods.layout.id}"
    podman("tag", pods.image, name)
    try:
        pods.add("all", {"container": name, "install": "date +%N >> $WORKSPACE_PATH/installs"})
        entry = await pods.enable("all")
        await collect(start_agent(pods.ctx, "all"))
        await collect(stop_agent(pods.ctx, "all"))
        assert steps_done(await collect(start_agent(pods.ctx, "all"))) == [1, 2, 5, 12]
        podman("commit", "--quiet", "--message", "newer", "--format", "docker", entry.container_name, name)
        events = await collect(start_agent(pods.ctx, "all"))
        assert 9 in steps_done(events)
        assert steps_done(await collect(start_agent(pods.ctx, "all"))) == [1, 2]
        assert len(pods.work_file("all", "installs").read_text().split()) == 2
    finally:
        await collect(remove_agent(pods.ctx, "all"))
        podman("image", "rm", name)


async def test_what_is_mounted_may_be_written_as_the_profile_says(pods: Stage) -> None:
    places = "/code/x /agent/x /shared/x $WORKSPACE_PATH/x /Agent/x"
    tries = f"for f in {places}; do touch $f 2>/dev/null && echo $f; done"
    pods.add(
        "mounts", {"install": f'({tries}) > "$WORKSPACE_PATH/written"; true'}, {"code/main.sh": "true\n"}
    )
    await pods.enable("mounts")
    work = str(pods.layout.work_dir("mounts"))
    for profile, wanted in (
        ("dev", ["/code/x", "/shared/x", f"{work}/x"]),
        ("prod", ["/shared/x", f"{work}/x"]),
    ):
        await collect(start_agent(pods.with_profile(profile).ctx, "mounts"))
        assert pods.work_file("mounts", "written").read_text().split() == wanted


async def test_removing_leaves_no_container_network_or_file(pods: Stage) -> None:
    for name in ("one", "two"):
        pods.add(name, {"agent": "sleep 1000"})
        await pods.enable(name)
    await collect(start_agents(pods.ctx, ["one", "two"]))
    for name in ("one", "two"):
        assert pods.entry(name).state is AgentState.RUNNING
        await collect(remove_agent(pods.ctx, name))
    label = f"label=ploinky.workspace={pods.layout.id}"
    assert podman("ps", "--all", "--quiet", "--filter", label) == ""
    assert podman("network", "ls", "--quiet", "--filter", label) == ""
    assert list(pods.ctx.runtime_dir.iterdir()) == []
