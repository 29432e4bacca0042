"""What a manifest, a workspace and a profile become: mounts, variables, commands, limits."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ploinky.base.errors import PloinkyError
from ploinky.lifecycle.options import StartOptions
from ploinky.lifecycle.planner import StartPlan, plan_agent
from ploinky.lifecycle.starting import start_agent
from ploinky.manifest.refs import RunMode
from ploinky.workspace.registry import RegistryEntry
from ploinky.workspace.settings import load_settings
from tests.lifecycle.stage import Stage, collect

pytestmark = pytest.mark.bubblewrap


async def plan(stage: Stage, text: str) -> StartPlan:
    return plan_agent(stage.ctx, await stage.enable(text))


def seen(plan: StartPlan) -> dict[str, tuple[str, bool]]:
    """Targets with their sources and whether they may be written."""
    return {mount.target: (str(mount.source), not mount.read_only) for mount in plan.spec.mounts}


async def test_an_isolated_agent_writes_its_working_folder_and_what_is_shared(stage: Stage) -> None:
    folder = stage.add("one", {}, {"code/main": "", ".AchillesSkills/a": ""})
    made = await plan(stage.with_profile("prod"), "one")
    work = str(stage.layout.work_dir("one"))
    assert seen(made) == {
        "/agent": (str(folder), False),
        "/code": (str(folder / "code"), False),
        "/code/.AchillesSkills": (str(folder / ".AchillesSkills"), False),
        "/shared": (str(stage.layout.shared), True),
        work: (work, True),
    }
    assert made.spec.masks == ()


async def test_in_dev_code_and_skills_may_be_written_unless_the_manifest_says_otherwise(stage: Stage) -> None:
    stage.add("one", {}, {"code/main": "", "skills/a": ""})
    stage.add("two", {"mounts": {"code": "ro"}}, {"code/main": "", "skills/a": ""})
    one, two = seen(await plan(stage, "one")), seen(await plan(stage, "two"))
    assert (one["/code"][1], one["/code/.AchillesSkills"][1]) == (True, True)
    assert (two["/code"][1], two["/code/.AchillesSkills"][1]) == (False, True)


async def test_node_modules_are_mounted_read_only_if_there_are_packages(stage: Stage) -> None:
    stage.add("node", {}, {"code/package.json": "{}"})
    made = seen(await plan(stage, "node"))
    assert made["/code/node_modules"] == (str(stage.work_file("node", "node_modules")), False)


async def test_a_global_agent_writes_the_workspace_but_sees_no_control_files(stage: Stage) -> None:
    (stage.layout.root / ".env.dev").write_text("HIDDEN=from-env\n")
    (stage.layout.secrets_file).write_text("HIDDEN2=from-secrets\n")
    (stage.layout.root / ".vscode").mkdir()
    for name in (".mcp.json", ".mcp.json.bak", ".vscode/mcp.json"):
        (stage.layout.root / name).write_text("token")
    look = (
        'cd "$PLOINKY_CWD"; touch made; ls -A .ploinky > shared/control; cat .env.dev > shared/env;'
        " touch .ploinky/x 2>/dev/null && echo written > shared/broken;"
        " cat .mcp.json .mcp.json.bak .vscode/mcp.json > shared/clients; echo x > .mcp.json; true"
    )
    stage.add("wide", {"install": look})
    await stage.enable("wide global")
    await collect(start_agent(stage.ctx, "wide"))
    assert (stage.layout.root / "made").exists()
    assert (stage.layout.shared / "control").read_text() == ""
    assert (stage.layout.shared / "env").read_text() == ""
    assert (stage.layout.shared / "clients").read_text() == ""
    assert (stage.layout.root / ".mcp.json").read_text() == "token"
    assert not (stage.layout.shared / "broken").exists()


async def test_nothing_is_mounted_where_a_global_agent_sees_a_mask(stage: Stage) -> None:
    stage.add("wide", {"hosthook_preinstall": "scripts/a.sh"}, {"scripts/a.sh": "#!/bin/sh\n"})
    made = await plan(stage, "wide global")
    assert str(stage.layout.control) in made.spec.masks
    assert not set(made.spec.masks) & {mount.target for mount in made.spec.mounts}


async def test_links_in_the_repository_are_resolved_before_they_are_mounted(stage: Stage) -> None:
    folder = stage.add("linked", {}, {"real/main": ""})
    (folder / "code").symlink_to("real")
    assert seen(await plan(stage, "linked"))["/code"][0] == str(folder / "real")


async def test_volumes_lie_in_the_workspace_and_are_made(stage: Stage) -> None:
    volumes = {"data/${PLACE}": "/data", ".ploinky/data/pg": "/var/lib/pg:ro"}
    stage.add("db", {"volumes": volumes, "env": ["PLACE=here"], "install": "touch /data/x"})
    await stage.enable("db")
    await collect(start_agent(stage.ctx, "db"))
    assert (stage.layout.root / "data/here/x").exists()
    assert (stage.layout.control / "data/pg").is_dir()


@pytest.mark.parametrize(
    ("link", "code"), [("/etc", "PATH_ESCAPES"), (".ploinky", "VOLUME_FORBIDDEN"), (".", "VOLUME_FORBIDDEN")]
)
async def test_a_volume_that_leads_elsewhere_by_a_link_is_refused(stage: Stage, link: str, code: str) -> None:
    (stage.layout.root / "way").symlink_to(link)
    stage.add("bad", {"volumes": {"way": "/data"}})
    entry = await stage.enable("bad")
    with pytest.raises(PloinkyError) as caught:
        plan_agent(stage.ctx, entry)
    assert caught.value.code == code


async def test_a_link_in_the_place_of_a_mount_point_is_refused(stage: Stage, tmp_path: Path) -> None:
    folder = stage.add("trap", {}, {"code/package.json": "{}"})
    (folder / "code" / "node_modules").symlink_to(tmp_path)
    await stage.enable("trap")
    with pytest.raises(PloinkyError) as caught:
        await collect(start_agent(stage.ctx, "trap"))
    assert caught.value.code == "MOUNT_POINT_BLOCKED"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("commands", "main", "sidecar"),
    [
        ({}, None, None),
        ({"agent": ""}, None, None),
        ({"agent": "node /code/server.mjs"}, ("node", "/code/server.mjs"), None),
        ({"agent": "serve --name 'two words'"}, ("serve", "--name", "two words"), None),
        ({"start": "postgres"}, ("postgres",), None),
        ({"start": "postgres", "agent": "watch"}, ("postgres",), ("watch",)),
        ({"agent": "a && b"}, ("/bin/sh", "-c", "a && b"), None),
        ({"agent": "echo $HOME"}, ("/bin/sh", "-c", "echo $HOME"), None),
        ({"agent": "exec thing"}, ("/bin/sh", "-c", "exec thing"), None),
        ({"agent": "LEVEL=1 thing"}, ("/bin/sh", "-c", "LEVEL=1 thing"), None),
        ({"agent": "./thing"}, ("/bin/sh", "-c", "./thing"), None),
        ({"agent": "it's"}, ("/bin/sh", "-c", "it's"), None),
        ({"entrypoint": "/opt/kc.sh", "start": "start --x"}, ("/opt/kc.sh", "start", "--x"), None),
    ],
)
async def test_commands_become_the_main_program_and_its_sidecar(
    stage: Stage,
    commands: dict[str, str],
    main: tuple[str, ...] | None,
    sidecar: tuple[str, ...] | None,
) -> None:
    stage.add("one", commands)
    made = await plan(stage, "one")
    assert (made.launch.main, made.launch.sidecar) == (main, sidecar)


async def test_limits_come_from_the_manifest_then_the_workspace_then_the_platform(stage: Stage) -> None:
    stage.layout.config_file.write_text(json.dumps({"limits": {"pids": 50, "cpus": 0.5}}))
    limited = replace(stage, ctx=replace(stage.ctx, read_settings=lambda: load_settings(stage.layout)))
    stage.add("one", {"resources": {"pids": 20}})
    limits = (await plan(limited, "one")).spec.resources
    assert (limits.pids, limits.cpus, limits.memory) == (20, 0.5, 2 * 1024**3)


async def test_agents_join_the_network_that_their_manifests_name(stage: Stage) -> None:
    stage.add("db", {"network": {"name": "backend", "aliases": ["postgres"]}})
    network = plan_agent(stage.ctx, await stage.enable("db")).spec.network
    assert (network.name, network.aliases) == ("backend", ("db", "postgres"))


async def test_the_image_may_name_variables(stage: Stage) -> None:
    stage.add("one", {"container": "node:${NODE_VERSION}", "env": ["NODE_VERSION=22"]})
    assert (await plan(stage, "one")).spec.image == "node:22"
    stage.add("two", {"container": "node:${NOTHING}"})
    with pytest.raises(PloinkyError) as caught:
        await plan(stage, "two")
    assert caught.value.code == "UNRESOLVED_VARIABLE"


async def test_a_manifest_that_needs_an_image_names_the_engine_to_install(stage: Stage) -> None:
    stage.add("db", {"sandbox": False})
    with pytest.raises(PloinkyError) as caught:
        await plan(stage, "db")
    assert caught.value.code == "SANDBOX_NEEDS_ENGINE"
    assert "podman" in str(caught.value)


async def test_two_aliases_of_one_global_agent_have_sandboxes_of_their_own(stage: Stage) -> None:
    stage.add("one", {})
    first, second = await plan(stage, "one global as left"), await plan(stage, "one global as right")
    assert first.spec.name != second.spec.name
    assert first.spec.socket_dir != second.spec.socket_dir


async def test_the_digest_stays_while_nothing_changes_and_knows_no_secret(stage: Stage) -> None:
    stage.add("one", {"env": ["SHOP_TOKEN"]})
    entry = await stage.enable("one")
    before = plan_agent(stage.with_environ(SHOP_TOKEN="first-value").ctx, entry)
    after = plan_agent(stage.with_environ(SHOP_TOKEN="second-value").ctx, entry)
    assert (before.spec.digest, before.install_digest) == (after.spec.digest, after.install_digest)


async def test_the_mcp_config_is_named_where_the_agent_has_it(stage: Stage) -> None:
    stage.add("code", {}, {"code/mcp-config.json": "{}"})
    stage.add("beside", {}, {"code/x": "", "mcp-config.json": "{}"})
    stage.add("none", {})
    paths = [
        (await plan(stage, name)).environment.values["PLOINKY_MCP_CONFIG_PATH"]
        for name in ("code", "beside", "none")
    ]
    assert paths == ["/code/mcp-config.json", "/agent/mcp-config.json", "/tmp/ploinky/mcp-config.json"]


async def test_a_changed_profile_of_the_workspace_is_followed(stage: Stage) -> None:
    stage.add("one", {"profiles": {"dev": {"env": {"LEVEL": "debug"}}, "prod": {"env": {"LEVEL": "error"}}}})
    entry = await stage.enable("one")
    levels = [
        plan_agent(stage.with_profile(name).ctx, entry).environment.values["LEVEL"]
        for name in ("dev", "prod")
    ]
    assert levels == ["debug", "error"]


async def test_an_entry_of_an_older_workspace_is_planned_without_its_container_name(stage: Stage) -> None:
    stage.add("one", {})
    entry = RegistryEntry(
        agent_name="one",
        repo_name="tests",
        project_path=str(stage.layout.work_dir("one")),
        run_mode=RunMode.ISOLATED,
    )
    assert plan_agent(stage.ctx, entry).spec.name.startswith("ploinky_tests_one_")


async def test_options_can_ask_for_a_new_sandbox(stage: Stage) -> None:
    stage.add("one", {"install": 'echo x >> "$WORKSPACE_PATH/runs"'})
    await stage.enable("one")
    for options in (None, None, StartOptions(recreate=True)):
        await collect(start_agent(stage.ctx, "one", options))
    assert stage.work_file("one", "runs").read_text() == "x\nx\n"


async def test_a_plan_is_the_same_in_every_process(stage: Stage) -> None:
    hooks = {name: f"scripts/{name}.sh" for name in ("hosthook_preinstall", "hosthook_postinstall")}
    files = {f"scripts/{name}.sh": "#!/bin/sh\n" for name in hooks}
    stage.add("all", {**hooks, "mounts": {"code": "rw"}}, files)
    made = await plan(stage, "all")
    targets = [(mount.target.count("/"), mount.target) for mount in made.spec.mounts]
    assert targets == sorted(targets)


async def test_a_host_port_that_the_router_has_is_an_error(stage: Stage) -> None:
    port = stage.ctx.router.port()
    stage.add("web", {"ports": [f"{port}:7000"]})
    with pytest.raises(PloinkyError) as caught:
        await plan(stage, "web")
    assert caught.value.code == "PORT_CLASH"
    assert str(port) in caught.value.message
