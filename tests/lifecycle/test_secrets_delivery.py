"""Secrets reach hooks, the agent and its tools, and show nowhere else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ploinky.channel.client import open_channel
from ploinky.channel.model import SpawnRequest
from ploinky.lifecycle.environment import agent_environment
from ploinky.lifecycle.planner import plan_agent
from ploinky.lifecycle.sandboxes import socket_folder
from ploinky.lifecycle.starting import start_agent
from ploinky.runtimes.spec import SOCKET_NAME
from ploinky.wire.events import Output
from tests.lifecycle.stage import Stage, collect

pytestmark = pytest.mark.bubblewrap

VALUE = "k9-never-seen-outside-4711"
MANIFEST = {
    "secrets": ["SHOP_PASSPHRASE"],
    "env": ["SHOP_PASSPHRASE", "COLOUR=blue"],
    "agent": "sh -c 'test \"$SHOP_PASSPHRASE\" && touch $WORKSPACE_PATH/agent-has-it; exec sleep 1000'",
    "install": 'test "$SHOP_PASSPHRASE" && touch "$WORKSPACE_PATH/hook-has-it"',
}


def files_that_hold(folder: Path, value: str) -> list[str]:
    return [
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and value.encode() in path.read_bytes()
    ]


def command_lines() -> Iterator[bytes]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                yield (folder / "cmdline").read_bytes()
            except OSError:
                continue


async def running(stage: Stage) -> None:
    stage.ctx.secrets.kept.set("SHOP_PASSPHRASE", VALUE)
    stage.add("shop", MANIFEST)
    await stage.enable("shop")
    await collect(start_agent(stage.ctx, "shop"))


async def test_hooks_agent_and_tools_get_the_secret(stage: Stage) -> None:
    await running(stage)
    assert stage.work_file("shop", "hook-has-it").exists()
    assert stage.work_file("shop", "agent-has-it").exists()
    environment = await agent_environment(stage.ctx, "shop")
    assert environment["SHOP_PASSPHRASE"] == VALUE
    async with open_channel(socket_folder(stage.ctx, "shop") / SOCKET_NAME) as channel:
        request = SpawnRequest(("sh", "-c", "echo $SHOP_PASSPHRASE"), env=tuple(environment.items()))
        assert (await channel.run(request)).stdout.decode().strip() == VALUE


async def test_the_secret_is_in_no_file_no_command_line_and_no_record(stage: Stage) -> None:
    await running(stage)
    assert files_that_hold(stage.layout.root, VALUE) == [".ploinky/.secrets"]
    assert files_that_hold(stage.ctx.runtime_dir, VALUE) == []
    assert not any(VALUE.encode() in line for line in command_lines())
    plan = plan_agent(stage.ctx, stage.entry("shop"))
    assert VALUE not in repr(plan.spec)
    assert stage.entry("shop").profile_config.secrets_loaded == ("SHOP_PASSPHRASE",)
    assert stage.entry("shop").profile_config.env == {"COLOUR": "blue"}
    async with open_channel(plan.spec.socket_path) as channel:
        own = await channel.read_file("/proc/1/environ", 100_000)
    assert own is not None
    assert VALUE.encode() not in own.data


async def test_the_audit_log_names_the_secret_and_never_its_value(stage: Stage) -> None:
    await running(stage)
    lines = (stage.layout.logs / "audit.log").read_text().splitlines()
    given = json.loads(lines[-1])
    assert given["agent"] == "shop"
    assert "SHOP_PASSPHRASE" in given["names"]


async def test_each_agent_gets_a_token_of_its_own(stage: Stage) -> None:
    for name in ("one", "two"):
        stage.add(name, {})
        await stage.enable(name)
        await collect(start_agent(stage.ctx, name))
    callers = []
    for name in ("one", "two"):
        token = (await agent_environment(stage.ctx, name))["PLOINKY_AGENT_TOKEN"]
        caller = stage.ctx.signer.verify(token)
        assert caller is not None
        callers.append(caller.agent)
    assert callers == ["one", "two"]


async def test_an_agents_token_is_masked_in_what_hooks_print(stage: Stage) -> None:
    stage.add("one", {"install": 'echo "token: $PLOINKY_AGENT_TOKEN"'})
    await stage.enable("one")
    events = await collect(start_agent(stage.ctx, "one"))
    assert [event.text for event in events if isinstance(event, Output)] == ["token: [redacted]\n"]


async def test_a_secret_that_changed_is_given_at_the_next_launch(stage: Stage) -> None:
    await running(stage)
    stage.ctx.secrets.kept.set("SHOP_PASSPHRASE", "another-value-815")
    assert (await agent_environment(stage.ctx, "shop"))["SHOP_PASSPHRASE"] == "another-value-815"
