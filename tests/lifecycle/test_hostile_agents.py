"""What an agent or its repository leaves on disk, to be followed by the next start on the host."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import anyio
import pytest

from ploinky.base.errors import PloinkyError
from ploinky.channel.client import open_channel
from ploinky.channel.model import Finished, SpawnRequest
from ploinky.lifecycle.disabling import disable_agent
from ploinky.lifecycle.options import StartOptions
from ploinky.lifecycle.sandboxes import socket_folder
from ploinky.lifecycle.starting import start_agent
from ploinky.runtimes.spec import SOCKET_NAME
from tests.lifecycle.stage import Stage, collect

pytestmark = pytest.mark.bubblewrap

needs_npm = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
CANARY = "canary-51c8"
TRUST = StartOptions(trust=True)


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A folder of the host that no agent has any business with."""
    folder = tmp_path / "victim"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "diary.txt").write_text(CANARY)
    (folder / "diary.txt").write_text(CANARY)
    return folder


def untouched(victim: Path) -> bool:
    files = {str(path.relative_to(victim)) for path in victim.rglob("*")}
    texts = {(victim / name).read_text() for name in ("diary.txt", "deep/diary.txt") if name in files}
    return files == {"deep", "diary.txt", "deep/diary.txt"} and texts == {CANARY}


async def inside(stage: Stage, key: str, script: str) -> Finished:
    async with open_channel(socket_folder(stage.ctx, key) / SOCKET_NAME) as channel:
        return await channel.run(SpawnRequest(("/bin/sh", "-c", script), env=(("PATH", "/usr/bin:/bin"),)))


async def refused(stage: Stage, key: str, options: StartOptions | None = None) -> str:
    """The code with which a start is refused; no sandbox is left."""
    with pytest.raises(PloinkyError) as caught:
        await collect(start_agent(stage.ctx, key, options))
    assert await stage.ctx.runtime.list(stage.layout.id) == []
    return caught.value.code


async def test_packages_are_not_removed_through_a_link_of_the_agents(stage: Stage, victim: Path) -> None:
    stage.add("node", {}, {"code/package.json": "{}"})
    await stage.enable("node")
    stage.work_file("node", "node_modules").symlink_to(victim)
    await refused(stage, "node")
    assert untouched(victim)


async def test_packages_are_not_shown_through_a_link_of_the_agents(stage: Stage) -> None:
    stage.add("node", {}, {"code/package.json": "{}"})
    await stage.enable("node")
    stage.layout.secrets_file.write_text(f"KEY={CANARY}\n")
    stage.work_file("node", "node_modules").symlink_to("../../.ploinky")
    assert await refused(stage, "node") == "FOLDER_IS_LINK"


async def test_a_venv_that_is_a_link_costs_nothing_of_the_host(stage: Stage, victim: Path) -> None:
    stage.add("py", {}, {"code/requirements.txt": "/code/none.whl\n"})
    await stage.enable("py")
    stage.work_file("py", "venv").symlink_to(victim)
    with pytest.raises(PloinkyError):
        await collect(start_agent(stage.ctx, "py"))
    assert untouched(victim)


@pytest.mark.parametrize("target", ["../../../..", "../../..", "..", "/"])
@pytest.mark.parametrize("name", ["code", ".AchillesSkills"])
async def test_code_and_skills_that_lead_out_of_the_agents_folder_are_refused(
    stage: Stage, name: str, target: str
) -> None:
    folder = stage.add("trap", {})
    await stage.enable("trap")
    (folder / name).symlink_to(target)
    assert await refused(stage, "trap") in ("PATH_ESCAPES", "LINK_ESCAPES")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("package-lock.json", "{}"),
        ("package.json", "{}"),
        ("requirements.txt", "x"),
        ("constraints.txt", "x"),
        ("uv.lock", ""),
    ],
)
async def test_files_of_packages_that_are_links_out_of_the_repository_are_not_read(
    stage: Stage, victim: Path, name: str, text: str
) -> None:
    other = "package.json" if name == "package-lock.json" else "requirements.txt"
    files = {} if name == other else {f"code/{other}": "{}" if "package" in other else "x"}
    folder = stage.add("trap", {}, {"code/main": "", **files})
    (victim / name).write_text(text)
    (folder / "code" / name).symlink_to(victim / name)
    await stage.enable("trap")
    assert await refused(stage, "trap") == "PATH_ESCAPES"
    assert list(stage.layout.work_dir("trap").iterdir()) == []


@needs_npm
@pytest.mark.parametrize("name", ["package.json", "package-lock.json", "requirements.txt", "x.js"])
async def test_a_pipe_in_the_place_of_a_file_does_not_keep_a_start_waiting(stage: Stage, name: str) -> None:
    folder = stage.add("trap", {}, {"code/package.json": "{}"} if name != "package.json" else {"code/m": ""})
    os.mkfifo(folder / "code" / name)
    await stage.enable("trap")
    with anyio.fail_after(30):
        await collect(start_agent(stage.ctx, "trap"))


