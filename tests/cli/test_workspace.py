"""Commands that need no engine: workspaces, repositories, agents, manifests, profiles, values, clients."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.cli.stage import AGENTS, Stage


def test_init_makes_a_workspace_and_again_changes_nothing(bare: Stage) -> None:
    first = bare.run("init", "--json").json
    assert first["created"] is True
    assert bare.layout.repos.is_dir()
    bare.layout.config_file.write_text("{}", encoding="utf-8")
    assert bare.run("init", "--json").json["created"] is False
    assert bare.layout.config_file.read_text(encoding="utf-8") == "{}"


def test_init_can_keep_the_folders_out_of_git(bare: Stage) -> None:
    (bare.root / ".git").mkdir()
    assert "--gitignore" in bare.run("init").err
    bare.run("init", "--gitignore")
    assert "agents/" in (bare.root / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_a_command_in_a_subfolder_means_the_workspace_around_it(stage: Stage) -> None:
    below = stage.root / "a" / "b"
    below.mkdir(parents=True)
    assert Stage(below, stage.runtime).run("status", "--json").json["workspace"] == str(stage.layout.root)


def test_the_first_add_repo_makes_a_workspace(bare: Stage) -> None:
    done = bare.run("add", "repo", "crew", str(AGENTS))
    assert "Made a workspace" in done.err
    count = len(list(AGENTS.glob("*/manifest.json")))
    assert f"Added repository 'crew' with {count} agents." in done.err


def test_a_relative_folder_counts_from_where_one_stands(bare: Stage) -> None:
    bare.run("init")
    shutil.copytree(AGENTS, bare.root / "mine")
    assert "Added repository 'mine'" in bare.run("add", "repo", "mine", "./mine").err


def test_status_of_an_empty_workspace_tells_what_to_do(stage: Stage) -> None:
    done = stage.run("status")
    assert "Router     not running" in done.out
    assert "ploinky enable agent NAME" in done.out


def test_agents_are_enabled_listed_and_disabled(stage: Stage) -> None:
    stage.run("enable", "agent", "crew/echo", "as", "parrot")
    rows = {row["agent"]: row for row in stage.run("list", "agents", "--json").json}
    assert rows["echo"]["enabled"] == ["parrot"]
    assert rows["broken"]["fault"].startswith("Invalid manifest")
    assert "enabled as parrot" in stage.run("list", "agents").out
    assert (stage.root / "code" / "parrot").is_symlink()
    stage.run("disable", "agent", "parrot")
    assert not (stage.root / "code" / "parrot").is_symlink()
    assert stage.run("status", "--json").json["agents"] == []


def test_an_agent_is_enabled_where_no_engine_answers(stage: Stage) -> None:
    nobody = {"CONTAINER_HOST": "unix:///nobody.sock"}
    stage.run("--runtime", "podman", "enable", "agent", "echo", environ=nobody)
    assert (stage.root / "code" / "echo").is_symlink()
    assert "Podman" in stage.run("--runtime", "podman", "start", "echo", environ=nobody, code=1).err


def test_disable_keeps_the_data_unless_purged(stage: Stage) -> None:
    stage.run("enable", "agent", "echo")
    note = stage.root / "agents" / "echo" / "note"
    note.write_text("mine", encoding="utf-8")
    assert "stays in agents/echo" in stage.run("disable", "agent", "echo").err
    assert note.exists()
    stage.run("enable", "agent", "echo")
    stage.run("disable", "agent", "echo", "--purge")
    assert not note.exists()


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (("enable", "agent", "nobody"), 3, "AGENT_NOT_FOUND"),
        (("enable", "agent", "echo", "globl"), 2, "BAD_AGENT_REF"),
        (("enable", "agent", "broken"), 1, "MANIFEST_INVALID"),
        (("disable", "agent", "echo"), 3, "AGENT_NOT_ENABLED"),
        (("enable", "repo", "cruw"), 3, "REPO_NOT_INSTALLED"),
        (("add", "repo", "crew", "."), 2, "REPO_EXISTS"),
        (("add", "repo", "unknown"), 2, "REPO_URL_NEEDED"),
        (("update", "nothing"), 3, "REPO_NOT_INSTALLED"),
        (("stop", "echo"), 3, "AGENT_NOT_ENABLED"),
        (("logs", "echo"), 3, "AGENT_NOT_ENABLED"),
        (("call", "echo.say"), 3, "AGENT_NOT_ENABLED"),
        (("tools",), 1, "GATEWAY_DOWN"),
        (("events",), 1, "GATEWAY_DOWN"),
        (("destroy",), 4, "NOT_CONFIRMED"),
        (("var", "not-a-name", "x"), 2, "BAD_VARIABLE"),
        (("var", "NOTHING", "--unset"), 3, "VALUE_NOT_SET"),
        (("profile", "Bad!"), 2, "BAD_PROFILE_NAME"),
        (("new", "agent", "../out"), 2, "BAD_NAME"),
    ],
)
def test_a_failure_has_its_exit_code(words: tuple[str, ...], code: int, error: str, stage: Stage) -> None:
    assert stage.run(*words, "--json", code=code).json["error"]["code"] == error


def test_update_brings_the_copies_forward(stage: Stage, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(AGENTS / "echo", source / "echo")
    stage.run("add", "repo", "moving", str(source))
    shutil.copytree(AGENTS / "worker", source / "extra")
    stage.run("update", "moving")
    assert (stage.layout.repos / "moving" / "extra" / "manifest.json").is_file()
    assert set(stage.run("update", "--json").lines[-1]["value"]["updated"]) == {"crew", "moving"}


@pytest.mark.parametrize(
    ("template", "test"),
    [
        ("shell", ["sh", "tests/test_greet.sh"]),
        ("python", [sys.executable, "-m", "unittest", "discover", "tests"]),
        ("node", ["node", "--test", "tests/greet.test.mjs"]),
    ],
)
def test_a_new_agent_is_valid_and_its_test_passes(template: str, test: list[str], stage: Stage) -> None:
    if shutil.which(test[0]) is None:
        pytest.skip(f"{test[0]} is not installed")
    facts = stage.run("new", "agent", "greeter", "--template", template, "--json").json
    assert stage.run("manifest", "validate", "greeter", "--json").json["valid"] is True
    done = subprocess.run(test, cwd=facts["folder"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    stage.run("new", "agent", "greeter", code=2)


def test_a_new_agent_can_be_made_outside_a_workspace(bare: Stage) -> None:
    bare.run("new", "agent", "greeter", "--to", "here")
    assert (bare.root / "here" / "greeter" / "code" / "greet.sh").stat().st_mode & stat.S_IXUSR
    assert not bare.layout.control.exists()


def test_manifest_validate_shows_every_fault_at_its_line(stage: Stage) -> None:
    done = stage.run("manifest", "validate", "broken", code=1)
    assert "line 4, ports[0]" in done.out
    assert "line 5, health.liveness" in done.out
    facts = stage.run("manifest", "validate", str(AGENTS / "broken"), "--json", code=1).json
    assert [fault["field"] for fault in facts["faults"]] == ["ports[0]", "health.liveness"]


def test_manifest_schema_is_json_schema(bare: Stage) -> None:
    assert bare.run("manifest", "schema").json["title"] == "Ploinky agent manifest"


def test_profile_tells_what_the_active_profile_gives(stage: Stage) -> None:
    stage.run("enable", "agent", "guarded")
    stage.run("var", "DEV_API_KEY", "local-dev-key-12345")
    shown = stage.run("profile", "dev").out
    assert shown.splitlines()[0] == "Profile set to: dev"
    assert "  NODE_ENV=development" in shown
    assert "  - DEV_API_KEY ✓ (found)" in shown
    assert "  1. preinstall: scripts/dev_preinstall.sh" in shown
    assert "local-dev-key" not in shown
    assert stage.layout.profile_file.read_text(encoding="utf-8") == "dev\n"
    assert stage.run("profile", "--json").json["profile"] == "dev"


def test_profile_list_counts_secrets(stage: Stage) -> None:
    stage.run("enable", "agent", "guarded")
    stage.run("var", "DEV_API_KEY", "x" * 12)
    stage.run("profile", "dev")
    lines = [line.split() for line in stage.run("profile", "list").out.splitlines()]
    assert lines[0] == ["Available", "profiles:"]
    assert ["dev", "active", "1/1", "✓"] in lines
    assert ["prod", "missing", "1/2", "✗", "(PROD_SSL_CERT", "missing)"] in lines


def test_profile_validate_counts_the_errors(stage: Stage) -> None:
    stage.run("enable", "agent", "guarded")
    shown = stage.run("profile", "validate", "dev", code=1).out
    assert "Validating profile 'dev'..." in shown
    assert "Manifest: ✓ Valid JSON" in shown
    assert "  NODE_ENV=development ✓" in shown
    assert "  DEV_API_KEY: ✗ NOT FOUND" in shown
    assert "  scripts/dev_preinstall.sh: ✓ Exists, executable" in shown
    assert "  scripts/dev_postinstall.sh: ✗ NOT FOUND" in shown
    assert "Validation FAILED: 2 errors found" in shown
    assert stage.run("profile", "validate", "dev", "--json", code=1).json["errors"] == 2


def test_a_profile_that_no_agent_has_is_refused(stage: Stage) -> None:
    stage.run("enable", "agent", "guarded")
    assert "staging" in stage.run("profile", "staging", code=3).err
    assert not stage.layout.profile_file.exists()


def test_a_value_comes_from_stdin_and_is_never_shown(stage: Stage) -> None:
    done = stage.run("var", "API_KEY", stdin="s3cret-value\n")
    stage.run("var", "OTHER", "$API_KEY")
    assert "s3cret" not in done.out + done.err
    assert stage.run("vars").out == "API_KEY\nOTHER → API_KEY\n"
    assert "s3cret" not in stage.run("secrets", "list", "--json").out
    assert stat.S_IMODE(stage.layout.secrets_file.stat().st_mode) == 0o600
    assert "API_KEY=s3cret-value\n" in stage.layout.secrets_file.read_text(encoding="utf-8")
    stage.run("var", "API_KEY", "--unset")
    assert stage.run("vars", "--json").json == [{"name": "OTHER", "alias": "API_KEY", "key": False}]


def test_secrets_list_tells_who_needs_what(stage: Stage) -> None:
    stage.run("enable", "agent", "guarded")
    rows = stage.run("--profile", "prod", "secrets", "list", "--json", environ={"DEV_API_KEY": "k"}).json
    assert rows == [
        {
            "name": "DEV_API_KEY",
            "found": True,
            "source": "environment",
            "required": True,
            "agents": ["guarded"],
        },
        {"name": "PROD_SSL_CERT", "found": False, "source": None, "required": True, "agents": ["guarded"]},
    ]


def test_doctor_finds_and_repairs(stage: Stage) -> None:
    stage.layout.skills.rmdir()
    before = stage.run("doctor", "--json", code=1).json
    assert any(each["check"] == "layout" and each["fix"] for each in before["findings"])
    stage.run("doctor", "--fix")
    assert stage.layout.skills.is_dir()
    checks = {each["check"]: each for each in stage.run("doctor", "--json").json["findings"]}
    assert checks["engine"]["message"].startswith("sandbox: it was asked for")
    assert {"versions", "git", "launcher", "sockets", "gateway", "engine podman"} <= set(checks)


@pytest.mark.parametrize("words", [("list", "agents"), ("vars",), ("token",), ("start",)])
def test_a_torn_configuration_stops_every_command_and_is_kept(words: tuple[str, ...], stage: Stage) -> None:
    stage.layout.config_file.write_text('{"gateway": {', encoding="utf-8")
    done = stage.run(*words, code=1)
    assert "config.json, line 1, column 14: not valid JSON" in done.err
    assert stage.layout.config_file.read_text(encoding="utf-8") == '{"gateway": {'


def test_a_mistyped_configuration_stops_what_uses_it_and_is_kept(stage: Stage) -> None:
    stage.run("enable", "agent", "echo")
    stage.layout.config_file.write_text('{"gatewy": {}}', encoding="utf-8")
    stage.run("stop", "echo")
    for words in (("start",), ("restart", "echo"), ("doctor",)):
        done = stage.run(*words, code=None)
        assert done.code, words
        assert "did you mean 'gateway'?" in done.out + done.err, words
    assert stage.layout.config_file.read_text(encoding="utf-8") == '{"gatewy": {}}'


@pytest.mark.parametrize(
    ("client", "file", "section"),
    [
        ("claude", ".mcp.json", "mcpServers"),
        ("cursor", ".cursor/mcp.json", "mcpServers"),
        ("vscode", ".vscode/mcp.json", "servers"),
    ],
)
def test_a_clients_file_keeps_all_else(client: str, file: str, section: str, stage: Stage) -> None:
    path = stage.root / file
    path.parent.mkdir(exist_ok=True)
    before = json.dumps({"theme": "dark", section: {"other": {"command": "x"}}}, indent=4)
    path.write_text(before, encoding="utf-8")
    stage.run("mcp", "config", client, "--install")
    after = json.loads(path.read_text(encoding="utf-8"))
    assert after["theme"] == "dark"
    assert after[section]["other"] == {"command": "x"}
    assert after[section]["ploinky"]["args"][-2:] == ["mcp", "stdio"]
    backup = path.with_name("mcp.json.bak" if "/" in file else ".mcp.json.bak")
    assert backup.read_text(encoding="utf-8") == before
    assert "is right" in stage.run("mcp", "config", client, "--install").err
    stage.run("mcp", "config", client, "--remove")
    assert json.loads(path.read_text(encoding="utf-8")) == json.loads(before)
    kept = path.read_bytes()
    assert "has no 'ploinky'" in stage.run("mcp", "config", client, "--remove").err
    assert path.read_bytes() == kept


@pytest.mark.parametrize(
    ("client", "file", "url"),
    [
        ("claude-desktop", ".config/Claude/claude_desktop_config.json", "url"),
        ("windsurf", ".codeium/windsurf/mcp_config.json", "serverUrl"),
        ("gemini", ".gemini/settings.json", "httpUrl"),
    ],
)
def test_a_client_that_keeps_its_servers_at_home_is_served_there(
    client: str, file: str, url: str, stage: Stage
) -> None:
    path = stage.runtime / "home" / file
    stage.run("mcp", "config", client, "--install", "--http")
    entry = json.loads(path.read_text(encoding="utf-8"))["mcpServers"]["ploinky"]
    assert entry[url].endswith("/mcp")
    assert path.stat().st_mode & 0o077 == 0
    stage.run("mcp", "config", client, "--install")
    assert "Bearer" not in path.read_text(encoding="utf-8")
    assert path.stat().st_mode & 0o077 == 0


def test_codex_gets_a_table_and_keeps_its_lines(stage: Stage) -> None:
    path = stage.runtime / "home" / ".codex" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text('# mine\nmodel = "x"\n\n[mcp_servers.other]\ncommand = "y"\n', encoding="utf-8")
    for _ in range(2):
        stage.run("mcp", "config", "codex", "--install")
    text = path.read_text(encoding="utf-8")
    assert text.startswith('# mine\nmodel = "x"\n')
    assert text.count("[mcp_servers.ploinky]") == 1
    assert tomllib.loads(text)["mcp_servers"]["other"] == {"command": "y"}
    stage.run("mcp", "config", "codex", "--remove")
    assert tomllib.loads(path.read_text(encoding="utf-8")) == {
        "model": "x",
        "mcp_servers": {"other": {"command": "y"}},
    }
    stage.run("mcp", "config", "codex", "--install", "--remove", code=2)


def test_a_clients_file_that_is_not_understood_is_not_touched(stage: Stage) -> None:
    path = stage.root / ".mcp.json"
    path.write_text("{ // a comment\n}", encoding="utf-8")
    assert "It was not changed" in stage.run("mcp", "config", "claude", "--install", code=1).err
    assert path.read_text(encoding="utf-8") == "{ // a comment\n}"


@pytest.mark.parametrize("link", [".cursor", ".cursor/mcp.json"])
def test_a_clients_file_that_an_agent_made_a_link_is_neither_read_nor_written(
    stage: Stage, link: str
) -> None:
    home = stage.runtime / "home"
    home.mkdir(exist_ok=True)
    private = home / "mcp.json"
    private.write_text('{"private": "diary"}', encoding="utf-8")
    (stage.root / link).parent.mkdir(exist_ok=True)
    (stage.root / link).symlink_to(home if link == ".cursor" else private)
    stage.run("mcp", "config", "cursor", "--install", code=1)
    assert private.read_text(encoding="utf-8") == '{"private": "diary"}'
    assert [path.name for path in home.glob("mcp.json*")] == ["mcp.json"]
    assert not list(stage.root.glob(".cursor/*.bak"))


def test_the_token_is_printed_only_when_asked_for(stage: Stage) -> None:
    token = stage.run("token").out.strip()
    assert stage.run("token").out.strip() == token
    assert token not in stage.run("mcp", "config", "claude").out
    assert f"Bearer {token}" in stage.run("mcp", "config", "claude", "--http").out
    assert stage.run("token", "rotate").out.strip() != token
