"""Enable and disable: what they write, what they refuse, what they leave behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from ploinky.base.errors import PloinkyError
from ploinky.lifecycle.disabling import disable_agent
from ploinky.lifecycle.enabling import enable_agent
from ploinky.lifecycle.starting import start_agent
from ploinky.manifest.refs import RunMode, parse_agent_ref
from ploinky.workspace.states import AgentState
from tests.lifecycle.stage import Stage, collect

pytestmark = pytest.mark.bubblewrap


async def refused(stage: Stage, text: str) -> PloinkyError:
    with pytest.raises(PloinkyError) as caught:
        await stage.enable(text)
    return caught.value


async def test_enabling_takes_along_what_the_manifest_enables(stage: Stage) -> None:
    stage.add("top", {"enable": ["middle global", "base as ground"]})
    stage.add("middle", {"enable": ["base"]})
    stage.add("base", {})
    entries = await enable_agent(stage.ctx, parse_agent_ref("tests/top"))
    assert [entry.key for entry in entries] == ["ground", "base", "middle", "top"]
    assert {entry.key: entry.enabled_by for entry in entries} == {
        "ground": "top",
        "base": "middle",
        "middle": "top",
        "top": None,
    }
    assert stage.entry("middle").run_mode is RunMode.GLOBAL
    assert stage.entry("middle").project_path == str(stage.layout.root)
    assert stage.entry("ground").agent_name == "base"
    assert stage.layout.code_link("ground").is_symlink()
    assert all(entry.state is AgentState.ENABLED for entry in entries)


async def test_enabling_again_changes_nothing(stage: Stage) -> None:
    stage.add("top", {"enable": ["base"]})
    stage.add("base", {})
    await stage.enable("top")
    before = stage.layout.registry_file.read_bytes()
    await stage.enable("top")
    assert stage.layout.registry_file.read_bytes() == before


async def test_an_agent_that_was_pulled_in_becomes_a_persons_own_when_asked_for(stage: Stage) -> None:
    stage.add("top", {"enable": ["base"]})
    stage.add("base", {})
    await stage.enable("top")
    assert (await stage.enable("base")).enabled_by is None


async def test_nothing_is_enabled_if_one_of_them_cannot_be(stage: Stage) -> None:
    stage.add("top", {"enable": ["base", "missing"]})
    stage.add("base", {})
    assert (await refused(stage, "top")).code == "AGENT_NOT_FOUND"
    assert stage.ctx.registry.read() == {}


async def test_a_repository_that_is_missing_is_named_with_the_command_that_adds_it(stage: Stage) -> None:
    url = "https://example.org/agents.git"
    stage.add("top", {"enable": ["explorer"], "repos": {"files": url}})
    error = await refused(stage, "top")
    assert error.code == "REPO_NOT_INSTALLED"
    assert f"ploinky add repo files {url}" in str(error)


async def test_a_circle_is_shown(stage: Stage) -> None:
    stage.add("one", {"enable": ["two"]})
    stage.add("two", {"enable": ["one"]})
    error = await refused(stage, "one")
    assert error.code == "DEPENDENCY_CYCLE"
    assert "one → two → one" in error.message


async def test_another_agent_under_the_same_key_is_refused_once_it_has_a_sandbox(stage: Stage) -> None:
    stage.add("one", {})
    await stage.enable("one")
    assert (await stage.enable("one global")).run_mode is RunMode.GLOBAL
    await collect(start_agent(stage.ctx, "one"))
    error = await refused(stage, "one")
    assert error.code == "ALREADY_ENABLED"
    assert "as NAME" in str(error)


async def test_devel_mode_takes_the_source_as_its_project(stage: Stage) -> None:
    stage.add("one", {"install": "touch $PROJECT/made-inside"}, {"code/x": ""})
    folder = stage.folder("one")
    stage.add("one", {"install": f"touch {folder}/made-inside && touch /code/too"}, {"code/x": ""})
    entry = await stage.enable("one devel tests")
    assert (entry.run_mode, entry.project_path) == (RunMode.DEVEL, str(folder))
    await collect(start_agent(stage.with_profile("prod").ctx, "one"))
    assert (folder / "made-inside").exists()
    assert (folder / "code" / "too").exists()


async def test_a_folder_of_ones_own_can_be_developed_in(stage: Stage, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "manifest.json").write_text('{"container": "busybox"}')
    entry = await stage.enable(f"mine devel {folder}/.")
    assert entry.project_path == str(folder)
    await collect(start_agent(stage.ctx, "mine"))
    assert stage.entry("mine").state is AgentState.RUNNING


async def test_a_manifest_cannot_open_a_folder_outside_the_workspace(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"container": "busybox"}')
    stage.add("top", {"enable": [f"other devel {tmp_path}/."]})
    assert (await refused(stage, "top")).code == "PATH_ESCAPES"


async def test_disabling_leaves_the_working_folder_unless_it_is_purged(stage: Stage) -> None:
    stage.add("one", {"install": 'echo kept > "$WORKSPACE_PATH/data"'})
    await stage.enable("one")
    await collect(start_agent(stage.ctx, "one"))
    await disable_agent(stage.ctx, "one")
    assert stage.ctx.registry.read() == {}
    assert await stage.ctx.runtime.list(stage.layout.id) == []
    assert not stage.layout.code_link("one").is_symlink()
    assert stage.work_file("one", "data").read_text() == "kept\n"
    await stage.enable("one")
    await disable_agent(stage.ctx, "one", purge=True)
    assert not stage.layout.work_dir("one").exists()


async def test_disabling_what_is_not_enabled_is_an_error(stage: Stage) -> None:
    with pytest.raises(PloinkyError) as caught:
        await disable_agent(stage.ctx, "nobody")
    assert caught.value.code == "AGENT_NOT_ENABLED"


async def test_a_program_without_tools_is_a_service(stage: Stage) -> None:
    tools = {"code/mcp-config.json": '{"tools": []}'}
    stage.add("database", {"start": "postgres"})
    stage.add("server", {"agent": "node server.mjs"}, tools)
    stage.add("tools", {}, tools)
    types = {name: (await stage.enable(name)).type for name in ("database", "server", "tools")}
    assert types == {"database": "service", "server": "agent", "tools": "agent"}