async def test_another_agents_folder_that_became_a_link_is_refused(stage: Stage, victim: Path) -> None:
    stage.add("wide", {"install": f'cd "$PLOINKY_CWD/agents" && rmdir other && ln -s {victim} other'})
    stage.add("other", {"install": 'touch "$WORKSPACE_PATH/planted"'})
    await stage.enable("wide global")
    await stage.enable("other")
    await collect(start_agent(stage.ctx, "wide"))
    with pytest.raises(PloinkyError) as caught:
        await collect(start_agent(stage.ctx, "other"))
    assert caught.value.code == "FOLDER_IS_LINK"
    assert untouched(victim)


@pytest.mark.parametrize("target", ["/", ".ploinky", "agents"])
async def test_a_shared_folder_that_became_a_link_is_refused(stage: Stage, target: str) -> None:
    swap = f'cd "$PLOINKY_CWD" && rmdir shared && ln -s {target} shared'
    stage.add("wide", {"install": swap})
    stage.add("other", {})
    await stage.enable("wide global")
    await stage.enable("other")
    await collect(start_agent(stage.ctx, "wide"))
    with pytest.raises(PloinkyError) as caught:
        await collect(start_agent(stage.ctx, "other"))
    assert caught.value.code == "LAYOUT_BLOCKED"


@pytest.mark.parametrize("name", ["agents", "code", "skills", "agents/.cache"])
async def test_folders_of_the_workspace_that_became_links_are_refused(
    stage: Stage, victim: Path, name: str
) -> None:
    stage.add("py", {}, {"code/main": "", ".AchillesSkills/s": "", "code/requirements.txt": "x"})
    await stage.enable("py")
    folder = stage.layout.root / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.symlink_to(victim)
    assert await refused(stage, "py") in ("FOLDER_IS_LINK", "LAYOUT_BLOCKED")
    assert untouched(victim)


async def test_purging_removes_nothing_through_a_link(stage: Stage, victim: Path) -> None:
    stage.add("deep", {})
    await stage.enable("deep")
    shutil.rmtree(stage.layout.agents)
    stage.layout.agents.symlink_to(victim)
    with pytest.raises(PloinkyError):
        await disable_agent(stage.ctx, "deep", purge=True)
    assert untouched(victim)


async def test_an_agent_under_dev_cannot_change_its_manifest_or_scripts_of_the_host(stage: Stage) -> None:
    """Its code may be its whole folder; what gives it rights and what runs on the host stay as trusted."""
    hook = "scripts/host/before.sh"
    manifest = {
        "profiles": {
            "default": {},
            "dev": {"hosthook_preinstall": hook},
            "prod": {"hosthook_postinstall": ["other/x.sh", "./top.sh now"]},
        }
    }
    harmless = "#!/bin/sh\ntrue\n"
    files = {hook: harmless, "other/x.sh": harmless, "top.sh": harmless, "main": "", "lib/l": ""}
    folder = stage.add("whole", manifest, files)
    await stage.enable("whole")
    await collect(start_agent(stage.ctx, "whole", TRUST))
    for script in (
        "echo {} > /code/manifest.json",
        "rm /code/manifest.json",
        "mv /code/manifest.json /code/m",
        f"echo x > /code/{hook}",
        "mv /code/scripts /code/s",
        "mv /code/scripts/host /code/h",
        "touch /code/scripts/new",
        "rm -r /code/other",
        "echo x > /code/top.sh",
    ):
        assert not (await inside(stage, "whole", script)).exit.ok, script
    assert json.loads((folder / "manifest.json").read_text())["profiles"] == manifest["profiles"]
    assert (await inside(stage, "whole", "echo x > /code/main && touch /code/new /code/lib/new")).exit.ok


@pytest.mark.parametrize("place", [".", ".."])
async def test_a_source_around_the_control_files_is_refused(stage: Stage, place: str) -> None:
    """A person may name any folder in devel mode, also one by which an agent would see every secret."""
    base = (stage.layout.root / place).resolve()
    (base / "manifest.json").write_text('{"container": "busybox"}')
    await stage.enable(f"wide devel {place}/")
    assert await refused(stage, "wide") == "CONTROL_FILES_SHOWN"


async def test_in_devel_mode_too(stage: Stage) -> None:
    files = {"run.sh": "#!/bin/sh\n", "code/main": ""}
    folder = stage.add("mine", {"hosthook_preinstall": "./run.sh"}, files)
    await stage.enable(f"mine devel {stage.folder('mine').parent.name}")
    await collect(start_agent(stage.ctx, "mine", TRUST))
    for name in ("run.sh", "manifest.json"):
        assert not (await inside(stage, "mine", f"echo x > {folder}/{name}")).exit.ok, name
    assert (await inside(stage, "mine", f"touch {folder}/new /code/new")).exit.ok
