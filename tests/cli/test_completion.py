"""Completion: the scripts, and what words become."""

from __future__ import annotations

import shlex
import shutil
import subprocess

import pytest

from tests.cli.stage import PLOINKY, Stage


def completed(stage: Stage, *words: str) -> list[str]:
    """What the last of ``words`` could become, by the protocol that the scripts speak."""
    environ = {"_PLOINKY_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(("ploinky", *words))}
    done = stage.run(environ={**environ, "COMP_CWORD": str(len(words))}, code=None)
    return [line.partition(",")[2] for line in done.out.splitlines() if line]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_is_printed_and_asks_ploinky(shell: str, bare: Stage) -> None:
    script = bare.run("completion", shell).out
    assert f"_PLOINKY_COMPLETE={shell}_complete" in script


def test_the_bash_script_completes_a_command(bare: Stage) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    script = bare.run("completion", "bash").out
    done = subprocess.run([bash, "-n"], input=script, text=True, check=False, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_commands_and_subcommands_are_completed(bare: Stage) -> None:
    assert sorted(completed(bare, "sta")) == ["start", "status"]
    assert completed(bare, "list", "r") == ["repos", "routes"]
    assert "--workspace" in completed(bare, "--w")


def test_agents_are_completed_where_agents_are_meant(stage: Stage) -> None:
    stage.run("enable", "agent", "echo", "as", "parrot")
    assert completed(stage, "stop", "") == ["parrot"]
    assert completed(stage, "logs", "p") == ["parrot"]
    assert completed(stage, "start", "wo") == ["worker"]
    assert completed(stage, "disable", "agent", "p") == ["parrot"]
    assert completed(stage, "update", "c") == ["crew"]


def test_profiles_are_completed(stage: Stage) -> None:
    assert {"dev", "prod"} <= set(completed(stage, "profile", ""))
    assert completed(stage, "profile", "validate", "pr") == ["prod"]


def test_outside_a_workspace_and_beside_a_torn_registry_nothing_fails(bare: Stage, stage: Stage) -> None:
    assert completed(bare, "stop", "") == []
    stage.layout.registry_file.write_text("{", encoding="utf-8")
    assert completed(stage, "stop", "") == []


@pytest.mark.bubblewrap
def test_tools_are_completed_by_the_name_that_call_takes(stage: Stage) -> None:
    assert completed(stage, "call", "ec") == []
    stage.run("enable", "agent", "echo")
    stage.run("enable", "agent", "echo", "as", "parrot")
    stage.run("start")
    assert "echo__mood" in [row["name"] for row in stage.run("tools", "--json").json]
    assert completed(stage, "call", "echo.mo") == ["echo.mood"]
    assert set(completed(stage, "call", "")) == {
        f"{row['agent']}.{row['name'].split('__')[-1]}" for row in stage.run("tools", "--json").json
    }
    assert stage.run("call", *completed(stage, "call", "parrot.moo")).out == "cheerful\n"


@pytest.mark.bubblewrap
def test_bash_completes_a_tool_at_tab(town: Stage) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    programs = town.runtime / "bin"
    programs.mkdir()
    (programs / "ploinky").write_text(f'#!/bin/sh\nexec {shlex.join(PLOINKY)} "$@"\n', encoding="utf-8")
    (programs / "ploinky").chmod(0o755)
    tab = "COMP_WORDS=(ploinky call echo.moo); COMP_CWORD=2; _ploinky_completion ploinky"
    done = subprocess.run(
        [bash, "-c", f'eval "$(ploinky completion bash)"; {tab}; printf "%s\\n" "${{COMPREPLY[@]}}"'],
        cwd=town.root,
        env={**town.environ, "PATH": f"{programs}:{town.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout == "echo.mood\n", done.stderr
